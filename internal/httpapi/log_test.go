package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest"

	"github.com/google/go-cmp/cmp"
)

// members gives the names of a JSON object's members in their order, and their values.
func members(t *testing.T, line []byte) (names []string, values map[string]any) {
	t.Helper()
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names, values
		}
		if name, ok := token.(string); ok && depth == 1 {
			names = append(names, name)
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
		}
		if token == json.Delim('{') {
			depth++
		}
	}
}

// TestRequestLog: a line is what slog's own handler would write, whatever the client sends.
func TestRequestLog(t *testing.T) {
	hostile := "/echo/" + "%22%5C%0A%00%E2%80%A8%FF\"'<>&|`^"
	for _, test := range []struct {
		name          string
		method, path  string
		endpoint      string
		status        int
		code, in, out int
	}{
		{"plain", "GET", "/echo/a", "api.v2.echo.get", 200, 0, 0, 2},
		{"hostile path", "GET", hostile, "api.v2.echo.get", 200, 0, 0, 10 + len("'<>&|`^")},
		{"hostile method", "G\"E\\T\n\x00\xff\u2028", "/none", "", 404, 404, 0, 52},
		{"error", "POST", "/echo/a", "", 405, 405, 0, 61},
	} {
		var out, want bytes.Buffer
		s := newTestServer(t, Config{RequestLog: &out}, surface()...)
		r := request("GET", "/", "")
		r.Method, r.RemoteAddr = test.method, "[2001:db8::1]:4711"
		if err := r.URL.UnmarshalBinary([]byte("http://x" + test.path)); err != nil {
			t.Fatal(err)
		}
		w := send(s, r)
		if w.Code != test.status {
			t.Errorf("%s: %d", test.name, w.Code)
		}
		gotNames, got := members(t, out.Bytes())
		if bytes.Count(out.Bytes(), []byte("\n")) != 1 || !strings.HasSuffix(out.String(), "}\n") {
			t.Errorf("%s: not one line: %q", test.name, out.String())
		}
		at, err := time.Parse(time.RFC3339Nano, got["time"].(string))
		if err != nil || time.Since(at) > time.Minute || got["us"].(float64) < 0 {
			t.Errorf("%s: time %v, %v microseconds", test.name, got["time"], got["us"])
		}

		record := slog.NewRecord(at, slog.LevelInfo, "request", 0)
		record.Add("request_id", w.Header().Get("X-Request-ID"), "remote", r.RemoteAddr, "method", r.Method, "path", r.URL.EscapedPath(), "proto", "HTTP/1.1",
			"status", test.status, "in", test.in, "out", w.Body.Len(), "us", got["us"])
		if test.endpoint != "" {
			record.Add("endpoint", test.endpoint)
		}
		if test.code != 0 {
			record.Add("error_code", test.code)
		}
		if err := slog.NewJSONHandler(&want, nil).Handle(context.Background(), record); err != nil {
			t.Fatal(err)
		}
		wantNames, wanted := members(t, want.Bytes())
		if d := cmp.Diff(wanted, got); d != "" || !slices.Equal(gotNames, wantNames) {
			t.Errorf("%s: %q, want %q: %s", test.name, gotNames, wantNames, d)
		}
	}
}

// TestLogsHoldNoSecrets: neither queries, nor payloads, nor credentials.
func TestLogsHoldNoSecrets(t *testing.T) {
	var lines, log bytes.Buffer
	s := newTestServer(t, Config{RequestLog: &lines, Log: slog.New(slog.NewJSONHandler(&log, nil))}, echoBody(),
		Endpoint{Name: "api.v2.fail", Method: "GET", Path: "/fail", Produces: []string{v2Type}, Handle: func(*Call) error {
			return kafkarest.Wrap(kafkarest.CodeKafka, errors.New("the cause"), "public")
		}})
	ask(s, "POST", "/echo?token=SECRET", "SECRET", "Authorization: Basic SECRET", "Cookie: SECRET")
	ask(s, "GET", "/fail?token=SECRET", "")
	if all := lines.String() + log.String(); strings.Contains(all, "SECRET") {
		t.Error(all)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"cause":"the cause"`) || !strings.Contains(got, `"error_code":50002`) {
		t.Errorf("the log of a failure: %s", got)
	}
}

func TestPanicBeforeTheReply(t *testing.T) {
	var lines, log bytes.Buffer
	s := newTestServer(t, Config{RequestLog: &lines, Log: slog.New(slog.NewJSONHandler(&log, nil))},
		Endpoint{Name: "api.v2.panic", Method: "GET", Path: "/panic", Produces: []string{v2Type}, Handle: func(*Call) error { panic("a defect") }})
	w := ask(s, "GET", "/panic", "")
	if w.Code != 500 || w.Body.String() != `{"error_code":500,"message":"Internal Server Error"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := log.String(); !strings.Contains(got, `"panic":"a defect"`) || !strings.Contains(got, "log_test.go") {
		t.Errorf("the log has neither cause nor place: %s", got)
	}
	if !strings.Contains(lines.String(), `"status":500`) {
		t.Errorf("request log: %s", &lines)
	}
}

// TestPanicWithinTheReply: only a broken connection tells the client that what it has is not all.
func TestPanicWithinTheReply(t *testing.T) {
	s := newTestServer(t, Config{}, Endpoint{Name: "api.v2.panic", Method: "GET", Path: "/panic", Produces: []string{v2Type}, Handle: func(c *Call) error {
		c.Header().Set("Content-Length", "10")
		c.WriteHeader(200)
		if _, err := c.Write([]byte("abc")); err != nil {
			return err
		}
		_ = http.NewResponseController(c).Flush()
		panic("a defect")
	}})
	c := dial(t, listen(t, s, 0, nil))
	c.write(t, "GET /panic HTTP/1.1\nHost: x\n\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", body, err)
	}
}

// TestAbortGivesItsMemoryBack: what net/http knows as giving up is passed on to it.
func TestAbortGivesItsMemoryBack(t *testing.T) {
	e := echoBody()
	e.Handle = func(c *Call) error {
		if _, err := c.Body(); err != nil {
			return err
		}
		panic(http.ErrAbortHandler)
	}
	s := newTestServer(t, Config{}, e)
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("recovered %v", p)
			}
		}()
		ask(s, "POST", "/echo", "abc")
	}()
	if n := s.bodies.used.Load(); n != 0 {
		t.Errorf("%d bytes of the budget are not given back", n)
	}
}

func TestCompressedReplies(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for _, test := range []struct {
		on         bool
		accept     string
		body       string
		compressed bool
	}{
		{true, "gzip", long, true}, {true, "gzip", "short", false}, {true, "", long, false}, {false, "gzip", long, false}, {true, "gzip;q=0", long, false},
	} {
		s := newTestServer(t, Config{Compression: test.on}, Endpoint{Name: "api.v2.a", Method: "GET", Path: "/a", Produces: []string{v2Type},
			Handle: func(c *Call) error { return c.Reply(200, []byte(test.body)) }})
		w := ask(s, "GET", "/a", "", "Accept-Encoding: "+test.accept)
		got := w.Body.String()
		if encoding := w.Header().Get("Content-Encoding"); (encoding == "gzip") != test.compressed {
			t.Errorf("%+v: Content-Encoding %q", test, encoding)
		} else if encoding == "gzip" {
			got = gunzip(t, got)
		}
		if got != test.body || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%v %q: %.50q, %v", test.on, test.accept, got, w.Header())
		}
	}
}
