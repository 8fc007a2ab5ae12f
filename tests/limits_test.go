package tests

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// repeated is n bytes of one kind, between a head and a tail, without holding them.
func repeated(head string, c byte, n int64, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(same(c), n), strings.NewReader(tail))
}

type same byte

func (s same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

// send posts a body of any size; length -1 sends it in chunks.
func send(t *testing.T, p *harness.Endpoint, path string, body io.Reader, length int64, headers ...string) harness.Reply {
	t.Helper()
	r, err := trySend(t.Context(), p, path, body, length, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func trySend(ctx context.Context, p *harness.Endpoint, path string, body io.Reader, length int64, headers ...string) (r harness.Reply, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+path, io.NopCloser(body))
	if err != nil {
		return r, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", harness.JSON)
	req.Header.Set("Expect", "100-continue") // so that the refusal is read even though the body is not wanted
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := harness.Client.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return harness.Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(data)}, err
}

// bomb is so many MiB of JSON string, compressed to about a thousandth.
func bomb(t *testing.T, encoding string, mib int64) []byte {
	t.Helper()
	var out bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&out)
	if encoding == "zstd" {
		var err error
		if z, err = zstd.NewWriter(&out); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.Copy(z, repeated(`{"records":[{"value":"`, 'x', mib<<20, `"}]}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// flood does the same so many times at once.
func flood(n int, do func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(do)
	}
	wg.Wait()
}

// What is too large, too deep or too much gets its own answer, and the memory that it costs is bounded whatever it claims to be.
func TestOversizedRequests(t *testing.T) {
	t.Parallel()
	b := harness.FakeBroker(t, 1)
	p := harness.StartProcess(t, b, map[string]string{"request.buffer.bytes": "67108864"})
	topic := harness.CreateTopic(t, b, 1)
	p.Produce(topic, harness.JSON, `{"records":[{"value":1}]}`)
	before := p.PeakRSS()
	path := "/topics/" + topic
	wants := func(what string, r harness.Reply, status int, text string) {
		t.Helper()
		if r.Status != status || r.Code() != status || !strings.Contains(r.Body, text) {
			t.Errorf("%s: %d %.300s, want %d and %q in it", what, r.Status, r.Body, status, text)
		}
	}
	const head, tail = `{"records":[{"value":"`, `"}]}`
	size := int64(64 << 20)
	all := size + int64(len(head)+len(tail))
	wants("64 MiB", send(t, &p.Endpoint, path, repeated(head, 'x', size, tail), all), 413, "request.max.bytes")
	wants("64 MiB in chunks", send(t, &p.Endpoint, path, repeated(head, 'x', size, tail), -1), 413, "request.max.bytes")
	flood(24, func() { // within the limit, each; all together are more than there is room for
		r, err := trySend(t.Context(), &p.Endpoint, path, repeated(head, 'x', 15<<20, tail), -1)
		if err == nil && r.Status != 429 && (r.Status != 200 || !strings.Contains(r.Body, "max.request.size")) { // or hung up, while the rest is sent
			t.Errorf("one of many in chunks: %d %.300s", r.Status, r.Body)
		}
	})
	for _, encoding := range []string{"gzip", "zstd"} {
		small := bomb(t, encoding, 512)
		wants(encoding+" bomb", send(t, &p.Endpoint, path, bytes.NewReader(small), int64(len(small)), "Content-Encoding", encoding), 413, "after decompression")
		flood(8, func() { // what one costs, eight must not cost eight times
			r, err := p.Try(t.Context(), "POST", path, string(small), "Content-Type", harness.JSON, "Content-Encoding", encoding)
			if err != nil || r.Status != 413 && r.Status != 429 {
				t.Errorf("one of eight %s bombs: %d %.300s %v", encoding, r.Status, r.Body, err)
			}
		})
	}
	for _, depth := range []int{1_100, 11_000, 100_000} {
		deep := `{"records":[{"value":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}]}`
		wants(fmt.Sprintf("depth %d", depth), p.Do("POST", path, deep, "Content-Type", harness.JSON), 400, "dep") // deeper than, or max depth
		wants(fmt.Sprintf("depth %d, unclosed", depth), p.Do("POST", path, deep[:depth], "Content-Type", harness.JSON), 400, "")
	}
	many := `{"records":[` + strings.Repeat(`{"value":1},`, 10_000) + `{"value":1}]}`
	wants("10,001 records", p.Do("POST", path, many, "Content-Type", harness.JSON), 413, "request.max.records")
	if r := p.Do("GET", "/topics", "", "X-Large", strings.Repeat("x", 20_000)); r.Status != 431 {
		t.Errorf("20 kB of headers: %d %s", r.Status, r.Body)
	}
	// The budget counts what bodies hold while they come. Beside it are the bodies that are put together, what was let go of and is not yet
	// collected, and what the collector has not given back to the system.
	grown := (p.PeakRSS() - before) >> 20
	t.Logf("grown by %d MiB", grown)
	if grown > 3*64 {
		t.Errorf("the process grew by %d MiB with a budget of 64 MiB for bodies", grown)
	}
	p.Produce(topic, harness.JSON, `{"records":[{"value":2}]}`)
	if log := harness.ReadLog(t, b, topic); len(log) != 2 {
		t.Errorf("%d records are stored, want the 2 good ones", len(log))
	}
}

// HTTP/2 in plain text works for clients that know of it beforehand.
func TestHTTP2PriorKnowledge(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport, Timeout: 30 * time.Second}
		resp, err := client.Post(p.URL+"/topics/"+topic, harness.JSON, strings.NewReader(`{"records":[{"value":"over h2"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
			t.Errorf("%s: %s", resp.Proto, resp.Status)
		}
		wantValues(t, stored(t, b, topic), []byte(`"over h2"`))
	})
}

// Beyond the limit of connections clients wait until one is free.
func TestConnectionLimit(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"server.connection.limit": "5"})
	var held []net.Conn
	for range 5 {
		held = append(held, ask(t, p))
		if _, err := held[len(held)-1].Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	waiting := ask(t, p)
	_ = waiting.SetReadDeadline(time.Now().Add(500 * time.Millisecond)) // a connection that is open takes one
	if n, err := waiting.Read(make([]byte, 10)); err == nil {
		t.Errorf("a sixth connection got %d bytes", n)
	}
	_ = held[0].Close()
	_ = waiting.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := waiting.Read(make([]byte, 10)); err != nil {
		t.Errorf("after another one was closed: %v", err)
	}
}

// ask opens a connection and sends a request on it.
func ask(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Beyond the limit of instances creation answers 429, until one is gone.
func TestInstanceLimit(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"consumer.instances.max": "3"})
		group := harness.FreshName("g")
		first := p.Instance(group, `{"format":"json"}`)
		p.Instance(group, `{"format":"json"}`)
		p.Instance(group, `{"format":"json"}`)
		r := p.Want(429, "POST", "/consumers/"+group, `{"format":"json"}`)
		if r.Header.Get("Retry-After") == "" || !strings.Contains(r.Body, "consumer.instances.max") {
			t.Errorf("%v %s", r.Header, r.Body)
		}
		p.Want(204, "DELETE", first, "")
		p.Instance(group, `{"format":"json"}`)
	})
}

