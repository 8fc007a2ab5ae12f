package httpapi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"kafkarest"
)

// Draining is closed when the proxy begins to shut down. A handler that would wait or stream for long ends early then.
func (c *Call) Draining() <-chan struct{} { return c.server.drain }

// Stream begins a reply that is written bit by bit, with the negotiated media type and without a length. Each Write gives the client the
// write timeout to take it; Flush sends what has been written. Headers must be set before.
func (c *Call) Stream(status int) *Stream {
	h := c.Header()
	h.Set("Content-Type", c.Accept)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather the stream
	c.WriteHeader(status)
	return &Stream{call: c, control: http.NewResponseController(c.ResponseWriter)}
}

// Stream is a reply under way. One goroutine at a time may write to it.
type Stream struct {
	call    *Call
	control *http.ResponseController
}

// streamWrite is how long one write of a stream may wait for the client with HTTP/2, where the connection's own deadline cannot tell one
// stream from another.
const streamWrite = 10 * time.Second

// Write hands p to the client. An error means that the client has gone or takes nothing: there is nobody left to tell.
func (s *Stream) Write(p []byte) (int, error) {
	if s.call.conn == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(streamWrite)) // there is none in some tests
	}
	n, err := s.call.Write(p)
	if err != nil {
		return n, &clientGone{err}
	}
	return n, nil
}

// Flush sends what has been written.
func (s *Stream) Flush() error {
	if s.call.conn == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(streamWrite))
	}
	if err := s.control.Flush(); err != nil {
		return &clientGone{err}
	}
	return nil
}

// IsGone reports whether an error says that the client cannot be written to any more.
func IsGone(err error) bool { return errors.As(err, new(*clientGone)) }

// FullDuplex lets the handler go on reading the request body after it has begun to reply. HTTP/1.1 needs it; HTTP/2 always can.
func (c *Call) FullDuplex() error {
	if c.R.ProtoMajor != 1 {
		return nil
	}
	if err := http.NewResponseController(c.ResponseWriter).EnableFullDuplex(); err != nil {
		return fmt.Errorf("full duplex: %w", err)
	}
	return nil
}

// BodyStream reads the request body bit by bit, decompressed, without a limit on its length: the caller bounds what it keeps.
// Close it before the reply ends.
type BodyStream struct {
	call   *Call
	r      io.Reader
	closer func()
	source *pacedReader
	held   int64 // of the budget of all bodies, by Hold
}

// ErrIdle says that nothing came for as long as a stream may be silent.
var ErrIdle = errors.New("the request body was silent for too long")

// BodyStream begins to read the body as a stream that may be silent for idle at a time.
// Errors: 415 for an encoding other than gzip, zstd and identity.
func (c *Call) BodyStream(idle time.Duration) (*BodyStream, error) {
	b := &BodyStream{call: c, source: &pacedReader{call: c, idle: idle}, closer: func() {}}
	b.source.until.Store(never)
	b.r = b.source
	if encoding := c.R.Header.Get("Content-Encoding"); encoding != "" {
		if !decompresses(encoding) {
			b.Close()
			return nil, errEncoding(encoding)
		}
		b.r = &compressedStream{b, encoding}
	}
	return b, nil
}

// compressedStream begins to decompress with the first Read: the header may be long in coming, and until then nobody could Interrupt.
type compressedStream struct {
	of       *BodyStream
	encoding string
}

func (s *compressedStream) Read(p []byte) (int, error) {
	b := s.of
	r, closer, err := b.call.decompress(b.source, s.encoding)
	if err != nil {
		return 0, err
	}
	b.r, b.closer = r, closer
	return r.Read(p)
}

// Read waits for bytes. Errors: io.EOF at the end, ErrIdle, and those of Call.Body.
func (b *BodyStream) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.source.interrupted.Load() && !b.source.late {
		return n, ErrInterrupted
	}
	var netErr net.Error
	if b.source.within.IsZero() && (errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()) {
		return n, kafkarest.Wrap(kafkarest.CodeRequestTimeout, ErrIdle, "Nothing came on this stream for as long as it may be silent.")
	}
	return n, bodyError(err)
}

// Pace says whether the client is within an item, which must go on as fast as a body must: BodyTimeout from now, and a second more for
// each BodyMinRate bytes. Between items it may be silent.
func (b *BodyStream) Pace(within bool) {
	s := b.source
	switch {
	case !within:
		s.within = time.Time{}
	case s.within.IsZero():
		s.within, s.had = time.Now(), b.call.read
	}
}

