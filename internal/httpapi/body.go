package httpapi

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest"

	"github.com/klauspost/compress/zstd"
)

// budget bounds the bytes that many requests hold at once.
type budget struct {
	limit int64
	used  atomic.Int64

	joining sync.Mutex // held while a body is put together for which the budget has no room twice
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// requestBody is the memory that a call's body has taken of the budget.
type requestBody struct {
	of    *budget
	taken int64
}

func (b *requestBody) release() {
	if b.taken > 0 {
		b.of.used.Add(-b.taken)
	}
}

func (b *requestBody) shrink(n int64) {
	b.of.used.Add(-n)
	b.taken -= n
}

// grow takes so much more of the budget, or says that the proxy is full.
func (b *requestBody) grow(n int64) error {
	if !b.of.take(n) {
		return &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: time.Second,
			Message: "The proxy holds as many bytes of request bodies as request.buffer.bytes allows; try again later."}
	}
	b.taken += n
	return nil
}

// Body reads the whole request body, decompressed. The result is the caller's to keep.
// Errors: 413 above the limit, 408 when it comes too slowly, 415 for an encoding other than gzip, zstd and identity, 400 when it does not
// decompress or ends early, 429 when all bodies together are too many.
func (c *Call) Body() ([]byte, error) {
	encoding := c.R.Header.Get("Content-Encoding")
	if c.R.ContentLength == 0 && encoding == "" {
		return nil, nil
	}
	limit := c.server.cfg.MaxBody
	if c.R.ContentLength > limit {
		return nil, errTooLarge(limit)
	}
	c.body.of = c.server.bodies
	c.limitBody(limit)
	body, err := c.readAll(encoding, limit)
	if err != nil {
		return nil, bodyError(err)
	}
	c.endBody()
	return body, nil
}

// limitBody has net/http wait, before it closes, until a client that still sends beyond the limit has got the answer.
func (c *Call) limitBody(limit int64) {
	if c.R.ContentLength < 0 {
		c.R.Body = http.MaxBytesReader(c.ResponseWriter, c.R.Body, limit)
	}
}

// readAll reads a body into memory that grows with what has come, so that a length that is only announced costs nothing.
func (c *Call) readAll(encoding string, limit int64) ([]byte, error) {
	r, closeReader, err := c.decompress(bodyReader{c}, encoding)
	if err != nil {
		return nil, err
	}
	defer closeReader()
	p := pieces{of: &c.body, first: firstPiece, limit: limit}
	if size := c.R.ContentLength; size > 0 && encoding == "" {
		p.limit = size
		if size <= piece {
			p.first = size
		}
	}
	defer p.free()
	for {
		room, err := p.room()
		if err != nil {
			return nil, err
		}
		n, err := r.Read(room)
		p.took(n)
		switch {
		case p.size > p.limit:
			return nil, errTooLarge(limit)
		case err == io.EOF:
			return p.join(), nil
		case err != nil:
			return nil, err
		}
	}
}

func errTooLarge(limit int64) error {
	return kafkarest.Errorf(kafkarest.CodeTooLarge,
		"The request body is larger than %d bytes (request.max.bytes, which counts after decompression): send fewer records in a request.", limit)
}

// bodyError classifies what reading a body can end with.
func bodyError(err error) error {
	if e := (*kafkarest.Error)(nil); errors.As(err, &e) {
		return e
	}
	var netErr net.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return kafkarest.Wrap(kafkarest.CodeRequestTimeout, err, "Timeout while reading from inputStream: the request body came too slowly.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the request body ended early.")
	}
	return kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the request body cannot be read.")
}

// decompress undoes the Content-Encoding. What a zstd decoder keeps counts in the budget of all bodies until the returned function is called:
// a dozen bytes can ask for 8 MiB.
func (c *Call) decompress(r io.Reader, encoding string) (io.Reader, func(), error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, func() {}, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, compressedError(err)
		}
		return compressedReader{z}, func() {}, nil
	case "zstd":
		head := bufio.NewReader(r)
		window := zstdWindow(head)
		c.body.of = c.server.bodies
		if err := c.body.grow(window); err != nil {
			return nil, nil, err
		}
		z, err := zstd.NewReader(head, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(uint64(window)), zstd.WithDecoderMaxWindow(uint64(window)))
		if err != nil {
			return nil, nil, compressedError(err)
		}
		return compressedReader{z}, func() { z.Close(); c.body.shrink(window); window = 0 }, nil
	}
	return nil, nil, errEncoding(encoding)
}

// decompresses reports whether decompress knows an encoding.
func decompresses(encoding string) bool {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity", "gzip", "x-gzip", "zstd":
		return true
	}
	return false
}

func errEncoding(encoding string) error {
	return kafkarest.Errorf(kafkarest.CodeUnsupportedMediaType,
		"Content-Encoding %q is not supported: send gzip, zstd or no encoding.", clip(encoding))
}

// zstdWindow is what the header of the first frame asks for, between 1 and 8 MiB. Frames after it may ask for no more.
func zstdWindow(r *bufio.Reader) int64 {
	var h zstd.Header
	head, _ := r.Peek(zstd.HeaderMaxSize) // an error comes again with the next read
	_ = h.Decode(head)                    // the decoder says what is wrong with it
	if h.SingleSegment {
		h.WindowSize = h.FrameContentSize
	}
	return int64(min(max(h.WindowSize, 1<<20), 8<<20))
}

type compressedReader struct{ io.Reader }

func (r compressedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = compressedError(err)
	}
	return n, err
}

func compressedError(err error) error {
	if e := bodyError(err); kafkarest.AsError(e).Code != kafkarest.CodeBadRequest {
		return e
	}
	return kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the request body is not what its Content-Encoding says.")
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// beginBody gives the body its deadline, whether the handler will read it or not: net/http reads on in what was left, before and after the
// reply.
func (c *Call) beginBody() {
	c.bodyUntil = time.Now().Add(c.server.cfg.BodyTimeout)
	c.setReadDeadline(c.bodyUntil)
}

// bodyReader moves the deadline with what has come: a second more for each BodyMinRate bytes.
type bodyReader struct{ call *Call }

func (r bodyReader) Read(p []byte) (int, error) {
	c := r.call
	if c.bodyUntil.IsZero() { // in tests without a server
		c.beginBody()
	}
	c.setReadDeadline(c.bodyUntil.Add(time.Duration(c.read) * time.Second / time.Duration(c.server.cfg.BodyMinRate)))
	n, err := c.R.Body.Read(p)
	c.read += int64(n)
	return n, err
}

// endBody takes the deadline off once the whole body has come: net/http goes on reading to notice that the client went away.
func (c *Call) endBody() { c.setReadDeadline(time.Time{}) }

func (c *Call) setReadDeadline(t time.Time) {
	if c.conn != nil {
		_ = c.conn.SetReadDeadline(t)
		return
	}
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(t) // of the stream, with HTTP/2; there is none in some tests
}
