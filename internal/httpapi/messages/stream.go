package messages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	streamRead   = 64 << 10 // bytes read at a time: what comes at once goes to Kafka at once
	streamBatch  = 512      // most messages that go to Kafka at a time: small ones take far more memory there than they have bytes
	streamWindow = 8        // such batches under way at a time, for each stream
)

// produceLines serves NDJSON: as a stream in both directions, unless the client wants one JSON document, a task, or an answer that can be
// given again.
func (a *API) produceLines(c *httpapi.Call, p *params) error {
	if err := a.Cluster.Topics().Allowed(p.message.Topic); err != nil { // a stream without end need not be read to be refused
		return err
	}
	if p.async || p.idemKey != "" || namesJSON(c.R.Header["Accept"]) && c.Accept == typeJSON {
		return a.produceLinesWhole(c, p)
	}
	in, err := c.BodyStream(a.cfg.StreamIdle)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := c.FullDuplex(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.R.Context())) // see watch
	defer cancel()
	s := &stream{api: a, call: c, params: p, in: in, ctx: ctx, cancel: cancel, window: make(chan *sent, streamWindow)}
	return s.run()
}

// namesJSON reports whether Accept names application/json itself.
func namesJSON(accept []string) bool {
	for _, header := range accept {
		if strings.Contains(header, typeJSON) {
			return true
		}
	}
	return false
}

// stream is a request whose messages are answered while more of them come. The handler reads and sends; a second goroutine waits for
// outcomes and writes them in order. The window between the two bounds what is under way: when the client does not take its answers, or
// Kafka is slow, reading stops.
type stream struct {
	api    *API
	call   *httpapi.Call
	params *params
	in     *httpapi.BodyStream
	ctx    context.Context //nolint:containedctx // ends when there is no more use in going on
	cancel context.CancelFunc
	window chan *sent

	// of the writer
	out   *httpapi.Stream // nil until the reply has begun
	tally tally
	index int64
	dirty bool
	held  []byte
}

// sent is what was read at a time.
type sent struct {
	messages []produce.Message
	batch    *produce.Batch
	err      error // instead of a batch: of all its messages
}

func (s *stream) run() error {
	written, done := make(chan error, 1), make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(done) })
	go func() { // run waits for it below
		err := s.write()
		if err != nil {
			s.cancel() // a reader that waits for the client learns that there is nobody to answer
		}
		written <- err
	}()
	readErr := s.read()
	close(s.window)
	writeErr := <-written
	close(done)
	watcher.Wait()
	if writeErr != nil {
		return writeErr
	}
	return s.finish(readErr)
}

// watch ends reading when the proxy shuts down, or when there is no more use in it. The request's context also ends when the client has been
// silent for too long: reading has ended then, and what is under way is still to be waited for and told.
func (s *stream) watch(done <-chan struct{}) {
	over := s.call.R.Context().Done()
	for {
		select {
		case <-over:
			if s.in.Late() {
				over = nil
				continue
			}
			s.cancel()
			s.in.Interrupt()
		case <-s.call.Draining():
			s.in.Interrupt()
		case <-s.ctx.Done():
			s.in.Interrupt()
		case <-done:
		}
		return
	}
}

// read takes lines off the body and hands them to Kafka until the body ends. A line that has come in part only is no message, unless the
// body's proper end completes it.
func (s *stream) read() error {
	buf := make([]byte, 0, streamRead)
	skipping := false // within a line that is too long
	for {
		if len(buf) == cap(buf) {
			size := min(2*cap(buf), s.api.cfg.MaxLine+streamRead)
			if err := s.in.Hold(int64(size - streamRead)); err != nil { // few streams have long lines, and a client may have many without an end
				return err
			}
			buf = append(make([]byte, 0, size), buf...)
		}
		s.in.Pace(len(buf) > 0 || skipping)
		n, err := s.in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := bytes.LastIndexByte(buf, '\n') + 1
		if err == io.EOF {
			end = len(buf)
		}
		lines, rest := buf[:end], buf[end:]
		if skipping && end > 0 {
			_, lines, _ = bytes.Cut(lines, []byte{'\n'})
			skipping = false
		}
		if sendErr := s.send(lines); sendErr != nil {
			return sendErr
		}
		switch {
		case skipping:
			rest = nil
		case len(rest) > s.api.cfg.MaxLine:
			if sendErr := s.push(&sent{messages: []produce.Message{s.tooLong()}}); sendErr != nil {
				return sendErr
			}
			rest, skipping = nil, true
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if end > 0 {
			s.in.Pace(false) // the next line's time begins with it
		}
		if cap(buf) > streamRead && len(rest) < streamRead/2 {
			buf = make([]byte, 0, streamRead)
			_ = s.in.Hold(0)
		}
		buf = append(buf[:0], rest...)
	}
}

func (s *stream) tooLong() produce.Message {
	m := s.params.message
	m.Err = kafkarest.Errorf(kafkarest.CodeTooLarge, "The line is longer than %d bytes.", s.api.cfg.MaxLine)
	return m
}

// send hands over the messages of whole lines, which are copied: Kafka keeps them for longer than the buffer does.
func (s *stream) send(lines []byte) error {
	if len(bytes.TrimSpace(lines)) == 0 {
		return nil
	}
	lines = bytes.Clone(lines)
	for len(lines) > 0 {
		var messages []produce.Message
		if messages, lines = s.take(lines); len(messages) == 0 {
			continue
		}
		if err := s.push(&sent{messages: messages}); err != nil {
			return err
		}
	}
	return nil
}

// take makes the next batch of messages and gives the lines that are left.
func (s *stream) take(lines []byte) ([]produce.Message, []byte) {
	messages := make([]produce.Message, 0, min(bytes.Count(lines, []byte{'\n'})+1, streamBatch))
	for len(lines) > 0 && len(messages) < streamBatch {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) > 0 {
			messages = append(messages, s.api.line(s.params, line))
		}
	}
	return messages, lines
}

