package load_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kafkarest/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func dial(t *testing.T, addr string) *load.Conn {
	t.Helper()
	conn, err := load.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func soon() time.Time { return time.Now().Add(5 * time.Second) }

func TestConnReadsEveryFraming(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			_, _ = io.WriteString(w, long)
		case "/chunked":
			for part := range strings.SplitSeq(long, "5") {
				_, _ = io.WriteString(w, part+"5")
				w.(http.Flusher).Flush()
			}
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/empty":
			w.WriteHeader(http.StatusNotFound)
		}
	})
	conn := dial(t, addr)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/length", 200, long}, {"/chunked", 200, long + "5"}, {"/none", 204, ""}, {"/empty", 404, ""}, {"/length", 200, long},
	} {
		status, body, err := conn.Do(load.Request("GET", addr, c.path, "", "", ""), soon())
		if err != nil || status != c.status || string(body) != c.body {
			t.Errorf("%s: status %d, %d bytes, %v; want %d, %d bytes", c.path, status, len(body), err, c.status, len(c.body))
		}
	}
}

// raw answers every connection with the same bytes, whatever is asked.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestConnRefusesBrokenReplies(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":       "",
		"no HTTP":       "SSH-2.0-OpenSSH_9.9\r\n\r\n",
		"short line":    "HTTP/1.1\r\n\r\n",
		"no number":     "HTTP/1.1 abc\r\n\r\n",
		"no framing":    "HTTP/1.1 200 OK\r\n\r\nbody",
		"cut body":      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
		"bad length":    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"huge length":   "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
		"bad header":    "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"bad chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"chunk too big": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
		"chunk no end":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
		"cut chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			addr := raw(t, answer)
			if status, body, err := dial(t, addr).Do(load.Request("GET", addr, "/", "", "", ""), soon()); err == nil {
				t.Errorf("status %d, body %q, no error", status, body)
			}
		})
	}
}

func TestConnKeepsItsDeadline(t *testing.T) {
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if _, _, err := dial(t, addr).Do(load.Request("GET", addr, "/", "", "", ""), time.Now().Add(30*time.Millisecond)); err == nil {
		t.Error("no error after the deadline")
	}
}

func TestRequestIsWhatAServerReads(t *testing.T) {
	for _, c := range []struct {
		method, body string
		length       int64
	}{{"POST", `{"records":[]}`, 14}, {"POST", "", 0}, {"GET", "", 0}, {"DELETE", "", 0}} {
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(
			load.Request(c.method, "h:1", "/topics/t?a=b", load.TypeJSON, load.TypeV2, c.body))))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil || string(body) != c.body || got.ContentLength != c.length || got.Method != c.method {
			t.Errorf("%s %q: got %s %q of %d, %v", c.method, c.body, got.Method, body, got.ContentLength, err)
		}
		if got.Host != "h:1" || got.RequestURI != "/topics/t?a=b" || got.Header.Get("Accept") != load.TypeV2 {
			t.Errorf("host %q, target %q, header %v", got.Host, got.RequestURI, got.Header)
		}
	}
}

type envelope struct {
	Records []struct{ Value json.RawMessage }
}

func TestBodies(t *testing.T) {
	for _, size := range []int{32, 100, 1024} {
		var body envelope
		if err := json.Unmarshal([]byte(load.ProduceJSON(100, size)), &body); err != nil {
			t.Fatal(err)
		}
		if len(body.Records) != 100 {
			t.Fatalf("%d records", len(body.Records))
		}
		for i, r := range body.Records {
			var value struct{ ID int }
			if err := json.Unmarshal(r.Value, &value); err != nil || value.ID != i || len(r.Value) != size {
				t.Fatalf("record %d: id %d, %d bytes, %v", i, value.ID, len(r.Value), err)
			}
		}
	}
	var body envelope
	if err := json.Unmarshal([]byte(load.ProduceBinary(3, 1024)), &body); err != nil {
		t.Fatal(err)
	}
	for i, r := range body.Records {
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(string(r.Value), `"`))
		if err != nil || len(raw) != 1024 || bytes.Equal(raw, make([]byte, 1024)) {
			t.Errorf("record %d: %d bytes, %v", i, len(raw), err)
		}
	}
	if one, other := load.ProduceBinary(2, 64), load.ProduceBinary(2, 64); one != other {
		t.Error("a body is not the same twice")
	}
}

