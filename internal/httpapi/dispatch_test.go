package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest"
)

// surface is a small API with everything that dispatch knows: several formats on one path, a body, no type, a kept endpoint.
func surface() []Endpoint {
	produce := func(name string, consumes string, noType bool) Endpoint {
		e := text("POST", "/topics/{topic}", name, v2Type)
		e.Consumes, e.NoType = []string{consumes}, noType
		return e
	}
	read := func(name string, produces ...string) Endpoint { return text("GET", "/records", name, produces...) }
	live := text("GET", "/livez", "live")
	live.AlwaysOn = true
	echo := Endpoint{Name: "api.v2.echo.get", Method: "GET", Path: "/echo/{name}", Produces: []string{"text/plain"},
		Handle: func(c *Call) error { return c.Reply(200, []byte(c.Param("name")+" "+c.ContentType)) }}
	return []Endpoint{
		text("GET", "/{$}", "root.get", v2Type),
		text("GET", "/topics", "topics.list", v2Type),
		text("GET", "/topics/{topic}", "topics.get", v2Type),
		produce("produce.binary", binaryV2, true), produce("produce.json", jsonV2, false),
		read("read.binary", binaryV2, v2Type), read("read.json", jsonV2),
		live, echo,
	}
}

func TestDispatch(t *testing.T) {
	const (
		notFound       = `{"error_code":404,"message":"HTTP 404 Not Found"}`
		notAllowed     = `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`
		notAcceptable  = `{"error_code":406,"message":"HTTP 406 Not Acceptable"}`
		unsupported    = `{"error_code":415,"message":"HTTP 415 Unsupported Media Type"}`
		json           = "application/json"
		plain          = "text/plain"
		produceMethods = "GET, HEAD, OPTIONS, POST"
	)
	s := newTestServer(t, Config{PreferTypes: []string{json, v2Type}}, surface()...)
	for _, test := range []struct {
		method, target string
		headers        []string
		status         int
		body, typ      string
		allow          string
	}{
		{"GET", "/", nil, 200, "root.get", v2Type, ""},
		{"GET", "/topics", nil, 200, "topics.list", v2Type, ""},
		{"GET", "/topics/", nil, 200, "topics.list", v2Type, ""},
		{"GET", "/topics?unknown=1", nil, 200, "topics.list", v2Type, ""},
		{"HEAD", "/topics", nil, 200, "topics.list", v2Type, ""}, // net/http leaves the body out
		{"GET", "/echo/a%2Fb", nil, 200, "a/b ", plain, ""},
		{"GET", "/echo/a%2Fb/", nil, 200, "a/b ", plain, ""},
		{"GET", "/echo/a%2F", nil, 200, "a/ ", plain, ""}, // the slash is the name's
		{"GET", "/echo/%2e%2e", nil, 200, ".. ", plain, ""},
		{"GET", "/echo/%C3%BC", nil, 200, "ü ", plain, ""},

		{"GET", "/none", nil, 404, notFound, json, ""},
		{"POST", "/none", []string{"Accept: " + v2Type}, 404, notFound, v2Type, ""},
		{"GET", "/none", []string{"Accept: text/html, " + v2Type + ", " + json}, 404, notFound, v2Type, ""},
		{"GET", "/none", []string{"Accept: " + v2Type + ";q=0.5"}, 404, notFound, json, ""}, // not literally
		{"GET", "/topics/a/b", nil, 404, notFound, json, ""},
		{"GET", "/Topics", nil, 404, notFound, json, ""},

		{"DELETE", "/topics/t", nil, 405, notAllowed, json, produceMethods},
		{"PUT", "/records", []string{"Content-Type: rubbish"}, 405, notAllowed, json, "GET, HEAD, OPTIONS"},
		{"TRACE", "/topics", nil, 405, notAllowed, json, "GET, HEAD, OPTIONS"},
		{"BREW", "/topics", nil, 405, notAllowed, json, "GET, HEAD, OPTIONS"},

		{"POST", "/topics/t", []string{"Content-Type: application/json"}, 415, unsupported, json, ""},
		{"POST", "/topics/t", []string{"Content-Type: application/json", "Accept: text/html"}, 415, unsupported, json, ""}, // before 406
		{"POST", "/topics/t", []string{"Content-Type: " + jsonV2 + ";charset=utf-16"}, 415, unsupported, json, ""},
		{"POST", "/topics/t", []string{"Content-Type: ;"}, 415, unsupported, json, ""},
		{"POST", "/topics/t", nil, 200, "produce.binary", v2Type, ""},
		{"POST", "/topics/t", []string{"Content-Type: " + jsonV2}, 200, "produce.json", v2Type, ""},
		{"POST", "/topics/t", []string{"Content-Type: " + strings.ToUpper(jsonV2) + " ; charset=utf-8"}, 200, "produce.json", v2Type, ""},
		{"POST", "/topics/t", []string{"Content-Type: " + jsonV2, "Accept: " + jsonV2}, 406, notAcceptable, json, ""},
		{"GET", "/topics", []string{"Accept: text/html"}, 406, notAcceptable, json, ""},
		{"GET", "/topics", []string{"Accept: application/json"}, 406, notAcceptable, json, ""},
		{"GET", "/topics", []string{"Content-Type: rubbish"}, 200, "topics.list", v2Type, ""}, // nobody looks at the body

		{"GET", "/records", nil, 200, "read.binary", binaryV2, ""},
		{"GET", "/records", []string{"Accept: */*"}, 200, "read.binary", binaryV2, ""},
		{"GET", "/records", []string{"Accept: " + v2Type}, 200, "read.binary", v2Type, ""},
		{"GET", "/records", []string{"Accept: " + jsonV2}, 200, "read.json", jsonV2, ""},
		{"GET", "/records", []string{"Accept: " + v2Type + ";q=0.1, " + jsonV2 + ";q=0.2"}, 200, "read.json", jsonV2, ""},
		{"GET", "/records", []string{"Accept: text/html"}, 406, notAcceptable, json, ""},

		{"OPTIONS", "/topics/t", nil, 200, produceMethods, plain, produceMethods},
		{"OPTIONS", "/topics/", nil, 200, "GET, HEAD, OPTIONS", plain, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/none", nil, 404, notFound, json, ""},
	} {
		w := ask(s, test.method, test.target, "", test.headers...)
		if w.Code != test.status || w.Body.String() != test.body || w.Header().Get("Content-Type") != test.typ || w.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s %q:\n got %d %s %q, Allow %q\nwant %d %s %q, Allow %q", test.method, test.target, test.headers,
				w.Code, w.Header().Get("Content-Type"), w.Body, w.Header().Get("Allow"), test.status, test.typ, test.body, test.allow)
		}
		if w.Header().Get("X-Request-ID") == "" || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s %s: headers %v", test.method, test.target, w.Header())
		}
	}
}

