package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// answerLine is a line of the reply to a stream.
type answerLine struct {
	messageOutcome
	Message *int `json:"message"`
	Done    bool `json:"done"`
	Stored  int  `json:"stored"`
	Failed  int  `json:"failed"`
	InDoubt int  `json:"in_doubt"`
}

func answerLines(t testing.TB, body string) []answerLine {
	t.Helper()
	var out []answerLine
	for line := range strings.Lines(body) {
		var a answerLine
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		out = append(out, a)
	}
	return out
}

const ndjson = "application/x-ndjson"

// A stream that is short has the status that all of it deserves; its lines are the messages, and blank ones are none.
func TestMessagesStreamThatIsShort(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		for _, test := range []struct {
			path, body     string
			status         int
			stored, failed int
		}{
			{topic, "1\n\n \r\n{\"a\": 2}\r\n\"last\"", 200, 3, 0},
			{topic, "1\n{\n3\n", 207, 2, 1},
			{topic, "{\n", 400, 0, 1},
			{topic + "?partition=7", "1\n2\n", 404, 0, 2},
			{harness.FreshName("no"), "1\n", 404, 0, 1},
			{topic, strings.Repeat("9", 1_200_000) + "\n1\n", 207, 1, 1},
		} {
			r := p.Do("POST", "/messages/"+test.path, test.body, "Content-Type", ndjson)
			lines := answerLines(t, r.Body)
			last := lines[len(lines)-1]
			if r.Status != test.status || !last.Done || last.Stored != test.stored || last.Failed != test.failed || len(lines) != test.stored+test.failed+1 {
				t.Errorf("%.40q: %d %s", test.body, r.Status, r.Body)
			}
		}
		log := harness.ReadLog(t, b, topic)
		if want := `1 {"a": 2} "last" 1 3 1 `; values(log) != want {
			t.Errorf("stored %s", values(log))
		}
	})
}

// duplex is a stream under way in both directions.
type duplex struct {
	t       testing.TB
	to      *io.PipeWriter
	from    *bufio.Reader
	resp    *http.Response
	answers chan error
}

func openDuplex(t testing.TB, client *http.Client, url string, headers ...string) *duplex {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", url, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", ndjson)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	d := &duplex{t: t, to: w, answers: make(chan error, 1)}
	go func() {
		var err error
		d.resp, err = client.Do(req)
		d.answers <- err
	}()
	return d
}

func (d *duplex) write(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.to, text); err != nil {
		d.t.Fatal(err)
	}
}

// line waits for the next line of the reply.
func (d *duplex) line() answerLine {
	d.t.Helper()
	if d.from == nil {
		if err := <-d.answers; err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = d.resp.Body.Close() })
		d.from = bufio.NewReader(d.resp.Body)
	}
	text, err := d.from.ReadString('\n')
	if err != nil {
		d.t.Fatalf("%v after %q", err, text)
	}
	return answerLines(d.t, text)[0]
}

func eachProtocol(t *testing.T, body func(t *testing.T, client *http.Client)) {
	t.Helper()
	for name, set := range map[string]func(*http.Protocols){
		"http1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"http2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
			set(transport.Protocols)
			t.Cleanup(transport.CloseIdleConnections)
			body(t, &http.Client{Transport: transport})
		})
	}
}

// Each message is answered while the request is still being written, in order, and so on without end.
func TestMessagesStreamInBothDirections(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	eachProtocol(t, func(t *testing.T, client *http.Client) {
		topic := harness.CreateTopic(t, b, 1)
		d := openDuplex(t, client, p.URL+"/messages/"+topic)
		for n := range 20 {
			if n%5 == 3 {
				d.write("no\n")
			} else {
				d.write(fmt.Sprintf("%d\n", n))
			}
			a := d.line()
			if (a.Error != nil) != (n%5 == 3) || a.Done {
				t.Fatalf("message %d: %+v", n, a)
			}
		}
		if d.resp.StatusCode != 207 || d.resp.Header.Get("Content-Type") != ndjson {
			t.Errorf("%d %v", d.resp.StatusCode, d.resp.Header)
		}
		d.write("5") // no newline: the end completes it
		_ = d.to.Close()
		if a := d.line(); a.Offset == nil {
			t.Errorf("%+v", a)
		}
		if a := d.line(); !a.Done || a.Stored != 17 || a.Failed != 4 {
			t.Errorf("%+v", a)
		}
		if _, err := d.from.ReadByte(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if got := d.resp.Trailer.Get("Kafka-Failed-Records"); got != "4" {
			t.Errorf("trailer %q", got)
		}
	})
}

// Many messages: each is answered once, in order, and memory does not grow with their number.
func TestMessagesStreamOfMany(t *testing.T) {
	const count = 200_000
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		d := openDuplex(t, http.DefaultClient, p.URL+"/messages/"+topic)
		go func() {
			w := bufio.NewWriterSize(d.to, 32<<10)
			for n := range count {
				fmt.Fprintf(w, `{"n":%d,"pad":"%s"}`+"\n", n, strings.Repeat("x", 70))
			}
			_ = w.Flush()
			_ = d.to.Close()
		}()
		for n := range count {
			if a := d.line(); a.Offset == nil || *a.Offset != int64(n) {
				t.Fatalf("message %d: %+v", n, a)
			}
		}
		if a := d.line(); !a.Done || a.Stored != count || a.Failed != 0 {
			t.Errorf("%+v", a)
		}
	})
}