func TestStored(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		ok     bool
	}{
		{"as Confluent writes it", 200, `{"offsets":[{"partition":0,"offset":7,"error_code":null,"error":null},` +
			`{"partition":1,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}`, true},
		{"bare", 200, `{"offsets":[{"partition":0,"offset":1},{"partition":0,"offset":2}]}`, true},
		{"with blanks", 200, "{\"offsets\" : [ { \"offset\" : 1 }, {\"offset\"\n:\n2, \"error_code\" : null}]}", true},
		{"one too few", 200, `{"offsets":[{"partition":0,"offset":1}]}`, false},
		{"one refused", 200, `{"offsets":[{"partition":0,"offset":1},{"offset":2,"error_code":50003,"error":"x"}]}`, false},
		{"one refused, blanks", 200, `{"offsets":[{"offset":1,"error_code" : 50003},{"offset":2}]}`, false},
		{"one without an offset", 200, `{"offsets":[{"partition":0,"offset":1},{"partition":null,"offset":null}]}`, false},
		{"one with offset -1", 200, `{"offsets":[{"offset":-1},{"offset":2}]}`, false},
		{"no body", 200, ``, false},
		{"another status", 500, `{"offsets":[{"offset":1},{"offset":2}]}`, false},
	} {
		if err := load.Stored(2)(c.status, []byte(c.body)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRecordsInAnyMemberOrder(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"none":            {`[]`, ""},
		"usual":           {`[{"topic":"t","key":null,"value":{"a":1},"partition":0,"offset":5},{"partition":12,"offset":6}]`, "0:5 12:6 "},
		"offset first":    {`[{"offset":5,"partition":0,"topic":"t"},{"offset":6,"partition":12}]`, "0:5 12:6 "},
		"blanks":          {"[ {\"partition\" : 3 ,\n\"offset\" :\t4 } ]", "3:4 "},
		"the word inside": {`[{"value":"partition","partition":1,"offset":2}]`, "1:2 "},
	} {
		var got strings.Builder
		err := load.Records([]byte(c.body), func(p int, o int64) { fmt.Fprintf(&got, "%d:%d ", p, o) })
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got.String(), err, c.want)
		}
	}
	for _, bad := range []string{`[{"partition":1}]`, `[{"offset":1}]`, `[{"partition":"x","offset":1}]`} {
		if err := load.Records([]byte(bad), func(int, int64) {}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func open(t *testing.T, plan load.Plan) *load.Fleet {
	t.Helper()
	fleet, err := load.Open(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fleet.Close)
	return fleet
}

func TestFleetSendsExactlyAndCountsFailures(t *testing.T) {
	var asked atomic.Int64
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	fleet := open(t, load.Plan{Addr: addr, Conns: 7, Request: load.Request("GET", addr, "/", "", "", ""), Check: load.OK})
	out := fleet.Run(t.Context(), 100)
	if asked.Load() != 100 || out.Sent != 100 || out.OK != 90 || out.Failed != 10 || len(out.Latency) != 90 || out.FirstError == nil {
		t.Errorf("server saw %d; %+v", asked.Load(), out)
	}
}

func TestFleetDialsAgainAfterALostConnection(t *testing.T) {
	var asked atomic.Int64
	addr := serve(t, func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == 3 {
			panic(http.ErrAbortHandler)
		}
	})
	fleet := open(t, load.Plan{Addr: addr, Conns: 1, Request: load.Request("GET", addr, "/", "", "", "")})
	if out := fleet.Run(t.Context(), 10); out.Sent != 10 || out.OK != 9 || out.Failed != 1 {
		t.Errorf("%+v", out)
	}
}

func TestFleetEndsAtItsLimit(t *testing.T) {
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	plan := load.Plan{Addr: addr, Conns: 2, Request: load.Request("GET", addr, "/", "", "", ""), Limit: 50 * time.Millisecond}
	start := time.Now()
	out := open(t, plan).Run(t.Context(), 1000)
	if out.Sent != 2 || out.Failed != 2 || time.Since(start) > 4*time.Second {
		t.Errorf("%+v after %s", out, time.Since(start))
	}
}

func TestReadAllCountsGapsAndRepeats(t *testing.T) {
	answers := make(chan string, 4)
	answers <- `[]`
	answers <- `[{"partition":0,"offset":0},{"partition":1,"offset":0},{"partition":0,"offset":1}]`
	answers <- `[{"partition":0,"offset":1},{"partition":1,"offset":3}]`
	answers <- `[{"partition":0,"offset":2}]`
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, <-answers) })
	got, err := load.ReadAll(t.Context(), addr, load.Request("GET", addr, "/", "", "", ""), 5, 5*time.Second)
	if err != nil || got.Records != 5 || got.Gaps != 2 || got.Repeats != 1 || got.Reads != 4 || got.FirstError != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadAllStopsAtAnError(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	got, err := load.ReadAll(t.Context(), addr, load.Request("GET", addr, "/", "", "", ""), 5, 5*time.Second)
	if err != nil || got.FirstError == nil || got.Records != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCall(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = io.WriteString(w, "body")
	})
	body, err := load.Call(t.Context(), addr, load.Request("GET", addr, "/ok", "", "", ""), load.OK, 5*time.Second)
	if err != nil || string(body) != "body" {
		t.Errorf("%q, %v", body, err)
	}
	_, err = load.Call(t.Context(), addr, load.Request("GET", addr, "/no", "", "", ""), load.OK, 5*time.Second)
	if err == nil || !strings.Contains(err.Error(), "GET /no") {
		t.Errorf("error %v does not name the request", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = load.Call(ended, addr, nil, load.OK, time.Second); err == nil {
		t.Error("no error for a call whose context has ended")
	}
}

func TestVaried(t *testing.T) {
	seen := map[string]bool{}
	for i := range 100 {
		value := load.Varied(i, 100)
		if len(value) != 100 || !json.Valid([]byte(value)) || seen[value] || load.Varied(i, 100) != value {
			t.Errorf("%d: %d bytes: %s", i, len(value), value)
		}
		seen[value] = true
	}
}

// TestRequestsInTurn: a fleet sends each of several requests as often as the others.
func TestRequestsInTurn(t *testing.T) {
	var mu sync.Mutex
	paths := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths[r.URL.Path]++
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	var requests [][]byte
	for _, path := range []string{"/a", "/b", "/c"} {
		requests = append(requests, load.Request("GET", addr, path, "", "", ""))
	}
	fleet, err := load.Open(t.Context(), load.Plan{Addr: addr, Conns: 4, Requests: requests, Check: load.OK})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if out := fleet.Run(t.Context(), 30); out.OK != 30 || paths["/a"] != 10 || paths["/b"] != 10 || paths["/c"] != 10 {
		t.Errorf("%+v %v", out, paths)
	}
}
