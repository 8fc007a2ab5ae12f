package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/kafka/embedded"
)

// start starts a proxy on a broker of the test's own. The test stops it.
func start(t *testing.T, b *embedded.Broker, logTo io.Writer, set map[string]string) *App {
	t.Helper()
	all := map[string]string{"listeners": "http://127.0.0.1:0", "shutdown.settle.ms": "0", "tasks.store": "memory"}
	maps.Copy(all, set)
	a, err := New(Options{Config: load(t, all), Broker: b, LogTo: logTo})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(errors.Join(err, a.Stop(ended())))
	}
	return a
}

// stop fails the test when something did not finish in the time that it has, as Stop reports.
func stop(t *testing.T, a *App) {
	t.Helper()
	if err := a.Stop(ended()); err != nil {
		t.Error(err)
	}
}

// get asks on a connection of its own, which is closed after the reply.
func get(t *testing.T, a *App, path string) (status int, body string, header http.Header) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + a.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// getKeepingAlive asks for nothing but the page, and reports whether the proxy closes the connection of its own accord.
func getKeepingAlive(t *testing.T, a *App, path string) (status int, closes bool) {
	t.Helper()
	c, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Close
}

func TestStartAndStop(t *testing.T) {
	b := startBroker(t)
	log := &sink{}
	a := start(t, b, log, map[string]string{"listeners": "http://127.0.0.1:0,other://127.0.0.1:0", "listener.protocol.map": "other:http"})
	if status, body, _ := get(t, a, "/livez"); status != 200 || body != `{"status":"live"}` {
		t.Errorf("/livez: %d %s", status, body)
	}
	if status, body, _ := get(t, a, "/readyz"); status != 200 || body != `{"status":"ready"}` {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, body, _ := get(t, a, "/topics"); status != 200 || !strings.HasPrefix(body, "[") {
		t.Errorf("/topics: %d %s", status, body)
	}
	if len(a.listeners) != 2 {
		t.Errorf("%d listeners", len(a.listeners))
	}
	stop(t, a)
	if _, err := net.DialTimeout("tcp", a.Addr(), time.Second); err == nil {
		t.Error("the listener is still open")
	}
	text, _ := log.read()
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %q", line)
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(text), `"msg":"stopped"}`) || !strings.Contains(text, `"path":"/topics"`) {
		t.Errorf("the log: %s", text)
	}
}

// TestDrain: while it settles the proxy is not ready, still serves, and asks its clients to go elsewhere.
func TestDrain(t *testing.T) {
	a := start(t, startBroker(t), nil, map[string]string{"shutdown.settle.ms": "600000"})
	if status, closes := getKeepingAlive(t, a, "/livez"); status != 200 || closes {
		t.Errorf("at first: %d, closed %v", status, closes)
	}
	settling, settled := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(settling) }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, closes := getKeepingAlive(t, a, "/livez"); closes {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not begin to drain")
		}
	}
	status, body, header := get(t, a, "/readyz")
	if status != 503 || !strings.Contains(body, "50303") || header.Get("Retry-After") == "" {
		t.Errorf("/readyz: %d %s %v", status, body, header)
	}
	for _, path := range []string{"/livez", "/topics"} {
		if status, closes := getKeepingAlive(t, a, path); status != 200 || !closes {
			t.Errorf("%s: %d, closed %v", path, status, closes)
		}
	}
	select {
	case err := <-stopped:
		t.Errorf("it stopped before the settle time was over: %v", err)
	default:
	}
	settled()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestStopFinishes what is under way, and waits neither for idle connections nor for those on which nothing was ever asked.