// With Prefer: return=minimal only failures are told, with the numbers of their messages.
func TestMessagesStreamMinimal(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	r := p.Do("POST", "/messages/"+topic, "1\n2\nno\n4\n", "Content-Type", ndjson, "Prefer", "return=minimal")
	lines := answerLines(t, r.Body)
	if r.Status != 207 || len(lines) != 2 || lines[0].Message == nil || *lines[0].Message != 2 || lines[0].Error == nil || lines[1].Stored != 3 || r.Header.Get("Preference-Applied") != "return=minimal" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// A client that is silent within a message, or for too long between two, is told so; what it had sent is stored.
func TestMessagesStreamThatIsSilent(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.body.timeout.ms": "500", "messages.stream.idle.timeout.ms": "1500"})
	eachProtocol(t, func(t *testing.T, client *http.Client) {
		for _, rest := range []string{"", "half"} {
			topic := harness.CreateTopic(t, b, 1)
			d := openDuplex(t, client, p.URL+"/messages/"+topic)
			d.write("1\n")
			if a := d.line(); a.Offset == nil {
				t.Fatalf("%+v", a)
			}
			begin := time.Now()
			d.write(rest)
			if a := d.line(); a.Error == nil || a.Error.Code != 408 {
				t.Errorf("%q: %+v", rest, a)
			}
			took, least, most := time.Since(begin), 1400*time.Millisecond, 4*time.Second
			if rest != "" {
				least, most = 400*time.Millisecond, 3*time.Second
			}
			if took < least || took > most {
				t.Errorf("%q: after %v", rest, took)
			}
			if a := d.line(); !a.Done || a.Stored != 1 {
				t.Errorf("%q: %+v", rest, a)
			}
			if got := values(harness.ReadLog(t, b, topic)); got != "1 " {
				t.Errorf("%q: stored %s", rest, got)
			}
			_ = d.to.Close()
		}
	})
}

// A client that sends a byte now and then within a message is cut off too.
func TestMessagesStreamThatDrips(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.body.timeout.ms": "500"})
	topic := harness.CreateTopic(t, b, 1)
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", topic, ndjson)
	go func() {
		for range 100 {
			if _, err := c.Write([]byte("1\r\n1\r\n")); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	begin := time.Now()
	_ = c.SetReadDeadline(begin.Add(10 * time.Second))
	reply, err := io.ReadAll(c)
	if took := time.Since(begin); took > 4*time.Second || !strings.Contains(string(reply), "408") {
		t.Errorf("after %v: %v %s", took, err, reply)
	}
	if log := harness.ReadLog(t, b, topic); len(log) != 0 {
		t.Errorf("stored %s", dump(log...))
	}
}

// A client that never reads its answers is cut off in the end, and holds few of its messages in memory until then.
func TestMessagesStreamThatIsNotRead(t *testing.T) {
	b := harness.FakeBroker(t, 1)
	p := harness.StartProcess(t, b, map[string]string{"response.write.timeout.ms": "1000"})
	topic := harness.CreateTopic(t, b, 1)
	p.Do("PUT", "/messages/"+topic, "warm")
	before := p.RSS()
	const clients = 4
	ended := make(chan error, clients)
	for range clients {
		go func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
			if err != nil {
				ended <- err
				return
			}
			defer c.Close()
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			_ = c.SetWriteDeadline(time.Now().Add(45 * time.Second))
			fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", topic, ndjson)
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 40_000, strings.Repeat("123\n", 10_000)) // the kernel takes some MB of answers first
			for {
				if _, err := io.WriteString(c, chunk); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range clients {
		if err := <-ended; err == nil || strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("not cut off: %v", err)
		}
	}
	if grown := p.PeakRSS() - before; grown > 96<<20 {
		t.Errorf("it took %d MiB more", grown>>20)
	}
	p.Do("PUT", "/messages/"+topic, "after")
}

// Shutting down ends a stream between two messages and says so; all that was answered is stored.
func TestMessagesStreamAtShutdown(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p, err := newProxy(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.T = t
	topic := harness.CreateTopic(t, b, 1)
	d := openDuplex(t, http.DefaultClient, p.URL+"/messages/"+topic)
	d.write("1\n2\nha")
	d.line()
	d.line()
	stopped := make(chan error, 1)
	begin := time.Now()
	go func() { stopped <- p.stop() }()
	if a := d.line(); a.Error == nil || a.Error.Code != 50303 || a.Error.Retriable || a.Error.Topic != topic || a.Error.RequestID == "" { // what it has stored must not be sent again
		t.Errorf("%+v", a)
	}
	if a := d.line(); !a.Done || a.Stored != 2 {
		t.Errorf("%+v", a)
	}
	_ = d.to.Close()
	if err := <-stopped; err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if got := values(harness.ReadLog(t, b, topic)); got != "1 2 " {
		t.Errorf("stored %s", got)
	}
}

// After a stream has ended in order its connection serves on.
func TestMessagesStreamKeepsTheConnection(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	for n := range 50 {
		fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n0\r\n\r\n", topic, ndjson)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"stored":1`) {
			t.Fatalf("request %d: %d %s %v", n, resp.StatusCode, body, err)
		}
	}
}
