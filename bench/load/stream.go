package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"time"
)

// TypeLines is the media type of NDJSON.
const TypeLines = "application/x-ndjson"

// Begin writes a request, or the first part of one. The deadline is that of all that follows on the connection.
func (c *Conn) Begin(data []byte, deadline time.Time) error {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	return c.Send(data)
}

// Send writes more of a request. One goroutine may send while another one reads.
func (c *Conn) Send(data []byte) error {
	if _, err := c.conn.Write(data); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Reply reads a reply's head and gives its body as it comes. The connection is of no use after that.
func (c *Conn) Reply() (status int, body io.Reader, err error) {
	status, frame, err := c.readHead()
	if err != nil {
		return status, nil, fmt.Errorf("reply head: %w", err)
	}
	if frame.chunked {
		return status, httputil.NewChunkedReader(c.in), nil
	}
	return status, io.LimitReader(c.in, frame.length), nil
}

// eachLine calls each with every line of a body, without its end, until the body ends. The line is valid during the call.
func eachLine(body io.Reader, each func(line []byte) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 16<<10), 1<<20)
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Streamed is what StreamLines saw. The embedded Reading counts the outcomes: records that are stored, and gaps and repeats of their offsets.
type Streamed struct {
	Reading
	Last string // line of the reply: the summary, unless the reply was cut off
}

// StreamLines posts one request of NDJSON: lines, again and again, times times. It reads the outcomes while it sends. The topic must be
// new: each partition's outcomes are wanted in order from offset 0.
func StreamLines(ctx context.Context, addr, path string, lines []byte, times int, limit time.Duration) (Streamed, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := Dial(ctx, addr)
	if err != nil {
		return Streamed{}, err
	}
	defer conn.Close()                                            //nolint:errcheck // the reply was read, or is of no more use
	hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() }) // that ends what goes on below
	defer hangUp()
	start := time.Now()
	deadline, _ := ctx.Deadline()
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", path, addr, TypeLines)
	if err := conn.Begin([]byte(head), deadline); err != nil {
		return Streamed{}, err
	}
	sent := make(chan error, 1)
	go func() { sent <- sendChunks(conn, lines, times) }()
	out := outcomes{sequence: sequence{next: map[int]int64{}}}
	err = out.read(conn)
	_ = conn.Close() // ends the sender, which has nobody left to send to
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	out.Took = time.Since(start)
	return Streamed{Reading: out.Reading, Last: out.last}, err
}

func sendChunks(conn *Conn, data []byte, times int) error {
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data)
	for range times {
		if err := conn.Send(chunk); err != nil {
			return err
		}
	}
	return conn.Send([]byte("0\r\n\r\n"))
}

// outcomes follows the lines of a reply.
type outcomes struct {
	sequence

	last string
}

func (o *outcomes) read(conn *Conn) error {
	status, body, err := conn.Reply()
	if err != nil {
		return err
	}
	if status != 200 && status != 207 {
		text, _ := io.ReadAll(io.LimitReader(body, 200)) // what there is
		return fmt.Errorf("stream: status %d: %s", status, text)
	}
	if err := eachLine(body, o.line); err != nil {
		return err
	}
	if o.last == "" {
		return errors.New("the stream was cut off: no summary")
	}
	return nil
}

func (o *outcomes) line(line []byte) error {
	if bytes.HasPrefix(line, []byte(`{"done":`)) {
		o.last = string(line)
		return nil
	}
	before := o.Records + o.Repeats
	if err := Records(line, o.record); err != nil {
		return err
	}
	if o.Records+o.Repeats != before+1 {
		return fmt.Errorf("no outcome of a stored record: %s", clip(line))
	}
	return nil
}

// Lines is n values as Value gives them, a line each.
func Lines(n, size int) []byte {
	var b strings.Builder
	for i := range n {
		b.WriteString(Value(i, size) + "\n")
	}
	return []byte(b.String())
}

// Tail is one reader of an event stream. Close it.
type Tail struct {
	conn *Conn
	body io.Reader
}

// OpenTail asks for the events at path and returns when the reply has begun: what is produced from then on must come.
func OpenTail(ctx context.Context, addr, path string, deadline time.Time) (*Tail, error) {
	conn, err := Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	t := &Tail{conn: conn}
	if err := t.begin(addr, path, deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

func (t *Tail) begin(addr, path string, deadline time.Time) error {
	if err := t.conn.Begin(Request("GET", addr, path, "", "text/event-stream", ""), deadline); err != nil {
		return err
	}
	status, body, err := t.conn.Reply()
	if err != nil {
		return err
	}
	if status != 200 {
		text, _ := io.ReadAll(io.LimitReader(body, 200)) // what there is
		return fmt.Errorf("tail: status %d: %s", status, text)
	}
	t.body = body
	return nil
}

// Close ends the stream.
func (t *Tail) Close() error { return t.conn.Close() }

// errEnough ends reading.
var errEnough = errors.New("enough")

// Read follows the events until want records have come, each partition from offset 0. Without an error there may still be gaps and repeats.
func (t *Tail) Read(want int) (Reading, error) {
	seen := sequence{next: map[int]int64{}}
	err := eachLine(t.body, func(line []byte) error {
		if bytes.HasPrefix(line, []byte("event: ")) {
			return fmt.Errorf("an event that is no message: %s", clip(line))
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			return nil
		}
		if err := Records(data, seen.record); err != nil {
			return err
		}
		if seen.Records >= want {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		err = nil
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = fmt.Errorf("tail after %d of %d records: %w", seen.Records, want, err)
	}
	return seen.Reading, err
}