// TestPaths sends request targets as they are, which a Go client would tidy up.
func TestPaths(t *testing.T) {
	s := newTestServer(t, Config{}, surface()...)
	l := listen(t, s, 0, nil)
	for _, test := range []struct {
		line   string
		status int
		body   string // a part
	}{
		{"GET /topics", 200, "topics.list"},
		{"GET http://example.com/topics", 200, "topics.list"}, // the absolute form
		{"GET //topics", 400, "empty segment"},
		{"GET /echo//", 400, "empty segment"},
		{"GET /echo/./a", 400, "dot segment"},
		{"GET /echo/../topics", 400, "dot segment"},
		{"GET /echo/..", 400, "dot segment"},
		{"GET /.", 400, "dot segment"},
		{"GET /echo/.a", 200, ".a"},
		{"GET /echo/%2e%2e%2ftopics", 200, "../topics"},
		{"GET *", 400, "starts with a slash"},
		{"GET http://example.com", 400, "starts with a slash"},
		{"OPTIONS *", 200, ""},
		{"GET /echo/%zz", 400, ""}, // net/http's own answer
	} {
		c := dial(t, l)
		c.write(t, test.line+" HTTP/1.1\nHost: example.com\nConnection: close\n\n")
		resp, body := c.reply(t)
		if resp.StatusCode != test.status || !strings.Contains(body, test.body) {
			t.Errorf("%s: %d %q, want %d with %q", test.line, resp.StatusCode, body, test.status, test.body)
		}
		if resp.StatusCode == 400 && test.body != "" && !strings.HasPrefix(body, `{"error_code":400,"message":"Bad Request: `) {
			t.Errorf("%s: %s", test.line, body)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	s := newTestServer(t, Config{}, surface()...)
	c := dial(t, listen(t, s, 0, nil))
	c.write(t, "HEAD /topics HTTP/1.1\nHost: x\n\nGET /topics HTTP/1.1\nHost: x\n\n")
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "HEAD"})
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len("topics.list")) {
		t.Fatalf("HEAD: %+v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if resp, body := c.reply(t); resp.StatusCode != 200 || body != "topics.list" {
		t.Errorf("after HEAD: %d %q", resp.StatusCode, body)
	}
}

