// Package load is the load generator of the benches: HTTP/1.1 over raw keep-alive connections, a fixed count of requests in a
// bounded time, every reply checked. It shares the machine's cores with what it measures, so it does no more work for a request
// than to write bytes that were built once and to look at what comes back.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// maxBody is the most bytes that one reply may have; a longer one is an error, not memory.
const maxBody = 256 << 20

// Conn is one keep-alive HTTP/1.1 connection. It is for one goroutine at a time.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

// Dial connects to addr ("host:port") within ctx.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &Conn{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// Close closes the connection; a Do that is under way fails.
func (c *Conn) Close() error { return c.conn.Close() }

// Do writes request as it is and reads one reply, both before deadline. The body is valid until the next Do. After an error the
// connection is of no more use.
func (c *Conn) Do(request []byte, deadline time.Time) (status int, body []byte, err error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return 0, nil, fmt.Errorf("deadline: %w", err)
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, fmt.Errorf("write: %w", err)
	}
	status, frame, err := c.readHead()
	if err != nil {
		return 0, nil, fmt.Errorf("reply head: %w", err)
	}
	c.body = c.body[:0]
	if frame.chunked {
		err = c.readChunks()
	} else {
		err = c.readN(frame.length)
	}
	if err != nil {
		return status, nil, fmt.Errorf("reply body: %w", err)
	}
	return status, c.body, nil
}

// framing says how a reply's body ends.
type framing struct {
	chunked bool
	length  int64
}

// readHead reads the status line and the headers, of which only those that frame the body matter.
func (c *Conn) readHead() (int, framing, error) {
	line, err := c.readLine()
	if err != nil {
		return 0, framing{}, err
	}
	status, err := parseStatusLine(line)
	if err != nil {
		return 0, framing{}, err
	}
	frame := framing{length: -1}
	for {
		line, err := c.readLine()
		if err != nil {
			return status, frame, err
		}
		if len(line) == 0 {
			break
		}
		if err := frame.header(line); err != nil {
			return status, frame, err
		}
	}
	if status == 204 || status == 304 {
		return status, framing{}, nil
	}
	if !frame.chunked && frame.length < 0 {
		return status, frame, errors.New("neither Content-Length nor chunked: the connection cannot be kept")
	}
	return status, frame, nil
}

func parseStatusLine(line []byte) (int, error) {
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("status line %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("status line %q", line)
	}
	return status, nil
}

func (f *framing) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("header line %q", line)
	}
	value = bytes.TrimSpace(value)
	switch {
	case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("header line %q", line)
		}
		f.length = n
	case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = bytes.EqualFold(value, []byte("chunked"))
	}
	return nil
}

// readLine reads up to the line feed and cuts the line end. The slice is valid until the next read.
func (c *Conn) readLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// readN appends the next n bytes to the body.
func (c *Conn) readN(n int64) error {
	start := len(c.body)
	if n > maxBody-int64(start) {
		return fmt.Errorf("longer than %d bytes", maxBody)
	}
	need := start + int(n)
	if cap(c.body) < need {
		grown := make([]byte, start, max(need, 2*cap(c.body)))
		copy(grown, c.body)
		c.body = grown
	}
	c.body = c.body[:need]
	_, err := io.ReadFull(c.in, c.body[start:])
	return err
}

// readChunks appends every chunk to the body and reads past the trailers.
func (c *Conn) readChunks() error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("chunk size %q", line)
		}
		if n == 0 {
			return c.readTrailers()
		}
		if err := c.readN(n); err != nil {
			return err
		}
		if end, err := c.readLine(); err != nil || len(end) != 0 {
			return fmt.Errorf("chunk end %q: %w", end, err)
		}
	}
}

func (c *Conn) readTrailers() error {
	for {
		line, err := c.readLine()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}
