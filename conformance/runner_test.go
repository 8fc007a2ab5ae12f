package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// oneCase makes a case from the text of its steps, through Load.
func oneCase(t *testing.T, steps string, more ...string) Case {
	t.Helper()
	line := `{"id":"c","api":"v2","title":"t","steps":[` + steps + `]` + strings.Join(more, "") + `}`
	cases, err := Load(strings.NewReader(strings.ReplaceAll(line, "\n", " ")))
	if err != nil {
		t.Fatal(err)
	}
	return cases[0]
}

func serve(t *testing.T, h http.HandlerFunc) *Runner {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &Runner{Base: server.URL + "/", StepTimeout: 5 * time.Second}
}

// Each expectation is held against a reply that fits and against one that does not.
func TestEachExpectationCanFail(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Test", "one")
		w.Header().Add("Vary", "Origin")
		w.Header().Add("Vary", "Accept-Encoding")
		w.WriteHeader(http.StatusAccepted)
		switch r.URL.Path {
		case "/json":
			_, _ = io.WriteString(w, `{"a":1,"b":2}`)
		case "/stream":
			_, _ = io.WriteString(w, "{\"a\":1}\r\n{\"a\":2,\"b\":1}")
		case "/text":
			_, _ = io.WriteString(w, "hello <b>&\"")
		}
	})
	tests := []struct{ path, good, bad string }{
		{"/json", `"expect_status":202`, `"expect_status":200`},
		{"/json", `"expect_status":[200,202]`, `"expect_status":[200,201]`},
		{"/json", `"expect_json_subset":{"a":1}`, `"expect_json_subset":{"a":2}`},
		{"/json", `"expect_json_exact":{"a":1,"b":2}`, `"expect_json_exact":{"a":1}`},
		{"/json", `"expect_json_subset":"<<nonempty>>"`, `"expect_json_subset":null`},
		{"/stream", `"expect_stream_subset":[{"a":1},{"a":2}]`, `"expect_stream_subset":[{"a":1}]`},
		{"/stream", `"expect_stream_exact":[{"a":1},{"a":2,"b":1}]`, `"expect_stream_exact":[{"a":1},{"a":2}]`},
		{"/stream", `"expect_stream_subset":{"<<array_contains>>":[{"b":1}]}`, `"expect_stream_subset":{"<<array_len>>":3}`},
		{"/stream", `"expect_status":202`, `"expect_json_subset":{"a":1}`},
		{"/text", `"expect_body":"hello <b>&\""`, `"expect_body":"hello"`},
		{"/text", `"expect_body":"<<prefix:hello <b>>>"`, `"expect_body":"<<regex:^x>>"`},
		{"/text", `"expect_status":202`, `"expect_stream_subset":"<<any>>"`},
		{"/none", `"expect_body":""`, `"expect_json_subset":"<<any>>"`},
		{"/none", `"expect_stream_exact":[]`, `"expect_stream_exact":[1]`},
		{"/none", `"expect_headers":{"x-test":"one"}`, `"expect_headers":{"X-Test":"two"}`},
		{"/none", `"expect_headers":{"Vary":"Origin, Accept-Encoding"}`, `"expect_headers":{"Vary":"<<contains:Cookie>>"}`},
		{"/none", `"expect_headers":{"X-No":"<<absent>>"}`, `"expect_headers":{"X-Test":"<<absent>>"}`},
		{"/none", `"expect_headers":{"X-Test":"<<any>>"}`, `"expect_headers":{"X-No":"<<any>>"}`},
		{"/none", `"expect_max_ms":4000`, `"expect_min_ms":4000`},
		{"/json", `"capture":{"a":"/a"}`, `"capture":{"a":"/c"}`},
		{"/json", `"expect_json_subset":{"a":"<<int>>"}`, `"expect_json_subset":{"a":"${unset}"}`},
	}
	for _, tt := range tests {
		for expectation, want := range map[string]Outcome{tt.good: Pass, tt.bad: Fail} {
			got := r.Run(t.Context(), oneCase(t, `{"method":"GET","path":"`+tt.path+`",`+expectation+`}`))
			if got.Outcome != want {
				t.Errorf("%s %s: %s, want %s: %v", tt.path, expectation, got.Outcome, want, got.Failures)
			}
			if want == Fail && (len(got.Failures) == 0 || !strings.Contains(got.Failures[0], "step 1 GET "+tt.path)) {
				t.Errorf("%s: failures %q do not name the step", expectation, got.Failures)
			}
		}
	}
}