// Hold counts n bytes in the budget of all bodies, in place of what it counted before: what the caller keeps of an item that is not complete.
// Errors: CodeTooManyRequests when the budget is spent.
func (b *BodyStream) Hold(n int64) error {
	body := &b.call.body
	body.of = b.call.server.bodies
	if n <= b.held {
		body.shrink(b.held - n)
	} else if err := body.grow(n - b.held); err != nil {
		return err
	}
	b.held = n
	return nil
}

// Interrupt ends a Read that waits, and all that follow, with ErrInterrupted. Any goroutine may call it.
func (b *BodyStream) Interrupt() {
	b.source.interrupted.Store(true)
	b.call.setReadDeadline(time.Now().Add(-time.Second))
}

// Late reports whether the last read came to its deadline. net/http ends the request's context then, and the client may still be there.
// Any goroutine may ask.
func (b *BodyStream) Late() bool { return int64(time.Since(start)) >= b.source.until.Load() }

// ErrInterrupted says that reading a body was ended by Interrupt.
var ErrInterrupted = errors.New("reading the request body was interrupted")

// Close frees what decompression holds, and takes the deadline off. A body that has not come to its end ends the connection with the reply:
// in full duplex net/http would wait for the rest without a deadline, or take it for the next request.
func (b *BodyStream) Close() {
	b.closer()
	_ = b.Hold(0) // to hold less is never refused
	if b.source.ended {
		b.call.endBody()
		return
	}
	b.call.setReadDeadline(time.Now().Add(-time.Second))
	b.call.closeAfterReply()
}

// closeAfterReply has net/http close the connection after this reply, even when the headers are out, and not before a client that still
// sends can have got it. http.MaxBytesReader alone can tell it that, by meeting its limit. HTTP/2 ends the one stream by itself.
func (c *Call) closeAfterReply() {
	limited := http.MaxBytesReader(c.ResponseWriter, io.NopCloser(strings.NewReader("x")), 0)
	_, _ = limited.Read(make([]byte, 1)) // the error is the purpose
}

const never = math.MaxInt64

// pacedReader sets the deadline of each read.
type pacedReader struct {
	call   *Call
	idle   time.Duration
	within time.Time // when the item under way began; zero between items
	had    int64     // bytes that had come by then

	interrupted atomic.Bool
	ended       bool         // the body has come to its end
	until       atomic.Int64 // the deadline of the read that waits, or that came to it: nanoseconds since start; never between reads
	late        bool         // the deadline itself ended the last read: net/http ends the request's context then, which may look like an interruption
}

func (r *pacedReader) Read(p []byte) (int, error) {
	c := r.call
	cfg := &c.server.cfg
	until := time.Now().Add(r.idle)
	if !r.within.IsZero() {
		earned := time.Duration(c.read-r.had) * time.Second / time.Duration(cfg.BodyMinRate)
		until = r.within.Add(cfg.BodyTimeout + earned)
	}
	r.until.Store(int64(until.Sub(start)))
	c.setReadDeadline(until)
	if r.interrupted.Load() { // looked at after the deadline was set, which may have undone Interrupt's
		return 0, ErrInterrupted
	}
	n, err := c.R.Body.Read(p)
	c.read += int64(n)
	r.ended = err == io.EOF
	if r.late = err != nil && !time.Now().Before(until); !r.late {
		r.until.Store(never)
	}
	return n, err
}

// BodyReader reads the whole body bit by bit within the limits of Body: what is read counts in the budget of all bodies until the call
// ends, since the caller keeps it. For bodies of which the caller makes something else than one slice.
// Errors: those of Body.
func (c *Call) BodyReader() (io.Reader, error) {
	limit := c.server.cfg.MaxBody
	if c.R.ContentLength > limit {
		return nil, errTooLarge(limit)
	}
	c.body.of = c.server.bodies
	c.limitBody(limit)
	reader, closeReader, err := c.decompress(bodyReader{c}, c.R.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	return &limitedBody{call: c, r: reader, left: limit, closer: closeReader}, nil
}

type limitedBody struct {
	call   *Call
	r      io.Reader
	left   int64
	closer func()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge(b.call.server.cfg.MaxBody)
	}
	if grown := b.call.body.grow(int64(n)); grown != nil {
		return 0, grown
	}
	switch {
	case err == io.EOF:
		b.closer()
		b.call.endBody()
	case err != nil:
		err = bodyError(err)
	}
	return n, err
}