// push prepares a batch, waits for its place in the window and sends it.
func (s *stream) push(item *sent) error {
	set := s.params.set
	set.Messages, set.Patient = item.messages, true
	item.batch, item.err = s.api.Produce.Prepare(s.ctx, &set)
	if item.batch != nil {
		item.batch.Send(nil)
	}
	select {
	case s.window <- item:
		return nil
	case <-s.ctx.Done():
		return httpapi.ErrInterrupted
	}
}

// write answers in order until the reader has closed the window.
func (s *stream) write() error {
	for {
		item, more, err := s.next()
		if err != nil || !more {
			return err
		}
		if err := s.answer(item); err != nil {
			return err
		}
	}
}

// settle is how long the first answers wait for the end of the request: a short one gets the status that all of it deserves.
const settle = 10 * time.Millisecond

// next takes what comes next off the window. Answers that have been written do not wait for it.
func (s *stream) next() (item *sent, more bool, err error) {
	select {
	case item, more = <-s.window:
		return item, more, nil
	default:
	}
	if s.out == nil && s.dirty {
		timer := time.NewTimer(settle)
		defer timer.Stop()
		select {
		case item, more = <-s.window:
			return item, more, nil
		case <-timer.C:
		}
	}
	if err := s.flush(); err != nil {
		return nil, false, err
	}
	item, more = <-s.window
	return item, more, nil
}

// answer waits for a batch and writes its outcomes.
func (s *stream) answer(item *sent) error {
	if item.batch != nil && !item.batch.Settled() {
		if err := s.flush(); err != nil {
			return err
		}
		item.batch.Wait(s.ctx)
	}
	results := item.results()
	for i := range results {
		index := int64(-1)
		if s.params.minimal {
			index = s.index
		}
		if s.index++; s.params.minimal && results[i].Err == nil {
			s.tally.add(nil, 0)
			continue
		}
		s.held = append(appendOutcome(s.held, targetOf(&item.messages[i]), &results[i], index, &s.tally), '\n')
	}
	s.dirty = len(s.held) > 0
	if len(s.held) < streamRead {
		return nil
	}
	return s.flush()
}

// results are the outcomes of a batch, or one error for each of its messages.
func (item *sent) results() []produce.Result {
	if item.batch != nil {
		return item.batch.Results()
	}
	results := make([]produce.Result, len(item.messages))
	e := kafkarest.AsError(item.err)
	for i := range results {
		if results[i].Err = item.messages[i].Err; results[i].Err == nil {
			results[i].Err = e
		}
	}
	return results
}

// flush sends what there is. The status is out then: 207, since it is not known yet what it will be.
func (s *stream) flush() error {
	if !s.dirty {
		return nil
	}
	if s.out == nil {
		s.begin(http.StatusMultiStatus)
	}
	if _, err := s.out.Write(s.held); err != nil {
		return err
	}
	s.held, s.dirty = s.held[:0], false
	return s.out.Flush()
}

func (s *stream) begin(status int) {
	s.call.Accept = typeNDJSON
	if s.params.minimal {
		s.call.Header().Set("Preference-Applied", "return=minimal")
	}
	s.out = s.call.Stream(status)
}

// finish writes the end of the reply. One that has not begun yet has the status that all of its messages deserve.
func (s *stream) finish(readErr error) error {
	if readErr != nil && s.out == nil && s.tally.stored+s.tally.failed == 0 {
		return s.ending(readErr)
	}
	failed := strconv.Itoa(s.tally.failed)
	switch {
	case s.out != nil:
		s.call.Header().Set(http.TrailerPrefix+failedHeader, failed)
	case s.tally.stored+s.tally.failed == 0:
		return unprocessable("The request has no messages.")
	default:
		if s.tally.failed > 0 {
			s.call.Header().Set(failedHeader, failed)
		}
		status := s.tally.status()
		if readErr != nil {
			status = http.StatusMultiStatus
		}
		s.begin(status)
	}
	if readErr != nil {
		s.appendEnding(readErr)
	}
	s.held = s.tally.appendSummary(s.held)
	_, err := s.out.Write(s.held)
	return err
}

// appendEnding writes the line about what ended reading. The same request may be sent again only if none of its messages is stored or in doubt.
func (s *stream) appendEnding(readErr error) {
	f := classify(kafkarest.AsError(s.ending(readErr)))
	f.retriable = f.retriable && s.tally.stored+s.tally.doubt == 0
	b := f.append(append(append(s.held, '{'), errorMember...))
	b = append(b[:len(b)-1], `,"topic":`...)
	b, _ = jsontext.AppendQuote(b, s.params.message.Topic)
	b = append(b, `,"request_id":`...)
	b, _ = jsontext.AppendQuote(b, s.call.RequestID)
	b = append(b, "}}\n"...)
	s.held = b
}

// ending says why reading ended before the body did.
func (s *stream) ending(err error) error {
	const rest = "messages behind the last one that is answered were not taken."
	switch {
	case !errors.Is(err, httpapi.ErrInterrupted):
		return err
	case draining(s.call):
		return kafkarest.Errorf(kafkarest.CodeDraining, "The proxy is shutting down: %s", rest)
	case errors.Is(s.call.R.Context().Err(), context.DeadlineExceeded):
		return kafkarest.Errorf(kafkarest.CodeTimeout, "The request has come to its deadline (request.timeout.ms): %s", rest)
	}
	return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the connection broke: %s", rest)
}