func TestStopFinishes(t *testing.T) {
	b := startBroker(t)
	a := start(t, b, nil, nil)
	base := "http://" + a.Addr()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	post := func(path, body string) {
		t.Helper()
		resp, err := client.Post(base+path, "application/vnd.kafka.v2+json", strings.NewReader(body))
		if err != nil || resp.StatusCode > 299 {
			t.Fatal(path, err, resp)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err := b.Cluster().CreateTopic("t", 1, nil); err != nil {
		t.Fatal(err)
	}
	post("/consumers/g", `{"name":"i","format":"binary"}`)
	post("/consumers/g/instances/i/assignments", `{"partitions":[{"topic":"t","partition":0}]}`)
	unused, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	type answer struct {
		status int
		body   string
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // waits for records that never come
		for {
			resp, err := client.Get(base + "/consumers/g/instances/i/records?timeout=60000")
			if err != nil {
				answered <- answer{err: err}
				return
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusConflict { // it met the test's own look
				answered <- answer{resp.StatusCode, string(body), err}
				return
			}
		}
	}()
	i, err := a.consumers.Get("g", "i")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d, busy := i.Read(t.Context(), consume.ReadOptions{Wait: time.Millisecond})
		if busy != nil {
			break
		}
		d.Written()
		if time.Now().After(deadline) {
			t.Fatal("the read does not begin")
		}
	}
	stop(t, a)
	if got := <-answered; got.err != nil || got.status != 200 || got.body != "[]" {
		t.Errorf("the read that waited: %+v", got)
	}
	if n := a.consumers.Count(); n != 0 {
		t.Errorf("%d consumer instances are left", n)
	}
}

func TestAPIsCanBeSwitchedOff(t *testing.T) {
	b := startBroker(t)
	for key, path := range map[string]string{"api.v2.enable": "/brokers", "api.v3.enable": "/v3/clusters", "api.messages.enable": "/messages/t/c/0"} {
		for _, on := range []bool{true, false} {
			a := start(t, b, nil, map[string]string{key: fmt.Sprint(on)})
			status, body, _ := get(t, a, path)
			if gone := status == 404 && strings.Contains(body, "HTTP 404 Not Found"); gone == on {
				t.Errorf("%s=%v: %s answers %d %s", key, on, path, status, body)
			}
			if status, _, _ := get(t, a, "/livez"); status != 200 {
				t.Errorf("%s=%v: /livez answers %d", key, on, status)
			}
			stop(t, a)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	b := startBroker(t)
	for _, key := range []string{"server.connection.limit", "connector.connection.limit"} {
		a := start(t, b, nil, map[string]string{key: "1"})
		ask := func(c net.Conn, wait time.Duration) error {
			fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
			_ = c.SetReadDeadline(time.Now().Add(wait))
			_, err := c.Read(make([]byte, 1000))
			return err
		}
		first, err := net.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(first, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		second, err := net.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(second, 100*time.Millisecond); err == nil {
			t.Errorf("%s: a second connection is served", key)
		}
		_ = first.Close()
		_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := second.Read(make([]byte, 1000)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		_ = second.Close()
		stop(t, a)
	}
}

// TestNotReady: a broker that is not there shows in /readyz only.
func TestNotReady(t *testing.T) {
	a := start(t, nil, nil, map[string]string{"bootstrap.servers": "127.0.0.1:1", "ready.timeout.ms": "200"})
	if a.health.timeout != 200*time.Millisecond {
		t.Errorf("it waits for %v", a.health.timeout)
	}
	if status, body, _ := get(t, a, "/readyz"); status != 503 || !strings.Contains(body, "50302") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, _, _ := get(t, a, "/livez"); status != 200 {
		t.Errorf("/livez: %d", status)
	}
	stop(t, a)
}

// TestStartFails: what has begun by then is ended.
func TestStartFails(t *testing.T) {
	b := startBroker(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, listeners := range []string{"http://" + taken.Addr().String(), "http://127.0.0.1:0,http://" + taken.Addr().String(), "https://127.0.0.1:0"} {
		set := map[string]string{"listeners": listeners, "ssl.keystore.location": "/none/such", "shutdown.settle.ms": "0", "tasks.store": "memory"}
		if !strings.Contains(listeners, "https") {
			delete(set, "ssl.keystore.location")
		}
		a, err := New(Options{Config: load(t, set), Broker: b})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err == nil || !strings.Contains(err.Error(), "listener http") {
			t.Errorf("%s: %v", listeners, err)
		}
		stop(t, a)
	}
	for key, value := range map[string]string{"producer.acks": "some", "api.endpoints.blocklist": "api.v2.nonsense"} {
		if a, err := New(Options{Config: load(t, map[string]string{key: value, "tasks.store": "memory"}), Broker: b}); err == nil {
			t.Errorf("%s=%s is taken", key, value)
			stop(t, a)
		}
	}
}

// TestListenersThatFail: the first error is told, and those that nobody listens to hold up nothing.
func TestListenersThatFail(t *testing.T) {
	a := start(t, startBroker(t), nil, map[string]string{"listeners": "http://127.0.0.1:0,a://127.0.0.1:0,b://127.0.0.1:0", "listener.protocol.map": "a:http,b:http"})
	for _, l := range a.listeners {
		_ = l.Listener.Close() // as if the socket had broken
	}
	select {
	case err := <-a.Failed():
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody hears of it")
	}
	ended := make(chan struct{})
	go func() { a.serving.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a listener waits for somebody to hear of its error")
	}
	stop(t, a)
}

func TestEmbeddedBrokerIsOwned(t *testing.T) {
	a, err := New(Options{Config: load(t, map[string]string{"listeners": "http://127.0.0.1:0", "schema.registry.listeners": "http://127.0.0.1:0", "shutdown.settle.ms": "0"}),
		Embedded: &embedded.Config{AutoCreate: true}, Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if banner := Banner(a.Addr()); !strings.Contains(banner, "http://localhost:") || strings.Contains(banner, "127.0.0.1") {
		t.Errorf("%s", banner)
	}
	if status, body, _ := get(t, a, "/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	stop(t, a)
}