func TestTimeBounds(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // the body counts too, not the headers only
		select {
		case <-time.After(60 * time.Millisecond):
		case <-r.Context().Done():
		}
	})
	for bound, want := range map[string]Outcome{`"expect_max_ms":1`: Fail, `"expect_min_ms":50`: Pass} {
		if got := r.Run(t.Context(), oneCase(t, `{"method":"GET","path":"/",`+bound+`}`)); got.Outcome != want {
			t.Errorf("%s: %+v, want %s", bound, got, want)
		}
	}
	r.StepTimeout = 10 * time.Millisecond
	if got := r.Run(t.Context(), oneCase(t, `{"method":"GET","path":"/"}`)); got.Outcome != Fail {
		t.Errorf("a reply that does not come: %+v", got)
	}
}

// rawServer answers every request with 204 and gives the bytes of the first request on the connection.
func rawServer(t *testing.T) (base string, requests <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			got <- readRaw(conn)
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return "http://" + ln.Addr().String(), got
}

var contentLength = regexp.MustCompile(`(?i)content-length: (\d+)`)

// readRaw reads one request, answers it and closes the connection.
func readRaw(conn net.Conn) string {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		head, body, complete := bytes.Cut(all, []byte("\r\n\r\n"))
		want := 0
		if m := contentLength.FindSubmatch(head); m != nil {
			_, _ = fmt.Sscan(string(m[1]), &want)
		}
		if err != nil || complete && len(body) >= want {
			break
		}
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	return string(all)
}

// What goes out is what the case says and no more.
func TestRequestsOnTheWire(t *testing.T) {
	base, requests := rawServer(t)
	host := "Host: " + strings.TrimPrefix(base, "http://") + "\r\n"
	tests := []struct{ name, step, want string }{
		{"no headers of its own", `{"method":"GET","path":"/topics"}`, "GET /topics HTTP/1.1\r\n" + host + "\r\n"},
		{"double slash", `{"method":"GET","path":"//topics"}`, "GET //topics HTTP/1.1\r\n" + host + "\r\n"},
		{"double slash with an escape", `{"method":"GET","path":"//a%2fb?"}`, "GET //a%2fb? HTTP/1.1\r\n" + host + "\r\n"},
		{"escapes", `{"method":"GET","path":"/topics/a%20b%2Fc%2f/..;x?q=%7B}&r"}`,
			"GET /topics/a%20b%2Fc%2f/..;x?q=%7B}&r HTTP/1.1\r\n" + host + "\r\n"},
		{"broken escape", `{"method":"GET","path":"/a%zz"}`, "GET /a%zz HTTP/1.1\r\n" + host + "\r\n"},
		{"empty query", `{"method":"DELETE","path":"/acls?"}`, "DELETE /acls? HTTP/1.1\r\n" + host + "\r\n"},
		{"host", `{"method":"GET","path":"/","headers":{"host":"my.host:1234"}}`, "GET / HTTP/1.1\r\nHost: my.host:1234\r\n\r\n"},
		{"headers", `{"method":"GET","path":"/","headers":{"Accept":"a, b;q=0.5","User-Agent":"u"}}`,
			"GET / HTTP/1.1\r\n" + host + "User-Agent: u\r\nAccept: a, b;q=0.5\r\n\r\n"},
		{"GET with a body", `{"method":"GET","path":"/","body":{"a": 9007199254740993}}`,
			"GET / HTTP/1.1\r\n" + host + "Content-Length: 23\r\n\r\n{\"a\": 9007199254740993}"},
		{"raw body", `{"method":"POST","path":"/","body":"{\"a\":"}`,
			"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\n{\"a\":"},
		{"null body", `{"method":"POST","path":"/","body":null}`,
			"POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nnull"},
		{"empty body", `{"method":"POST","path":"/","body":""}`, "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n"},
		{"base64 body", `{"method":"PUT","path":"/","body_base64":"AAH/"}`,
			"PUT / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\n\x00\x01\xff"},
		{"repeated body", `{"method":"PUT","path":"/","body_repeat":{"prefix":"<","unit":"ab","count":3,"suffix":">"}}`,
			"PUT / HTTP/1.1\r\n" + host + "Content-Length: 8\r\n\r\n<ababab>"},
	}
	r := &Runner{Base: base, StepTimeout: 5 * time.Second}
	for _, tt := range tests {
		if got := r.Run(t.Context(), oneCase(t, tt.step)); got.Outcome != Pass {
			t.Errorf("%s: %v", tt.name, got.Failures)
		}
		if got := <-requests; got != tt.want {
			t.Errorf("%s: sent\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
}

func TestPathThatCannotBeSent(t *testing.T) {
	r := &Runner{Base: "http://127.0.0.1:1"}
	for _, path := range []string{"//a%zz", "//a b"} {
		got := r.Run(t.Context(), oneCase(t, `{"method":"GET","path":"`+path+`"}`))
		if got.Outcome != Fail || strings.Contains(got.Failures[0], "connection refused") {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestVariablesGoEverywhere(t *testing.T) {
	var runs []string
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/first" {
			runs = append(runs, string(body))
			_, _ = fmt.Fprintf(w, `{"id":12,"name":"n","run":%q,"self":"http://%s/x"}`, body, r.Host)
			return
		}
		w.Header().Set("X-Path", r.URL.Path)
		_, _ = fmt.Fprintf(w, `{"path":%q,"header":%q,"body":%s}`, r.URL.Path, r.Header.Get("X-Id"), body)
	})
	c := oneCase(t, `{"method":"POST","path":"/first","body":"${run}","capture":{"id":"/id","name":"/name"},
			"expect_json_subset":{"run":"${run}","self":"${base}/x","id":12}},
		{"method":"POST","path":"/${name}/${id}","headers":{"X-Id":"${id}@${authority}"},"body":{"k":"${run}-${id}"},
			"expect_json_exact":{"path":"/n/12","header":"${id}@${authority}","body":{"k":"<<prefix:${run}->>"}},
			"expect_headers":{"X-Path":"/${name}/${id}"},"expect_body":"<<contains:${run}-12>>"}`)
	for range 2 {
		if got := r.Run(t.Context(), c); got.Outcome != Pass {
			t.Fatal(got.Failures)
		}
	}
	word := regexp.MustCompile(`^[a-z]{12}$`)
	if len(runs) != 2 || runs[0] == runs[1] || !word.MatchString(runs[0]) {
		t.Errorf("random words %q", runs)
	}
}

func TestRetry(t *testing.T) {
	var calls atomic.Int32
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, calls.Add(1))
	})
	c := oneCase(t, `{"method":"GET","path":"/","expect_json_exact":3,"retry_until_ms":4000,"capture":{"n":""}},
		{"method":"GET","path":"/","expect_json_exact":"<<int:4>>"}`)
	if got := r.Run(t.Context(), c); got.Outcome != Pass {
		t.Errorf("%+v", got)
	}
	c = oneCase(t, `{"method":"GET","path":"/","expect_json_exact":1,"retry_until_ms":120}`)
	before := calls.Load()
	if got := r.Run(t.Context(), c); got.Outcome != Fail || calls.Load() < before+2 {
		t.Errorf("after %d calls: %+v", calls.Load()-before, got)
	}
	c = oneCase(t, `{"method":"GET","path":"/","expect_json_exact":-1}`)
	before = calls.Load()
	if got := r.Run(t.Context(), c); got.Outcome != Fail || calls.Load() != before+1 {
		t.Errorf("without retry_until_ms there were %d calls: %+v", calls.Load()-before, got)
	}
}