// Records that Kafka does not take fill their topic's share of the buffer and then get 429; what was under way is in doubt at its deadline,
// and stored once when Kafka goes on.
func TestBytesInFlight(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{
		"produce.buffer.bytes": "400000", "produce.buffer.topic.bytes": "200000", "produce.timeout.ms": "1000",
	})
	topic, other := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
	p.Produce(topic, harness.JSON, `{"records":[{"value":0}]}`)
	p.Produce(other, harness.JSON, `{"records":[{"value":0}]}`)
	awake := stall(b, kmsg.Produce)
	defer awake()
	body := `{"records":[{"value":"` + strings.Repeat("x", 60_000) + `"}]}`
	post := func(topic string) harness.Reply {
		r, err := p.Try(context.Background(), "POST", "/topics/"+topic, body, "Content-Type", harness.JSON)
		if err != nil {
			t.Error(err)
		}
		return r
	}
	replies := make(chan harness.Reply, 10)
	begin := time.Now()
	for range cap(replies) {
		go func() { replies <- post(topic) }()
	}
	doubt, refused := 0, 0
	for range cap(replies) {
		switch r := <-replies; {
		case r.Status == 429 && r.Header.Get("Retry-After") != "":
			refused++
		case r.Status == 504 && len(r.Outcomes()) == 1 && *r.Outcomes()[0].Code == 50401:
			doubt++
		default:
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if took := time.Since(begin); took > 1500*time.Millisecond {
		t.Errorf("the last answer took %v, with a deadline of 1 s", took)
	}
	if doubt != 3 || refused != 7 {
		t.Errorf("%d in doubt and %d refused, want 3 of 60 kB in 200 kB", doubt, refused)
	}
	if r := post(other); r.Status != 504 {
		t.Errorf("another topic, whose share is free: %d %s", r.Status, r.Body)
	}
	awake()
	for deadline := time.Now().Add(10 * time.Second); post(topic).Status != 200; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still refused 10 s after the broker went on")
		}
	}
	if n := len(harness.ReadLog(t, b, topic)); n != 1+doubt+1 {
		t.Errorf("%d records are stored, want %d", n, 1+doubt+1)
	}
}
