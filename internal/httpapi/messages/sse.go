package messages

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
)

// flushEach is the least time between two small writes of a stream. The first message after a pause goes out at once; when they come thick,
// those of so many milliseconds share a write. A stream that has much to catch up with does not pause.
const (
	flushEach = 20 * time.Millisecond
	flushBig  = 32 << 10
)

// chunk bounds what a stream takes at a time, so that a client that reads slowly holds little.
var chunk = consume.Limits{Records: 256, Bytes: 128 << 10}

// notation is how a stream is written.
type notation interface {
	begin(b []byte) []byte
	// message frames one message; next is the cursor after it, "" in a queue.
	message(b, message []byte, next string) []byte
	gap(b []byte, g consume.Gap) []byte
	failure(b []byte, err *kafkarest.Error) []byte
	// resting is written when there has been nothing for a while, and by lines each second that has messages.
	resting(b []byte, next string) []byte
	// rests is how long after a message resting is due; 0 for never.
	rests() time.Duration
}

// events is text/event-stream (HTML, section Server-sent events).
type events struct{}

func (*events) begin(b []byte) []byte { return append(b, "retry: 1000\n\n"...) }

func (*events) message(b, message []byte, next string) []byte {
	if next != "" {
		b = append(append(append(b, "id: "...), next...), '\n')
	}
	b = append(append(b, "data: "...), message...)
	return append(b, "\n\n"...)
}

func (*events) gap(b []byte, g consume.Gap) []byte {
	return append(appendGap(append(b, "event: gap\ndata: "...), g), "\n\n"...)
}

func (*events) failure(b []byte, err *kafkarest.Error) []byte {
	return append(appendFailure(append(b, "event: error\ndata: "...), err), "\n\n"...)
}

func (*events) resting(b []byte, _ string) []byte { return append(b, ":\n\n"...) }
func (*events) rests() time.Duration              { return 0 }

// lines is NDJSON: a line is a message, a next, a gap or an error.
type lines struct{}

func (*lines) begin(b []byte) []byte { return b }

func (*lines) message(b, message []byte, _ string) []byte { return append(append(b, message...), '\n') }

func (*lines) gap(b []byte, g consume.Gap) []byte {
	return append(appendGap(append(b, `{"gap":`...), g), "}\n"...)
}

func (*lines) failure(b []byte, err *kafkarest.Error) []byte {
	return append(appendFailure(append(b, `{"error":`...), err), "}\n"...)
}

func (*lines) resting(b []byte, next string) []byte {
	if next == "" {
		return b // a queue has no cursors
	}
	return append(append(append(b, `{"next":"`...), next...), "\"}\n"...)
}

func (*lines) rests() time.Duration { return time.Second }

func appendFailure(b []byte, err *kafkarest.Error) []byte {
	b = strconv.AppendInt(append(b, `{"error_code":`...), int64(err.Code), 10)
	return append(appendQuoted(append(b, `,"message":`...), err.Message), '}')
}

// streamFrom writes what comes after a cursor until the client goes, the proxy drains, or the topic cannot be read any more.
func (a *API) streamFrom(c *httpapi.Call, p *readParams, cursor consume.Cursor, as notation) error {
	tail, err := a.Reader.Tail(cursor)
	if err != nil {
		return err
	}
	defer tail.Close()
	limits := chunk
	if p.limits.Records > 0 {
		limits.Records = min(limits.Records, p.limits.Records)
	}
	s := &streaming{c: c, as: as, heartbeat: a.cfg.Read.Heartbeat, next: cursor.String()}
	if err := s.open(); err != nil || c.R.Method == http.MethodHead {
		return err
	}
	return s.run(func(ctx context.Context) error {
		b, err := tail.Next(ctx, limits)
		if err != nil {
			return err
		}
		for _, g := range b.Gaps {
			s.buf = as.gap(s.buf, g)
		}
		cursor.Ahead = b.Next.Ahead // the log reaches beyond all that comes here
		for _, r := range b.Records {
			cursor.Advance(r.Partition, r.Offset+1)
			s.next = cursor.String()
			s.line = p.render.message(ctx, s.line[:0], r, nil)
			s.buf = as.message(s.buf, s.line, s.next)
		}
		cursor = b.Next.Clone() // with the partitions that are new, and past what has no record
		s.next = cursor.String()
		return s.flush()
	})
}

// streaming is an endless reply under way.
type streaming struct {
	c         *httpapi.Call
	as        notation
	heartbeat time.Duration

	to        *httpapi.Stream
	buf, line []byte
	next      string    // the cursor after what was written
	flushed   time.Time // last write
	big       bool      // that was much
	told      time.Time // when the cursor was last told; zero when there is nothing to tell
}

func (s *streaming) open() error {
	s.to = s.c.Stream(http.StatusOK)
	s.buf = s.as.begin(s.buf)
	return s.send()
}

func (s *streaming) send() error {
	s.big = len(s.buf) >= flushBig
	if len(s.buf) > 0 {
		if _, err := s.to.Write(s.buf); err != nil {
			return err
		}
		if s.buf = s.buf[:0]; cap(s.buf) > 1<<20 {
			s.buf = nil
		}
	}
	s.flushed = time.Now()
	return s.to.Flush()
}

// flush sends messages, with the cursor after them when that is due.
func (s *streaming) flush() error {
	if rests := s.as.rests(); rests > 0 {
		if s.told.IsZero() {
			s.told = time.Now() // the first message of a second
		} else if time.Since(s.told) >= rests {
			s.tell()
		}
	}
	return s.send()
}

func (s *streaming) tell() {
	s.buf = s.as.resting(s.buf, s.next)
	s.told = time.Time{}
}

// run calls more until it fails. more waits for messages until its context ends, which it does when the stream has been silent for a while.
func (s *streaming) run(more func(context.Context) error) error {
	draining := s.c.Draining()
	for {
		if wait := flushEach - time.Since(s.flushed); wait > 0 && !s.big {
			pause := time.NewTimer(wait)
			select {
			case <-pause.C:
			case <-s.c.R.Context().Done():
				pause.Stop()
				return nil
			}
		}
		select {
		case <-draining:
			return nil
		default:
		}
		until := s.flushed.Add(s.heartbeat)
		if !s.told.IsZero() {
			until = s.told.Add(s.as.rests())
		}
		ctx, cancel := context.WithDeadline(s.c.R.Context(), until)
		err := more(ctx)
		cancel()
		switch {
		case err == nil:
		case s.c.R.Context().Err() != nil, httpapi.IsGone(err), errors.Is(err, consume.ErrDraining):
			return nil //nolint:nilerr // the stream ends, and its status is out
		case errors.Is(err, context.DeadlineExceeded):
			s.tell()
			if gone := s.send(); gone != nil {
				return nil //nolint:nilerr // the client has gone: there is nobody to tell
			}
		default:
			e := kafkarest.AsError(err)
			s.buf = s.as.failure(s.buf, e)
			_ = s.send() // the status is out: this is all that can be told
			return e
		}
	}
}