func TestSleepAndCancellation(t *testing.T) {
	r := serve(t, func(http.ResponseWriter, *http.Request) {})
	start := time.Now()
	if got := r.Run(t.Context(), oneCase(t, `{"sleep_ms":30}`)); got.Outcome != Pass || time.Since(start) < 30*time.Millisecond {
		t.Errorf("%+v after %v", got, time.Since(start))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := r.Run(ctx, oneCase(t, `{"sleep_ms":60000}`)); got.Outcome != Fail {
		t.Errorf("cancelled: %+v", got)
	}
}

func TestCleanupAlwaysRunsAndIsIgnored(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+r.URL.Path)
		w.WriteHeader(http.StatusInternalServerError)
	})
	c := oneCase(t, `{"method":"GET","path":"/x","expect_status":200},{"method":"GET","path":"/never"}`,
		`,"cleanup":[{"method":"DELETE","path":"/${unset}"},{"method":"DELETE","path":"/y","expect_status":200}]`)
	if got := r.Run(t.Context(), c); got.Outcome != Fail || len(got.Failures) != 2 {
		t.Errorf("%+v", got)
	}
	if got := strings.Join(seen, " "); got != "GET/x DELETE/y" {
		t.Errorf("requests %s", got)
	}
}

func TestRedirectsAndGzip(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/gzip", http.StatusFound)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `[1]`)
			_ = z.Close()
		case "/broken":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "no gzip")
		}
	})
	c := oneCase(t, `{"method":"GET","path":"/moved","expect_status":302},
		{"method":"GET","path":"/gzip","headers":{"Accept-Encoding":"gzip"},"expect_json_exact":[1],
			"expect_headers":{"Content-Encoding":"gzip"}},
		{"method":"HEAD","path":"/gzip","expect_body":""}`)
	for _, client := range []*http.Client{nil, http.DefaultClient} {
		r.Client = client
		if got := r.Run(t.Context(), c); got.Outcome != Pass {
			t.Errorf("%+v", got)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if got := r.Run(t.Context(), oneCase(t, `{"method":"GET","path":"/broken"}`)); got.Outcome != Fail {
		t.Errorf("%+v", got)
	}
}

func TestNeedsAndConfig(t *testing.T) {
	r := serve(t, func(http.ResponseWriter, *http.Request) {})
	step := `{"method":"GET","path":"/","expect_status":200}`
	needy := oneCase(t, step, `,"needs":["a","b"]`)
	configured := oneCase(t, step, `,"config":{"k":"v"}`)
	if got := r.Run(t.Context(), needy); got.Outcome != SkippedNeed || got.Reason != "needs a, b" {
		t.Errorf("%+v", got)
	}
	r.Have = []string{"a", "b"}
	if got := r.Run(t.Context(), needy); got.Outcome != Pass {
		t.Errorf("%+v", got)
	}
	if got := r.Run(t.Context(), configured); got.Outcome != SkippedNeed {
		t.Errorf("%+v", got)
	}
	if got := r.Run(t.Context(), oneCase(t, step, `,"config":{}`)); got.Outcome != Pass {
		t.Errorf("empty config: %+v", got)
	}
	base, stopped := r.Base, false
	r.Base = "http://127.0.0.1:1"
	r.Start = func(config map[string]string) (string, func(), error) {
		if config["k"] != "v" {
			t.Errorf("config %v", config)
		}
		return base, func() { stopped = true }, nil
	}
	if got := r.Run(t.Context(), configured); got.Outcome != Pass || !stopped {
		t.Errorf("%+v, stopped %v", got, stopped)
	}
	r.Start = func(map[string]string) (string, func(), error) { return "", nil, errors.New("no") }
	if got := r.Run(t.Context(), configured); got.Outcome != Fail {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", "127.0.0.1:80", "http://"} {
		if got := (&Runner{Base: bad}).Run(t.Context(), oneCase(t, step)); got.Outcome != Fail {
			t.Errorf("base %q: %+v", bad, got)
		}
	}
}

func TestDeviations(t *testing.T) {
	r := serve(t, func(http.ResponseWriter, *http.Request) {})
	r.Deviations = Deviations{"c": "because"}
	tests := []struct {
		name, step, more string
		want             Outcome
	}{
		{"fails as expected", `{"method":"GET","path":"/","expect_status":500}`, "", KnownDeviation},
		{"passes, so the list is stale", `{"method":"GET","path":"/","expect_status":200}`, "", Fail},
		{"skipped", `{"method":"GET","path":"/","expect_status":500}`, `,"needs":["x"]`, SkippedNeed},
	}
	for _, tt := range tests {
		got := r.Run(t.Context(), oneCase(t, tt.step, tt.more))
		if got.Outcome != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if tt.want == Fail && !strings.Contains(got.Failures[0], "stale") {
			t.Errorf("%s: %v", tt.name, got.Failures)
		}
	}
}

func TestRunAllAndSummary(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	var cases []Case
	for i := range 12 {
		c := oneCase(t, `{"method":"GET","path":"/","expect_status":200}`)
		c.ID = fmt.Sprint("ok-", i)
		cases = append(cases, c)
	}
	bad := oneCase(t, `{"method":"GET","path":"/bad","expect_status":200}`)
	bad.ID, bad.API = "bad", "v3"
	needy := oneCase(t, `{"sleep_ms":1}`, `,"needs":["x"]`)
	cases = append(cases, bad, needy)
	var out bytes.Buffer
	reported := 0
	results := r.RunAll(t.Context(), cases, 4, func(r Result) { reported++; PrintResult(&out, r) })
	if reported != len(cases) || results[12].ID != "bad" || !Failed(results) || Failed(results[:12]) {
		t.Errorf("%d reports, results %+v", reported, results)
	}
	if !regexp.MustCompile(`(?m)^fail +bad\n    step 1 GET /bad: status: expected \[200\], got 400$`).MatchString(out.String()) {
		t.Errorf("printed\n%s", out.String())
	}
	out.Reset()
	if err := PrintSummary(&out, results); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	want := " api cases pass fail known-deviation skipped-need\n v2 13 12 0 0 1\n v3 1 0 1 0 0\n all 14 12 1 0 1\n"
	if got != want {
		t.Errorf("summary\n%s, want\n%s", got, want)
	}
}