func TestAllowAndBlockLists(t *testing.T) {
	for _, test := range []struct {
		name         string
		allow, block []string
		want         map[string]int // "METHOD target" → status
	}{
		{"none", nil, nil, map[string]int{"GET /topics": 200, "POST /topics/t": 200, "GET /livez": 200}},
		{"allow one", []string{"api.v2.topics.list"}, nil,
			map[string]int{"GET /topics": 200, "HEAD /topics": 200, "GET /topics/t": 404, "HEAD /topics/t": 404, "POST /topics/t": 405, "GET /livez": 200, "OPTIONS /topics/t": 200}},
		{"allow class", []string{"api.v2.topics.*"}, nil, map[string]int{"GET /topics": 200, "GET /topics/t": 200, "POST /topics/t": 405}},
		{"block one", nil, []string{"api.v2.topics.get"}, map[string]int{"GET /topics": 200, "GET /topics/t": 404, "POST /topics/t": 200}},
		{"block wins", []string{"api.v2.topics.*"}, []string{"api.v2.topics.get"}, map[string]int{"GET /topics": 200, "GET /topics/t": 404}},
		{"one format of a path", nil, []string{"api.v2.produce.binary"}, map[string]int{"POST /topics/t": 415}},
		{"all", nil, []string{"api.v2.*"}, map[string]int{"GET /topics": 404, "POST /topics/t": 405, "GET /livez": 200}},
	} {
		s := newTestServer(t, Config{AllowNames: test.allow, BlockNames: test.block}, surface()...)
		for line, status := range test.want {
			method, target, _ := strings.Cut(line, " ")
			if w := ask(s, method, target, ""); w.Code != status {
				t.Errorf("%s: %s: %d %s, want %d", test.name, line, w.Code, w.Body, status)
			}
		}
	}
}

func TestUnknownNamesOfLists(t *testing.T) {
	for name, wrong := range map[string]bool{
		"api.v2.topics.list": false, "api.v2.topics.*": false, "api.v2.*": false,
		"api.v2.topic.list": true, "api.v2.topic.*": true,
		"api.v9.whatever": false, // of a version that is not mounted
	} {
		for _, cfg := range []Config{{AllowNames: []string{name}}, {BlockNames: []string{name}}} {
			if _, err := New(cfg, surface()); (err != nil) != wrong {
				t.Errorf("%q: %v", name, err)
			} else if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("the error does not name %q: %v", name, err)
			}
		}
	}
}

