package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// The tests of messages_clients_* are clients over a bare socket that hang up, do not read, or take their time, at every step of every kind
// of request and reply. clientLimits make the proxy's patience with them short.
var clientLimits = map[string]string{
	"request.header.timeout.ms": "1000", "request.body.timeout.ms": "1000", "response.write.timeout.ms": "1000", "idle.timeout.ms": "3000",
	"messages.stream.idle.timeout.ms": "1000", "messages.heartbeat.ms": "200",
}

// wireRequest is a request as it goes over the wire.
type wireRequest struct {
	name    string
	line    string // method and path
	headers string // each with its line end
	body    string // "" for none
	chunked bool
}

func (r *wireRequest) head() string {
	head := r.line + " HTTP/1.1\r\nHost: x\r\n" + r.headers
	switch {
	case r.chunked:
		head += "Transfer-Encoding: chunked\r\n"
	case r.body != "":
		head += fmt.Sprintf("Content-Length: %d\r\n", len(r.body))
	}
	return head + "\r\n"
}

// content is the body as it goes over the wire, in chunks of 100 bytes if in any.
func (r *wireRequest) content() string {
	if !r.chunked {
		return r.body
	}
	var out strings.Builder
	for rest := r.body; rest != ""; {
		n := min(100, len(rest))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	return out.String() + "0\r\n\r\n"
}

func (r *wireRequest) text() string { return r.head() + r.content() }

// wireCut is a part of a request.
type wireCut struct {
	name string
	text string
	sent string // what of the body is in it
}

// cuts are the places at which a client may go while it sends; the last one is the end.
func (r *wireRequest) cuts() []wireCut {
	head, content := r.head(), r.content()
	line := strings.Index(head, "\r\n") + 2
	out := []wireCut{{"request line", head[:line], ""}, {"half the headers", head[:line+(len(head)-line)/2], ""}}
	if r.body != "" {
		half, most := len(content)/2, len(content)-1
		if r.chunked {
			most = len(content) - len("0\r\n\r\n")
		}
		out = append(out, wireCut{"headers", head, ""}, wireCut{"half the body", head + content[:half], r.body[:r.bodyWithin(half)]},
			wireCut{"all but the end", head + content[:most], r.body[:r.bodyWithin(most)]})
	}
	return append(out, wireCut{"whole", head + content, r.body})
}

// bodyWithin is how much of the body is in the first n bytes of what goes over the wire.
func (r *wireRequest) bodyWithin(n int) (body int) {
	if !r.chunked {
		return n
	}
	for rest := len(r.body); rest > 0; rest -= 100 {
		chunk := min(100, rest)
		head := len(fmt.Sprintf("%x\r\n", chunk))
		body += min(chunk, max(0, n-head))
		n -= head + chunk + 2
	}
	return body
}

// hangUps are the ways in which a client goes. What they give is what it still got of the reply, and whether it was let go.
var hangUps = []struct {
	name string
	do   func(c *net.TCPConn) (reply string, err error)
}{
	{"RST", func(c *net.TCPConn) (string, error) { return "", errors.Join(c.SetLinger(0), c.Close()) }},
	{"FIN", func(c *net.TCPConn) (string, error) {
		defer c.Close()
		if err := c.CloseWrite(); err != nil {
			return "", err
		}
		return readOut(c)
	}},
}

// readOut reads until the proxy closes the connection, in whichever way. Only that it does not is an error.
func readOut(c *net.TCPConn) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return string(reply), fmt.Errorf("the proxy does not close the connection; it said %.300q", reply)
	}
	return string(reply), nil
}

// dialWire opens a connection and sends something.
func dialWire(t testing.TB, url, text string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// readWire reads n bytes of a reply, or to its end.
func readWire(t testing.TB, c *net.TCPConn, n int) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, n)
	got, err := io.ReadFull(c, b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d of %d bytes came: %.300q", got, n, b[:got])
	}
	return b[:got]
}

// servedPorts are the clients' ports of the connections that a proxy has open. The kernel may keep others for longer, which it has closed.
func servedPorts(t testing.TB, url string) map[int]bool {
	t.Helper()
	own, err := strconv.Atoi(url[strings.LastIndexByte(url, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	ports := map[int]bool{}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		const listening = "0A"
		if len(f) < 10 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", own)) || f[3] == listening || f[9] == "0" {
			continue
		}
		port, err := strconv.ParseInt(f[2][strings.IndexByte(f[2], ':')+1:], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		ports[int(port)] = true
	}
	return ports
}

// awaitClosed waits until the proxy has closed its ends of connections, whose names it gives otherwise.
func awaitClosed(t testing.TB, url string, conns map[string]*net.TCPConn) {
	t.Helper()
	var open []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		served := servedPorts(t, url)
		open = nil
		for name, c := range conns {
			if served[c.LocalAddr().(*net.TCPAddr).Port] {
				open = append(open, name)
			}
		}
		if len(open) == 0 {
			return
		}
	}
	t.Errorf("the proxy keeps %d connections: %s", len(open), strings.Join(open, "; "))
}

// leftOvers is what clients that have gone might leave in this process, of which the proxy is a part. The goroutines of the clients of Kafka,
// and of the embedded broker, are not counted: they come and go by themselves.
type leftOvers struct{ goroutines, files, conns int }

func leftNow(t testing.TB, url string) (leftOvers, string) {
	t.Helper()
	harness.Client.CloseIdleConnections()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
		t.Fatal(err)
	}
	goroutines := 0
	var counted strings.Builder
	for block := range strings.SplitSeq(stacks.String(), "\n\n") { // "3 @ addresses", then a line for each frame
		if number, _, ok := strings.Cut(strings.TrimSpace(block), " @ "); ok && !strings.Contains(block, "twmb/franz-go") {
			n, _ := strconv.Atoi(number[strings.LastIndexByte(number, '\n')+1:])
			goroutines += n
			counted.WriteString(block + "\n\n")
		}
	}
	return leftOvers{goroutines, len(files), len(servedPorts(t, url))}, counted.String()
}

// atRest waits until nothing goes away any more, and is what is left then.
func atRest(t testing.TB, url string) leftOvers {
	t.Helper()
	least, _ := leftNow(t, url)
	for since := time.Now(); time.Since(since) < 300*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		if now, _ := leftNow(t, url); now.goroutines < least.goroutines || now.files < least.files || now.conns < least.conns {
			least, since = now, time.Now()
		}
	}
	return least
}

// wantNoMore waits until no more is left than before, but for a few things that others open and close.
func wantNoMore(t testing.TB, url string, before leftOvers) {
	t.Helper()
	const goroutines, files = 3, 8
	var now leftOvers
	var stacks string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		now, stacks = leftNow(t, url)
		if now.goroutines <= before.goroutines+goroutines && now.files <= before.files+files && now.conns == 0 {
			return
		}
	}
	t.Errorf("left of clients that have gone: %+v, before them %+v\n%.6000s", now, before, stacks)
}