func TestErrorBodies(t *testing.T) {
	cause := errors.New("a secret cause")
	for _, test := range []struct {
		name   string
		err    error
		debug  bool
		status int
		body   string
		retry  string
	}{
		{"code", kafkarest.Errorf(40403, "no such %s", "thing"), false, 404, `{"error_code":40403,"message":"no such thing"}`, ""},
		{"cause is not shown", kafkarest.Wrap(50002, cause, "public"), false, 500, `{"error_code":50002,"message":"public"}`, ""},
		{"unknown error", cause, false, 500, `{"error_code":500,"message":"Internal Server Error"}`, ""},
		{"debug shows it", cause, true, 500, `{"error_code":500,"message":"Internal Server Error\nInternal Server Error: 500 Internal Server Error: a secret cause"}`, ""},
		{"debug leaves Kafka's alone", kafkarest.Wrap(50002, cause, "public"), true, 500, `{"error_code":50002,"message":"public"}`, ""},
		{"debug of the HTTP layer", NotFound(cause), true, 404, `{"error_code":404,"message":"HTTP 404 Not Found\nNotFoundException: 404 HTTP 404 Not Found: a secret cause"}`, ""},
		{"quotes", kafkarest.Errorf(400, "a \"b\" \\ \n \u2028 ü"), false, 400, "{\"error_code\":400,\"message\":\"a \\\"b\\\" \\\\ \\n \u2028 ü\"}", ""},
		{"not UTF-8", kafkarest.Errorf(400, "a\xff\xfeb"), false, 400, `{"error_code":400,"message":"a?b"}`, ""},
		{"retry after", &kafkarest.Error{Code: 429, Message: "m", RetryAfter: 1100 * time.Millisecond}, false, 429, `{"error_code":429,"message":"m"}`, "2"},
	} {
		fail := Endpoint{Name: "api.v2.fail", Method: "GET", Path: "/fail", Produces: []string{v2Type}, Handle: func(*Call) error { return test.err }}
		w := ask(newTestServer(t, Config{Debug: test.debug}, fail), "GET", "/fail", "")
		if w.Code != test.status || w.Body.String() != test.body || w.Header().Get("Retry-After") != test.retry || w.Header().Get("Content-Type") != v2Type {
			t.Errorf("%s: %d %q %v, want %d %q", test.name, w.Code, w.Body, w.Header(), test.status, test.body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON: %q", test.name, w.Body)
		}
	}
}

func TestErrorAfterTheReplyBegan(t *testing.T) {
	s := newTestServer(t, Config{}, Endpoint{Name: "api.v2.late", Method: "GET", Path: "/late", Produces: []string{v2Type}, Handle: func(c *Call) error {
		if err := c.Reply(200, []byte("begun")); err != nil {
			return err
		}
		return errors.New("too late")
	}})
	if w := ask(s, "GET", "/late", ""); w.Code != 200 || w.Body.String() != "begun" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestNoContent(t *testing.T) {
	s := newTestServer(t, Config{}, Endpoint{Name: "api.v2.none", Method: "DELETE", Path: "/none", Produces: []string{v2Type}, Handle: (*Call).NoContent})
	if w := ask(s, "DELETE", "/none", ""); w.Code != 204 || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestRequestIDs(t *testing.T) {
	s := newTestServer(t, Config{}, text("GET", "/a", "a"))
	given := func(ids ...string) string {
		r := request("GET", "/a", "")
		for _, id := range ids {
			r.Header.Add("X-Request-ID", id)
		}
		return send(s, r).Header().Get("X-Request-ID")
	}
	for _, id := range []string{"a", "A-b_c.9", strings.Repeat("x", 128)} {
		if got := given(id); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, ids := range [][]string{nil, {""}, {"a b"}, {"a\"b"}, {"a\r\nSet-Cookie: x"}, {"ü"}, {strings.Repeat("x", 129)}, {"a", "b"}} {
		got := given(ids...)
		if slices.Contains(ids, got) || !isToken(got) || seen[got] {
			t.Errorf("%q became %q", ids, got)
		}
		seen[got] = true
	}
}

func TestDrain(t *testing.T) {
	s := newTestServer(t, Config{}, text("GET", "/a", "a"))
	if w := ask(s, "GET", "/a", ""); w.Header().Get("Connection") != "" {
		t.Errorf("before: %v", w.Header())
	}
	s.Drain()
	s.Drain() // twice is once
	if w := ask(s, "GET", "/a", ""); w.Code != 200 || w.Header().Get("Connection") != "close" {
		t.Errorf("after: %d %v", w.Code, w.Header())
	}
	r := request("GET", "/a", "")
	r.ProtoMajor = 2
	if w := send(s, r); w.Header().Get("Connection") != "" {
		t.Errorf("HTTP/2 knows no Connection header: %v", w.Header())
	}
}

func TestRequestTimeout(t *testing.T) {
	s := newTestServer(t, Config{RequestTimeout: 20 * time.Millisecond}, Endpoint{Name: "api.v2.wait", Method: "GET", Path: "/wait", Produces: []string{v2Type},
		Handle: func(c *Call) error {
			<-c.R.Context().Done()
			return kafkarest.Wrap(kafkarest.CodeTimeout, c.R.Context().Err(), "late")
		}})
	if w := ask(s, "GET", "/wait", ""); w.Code != 504 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
