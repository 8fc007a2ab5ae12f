package httpapi

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// corsHeadersOf picks what cross-origin resource sharing adds.
func corsHeadersOf(h http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"Origin", "Credentials", "Methods", "Headers"} {
		if v := h.Get("Access-Control-Allow-" + name); v != "" {
			out[name] = v
		}
	}
	for _, name := range []string{"Expose-Headers", "Max-Age"} {
		if v := h.Get("Access-Control-" + name); v != "" {
			out[name] = v
		}
	}
	return out
}

func TestCORS(t *testing.T) {
	const good, other = "https://good.example", "https://other.example"
	preflight := func(origin, method, headers string) []string {
		out := []string{"Origin: " + origin, "Access-Control-Request-Method: " + method}
		if headers != "" {
			out = append(out, "Access-Control-Request-Headers: "+headers)
		}
		return out
	}
	granted := map[string]string{"Origin": good, "Credentials": "true"}
	defaults := map[string]string{"Origin": good, "Credentials": "true", "Max-Age": "1800",
		"Methods": "GET,POST,HEAD", "Headers": "X-Requested-With,Content-Type,Accept,Origin"}
	one := CORS{Origins: []string{good}}
	for _, test := range []struct {
		name    string
		cfg     CORS
		method  string
		headers []string
		body    string
		want    map[string]string
		vary    []string
	}{
		{"off", CORS{}, "GET", []string{"Origin: " + good}, "a", map[string]string{}, []string{"Accept-Encoding"}},
		{"off, preflight", CORS{}, "OPTIONS", preflight(good, "GET", ""), "GET, HEAD, OPTIONS", map[string]string{}, []string{"Accept-Encoding"}},
		{"no origin", one, "GET", nil, "a", map[string]string{}, []string{"Accept-Encoding"}},
		{"allowed", one, "GET", []string{"Origin: " + good}, "a", granted, []string{"Accept-Encoding", "Origin"}},
		{"other", one, "GET", []string{"Origin: " + other}, "a", map[string]string{}, []string{"Accept-Encoding", "Origin"}},
		{"any", CORS{Origins: []string{"*"}}, "GET", []string{"Origin: " + good}, "a", granted, []string{"Accept-Encoding", "Origin"}},
		{"no prefix match", one, "GET", []string{"Origin: " + good + ".evil.example"}, "a", map[string]string{}, []string{"Accept-Encoding", "Origin"}},
		{"expose", CORS{Origins: []string{good}, Expose: []string{"X-A", "X-B"}}, "GET", []string{"Origin: " + good}, "a",
			map[string]string{"Origin": good, "Credentials": "true", "Expose-Headers": "X-A,X-B"}, []string{"Accept-Encoding", "Origin"}},
		{"preflight", one, "OPTIONS", preflight(good, "POST", ""), "", defaults, []string{"Accept-Encoding", "Origin"}},
		{"preflight headers", one, "OPTIONS", preflight(good, "POST", "content-type, ACCEPT,"), "", defaults, []string{"Accept-Encoding", "Origin"}},
		{"preflight of other", one, "OPTIONS", preflight(other, "POST", ""), "", map[string]string{}, []string{"Accept-Encoding", "Origin"}},
		{"preflight method", one, "OPTIONS", preflight(good, "DELETE", ""), "", map[string]string{}, []string{"Accept-Encoding", "Origin"}},
		{"preflight header", one, "OPTIONS", preflight(good, "POST", "X-Other"), "", map[string]string{}, []string{"Accept-Encoding", "Origin"}},
		{"preflight configured", CORS{Origins: []string{good}, Methods: []string{"DELETE"}, Headers: []string{"X-Other"}}, "OPTIONS", preflight(good, "DELETE", "x-other"), "",
			map[string]string{"Origin": good, "Credentials": "true", "Max-Age": "1800", "Methods": "DELETE", "Headers": "X-Other"}, []string{"Accept-Encoding", "Origin"}},
		{"OPTIONS that is no preflight", one, "OPTIONS", []string{"Origin: " + good}, "GET, HEAD, OPTIONS", granted, []string{"Accept-Encoding", "Origin"}},
	} {
		s := newTestServer(t, Config{CORS: test.cfg}, text("GET", "/a", "a"))
		w := ask(s, test.method, "/a", "", test.headers...)
		if got := corsHeadersOf(w.Header()); w.Code != 200 || w.Body.String() != test.body || cmp.Diff(test.want, got) != "" {
			t.Errorf("%s: %d %q\n%s", test.name, w.Code, w.Body, cmp.Diff(test.want, got))
		}
		if got := w.Header()["Vary"]; cmp.Diff(test.vary, got) != "" {
			t.Errorf("%s: Vary %q, want %q", test.name, got, test.vary)
		}
	}
	if cmp.Diff([]string{"Accept-Encoding"}, varyEncoding) != "" {
		t.Errorf("the shared header value has become %q", varyEncoding)
	}
}

func TestHeaderRules(t *testing.T) {
	s := newTestServer(t, Config{NoSniff: true, HSTS: true, Headers: []HeaderRule{
		{"set", "X-Frame-Options", "DENY"},
		{"set", "Vary", "X-Set"}, {"add", "Vary", "X-Added"},
		{"add", "X-Multi", "1"}, {"add", "X-Multi", "2"}, {"set", "X-One", "1"}, {"set", "X-One", "2"},
		{"setDate", "Expires", "3600000"}, {"addDate", "X-Date", "-1000"},
	}}, text("GET", "/a", "a"))
	for _, target := range []string{"/a", "/none", "/../a"} { // errors have them too
		r := request("GET", "/a", "")
		r.URL.Path = target
		h := send(s, r).Header()
		for name, want := range map[string][]string{
			"X-Frame-Options": {"DENY"}, "Vary": {"X-Set", "X-Added"}, "X-Multi": {"1", "2"}, "X-One": {"2"},
			"X-Content-Type-Options": {"nosniff"}, "Strict-Transport-Security": nil,
		} {
			if d := cmp.Diff(want, h[name]); d != "" {
				t.Errorf("%s: %s: %s", target, name, d)
			}
		}
		for name, want := range map[string]time.Duration{"Expires": time.Hour, "X-Date": -time.Second} {
			at, err := http.ParseTime(h.Get(name))
			if ahead := time.Until(at); err != nil || ahead < want-10*time.Second || ahead > want+10*time.Second {
				t.Errorf("%s: %s: %s (%v)", target, name, h.Get(name), err)
			}
		}
	}
	r := request("GET", "/a", "")
	r.TLS = &tls.ConnectionState{}
	if got := send(s, r).Header().Get("Strict-Transport-Security"); got != "max-age=63072000" {
		t.Errorf("https: %q", got)
	}
}

func TestRejectOptions(t *testing.T) {
	s := newTestServer(t, Config{RejectOPTION: true}, text("GET", "/a", "a"))
	if w := ask(s, "OPTIONS", "/a", ""); w.Code != 403 || w.Body.Len() > 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestRootURL(t *testing.T) {
	advertised := RootURL{Advertised: map[string]string{"https": "public.example:443"}}
	named := RootURL{HostName: "kafka.example", Ports: map[string]string{"http": "8082"}}
	const trusted, stranger = "10.1.2.3:999", "11.1.2.3:999"
	for _, test := range []struct {
		name    string
		root    RootURL
		host    string
		tls     bool
		peer    string
		headers []string
		want    string
	}{
		{"host header", RootURL{}, "proxy:8082", false, stranger, nil, "http://proxy:8082"},
		{"no port", RootURL{}, "proxy", false, stranger, nil, "http://proxy"},
		{"https", RootURL{}, "proxy", true, stranger, nil, "https://proxy"},
		{"IPv6", RootURL{}, "[::1]:8082", false, stranger, nil, "http://[::1]:8082"},
		{"advertised", advertised, "proxy:1", true, stranger, nil, "https://public.example:443"},
		{"advertised for the other scheme", advertised, "proxy:1", false, stranger, nil, "http://proxy:1"},
		{"host.name", named, "proxy:1", false, stranger, nil, "http://kafka.example:8082"},
		{"host.name, no port asked", named, "proxy", false, stranger, nil, "http://kafka.example"},
		{"host.name, no listener of the scheme", named, "proxy:1", true, stranger, nil, "https://kafka.example"},
		{"advertised wins", RootURL{Advertised: map[string]string{"http": "a:1"}, HostName: "b"}, "proxy", false, stranger, nil, "http://a:1"},

		{"untrusted", RootURL{}, "proxy", false, stranger, []string{"Forwarded: host=evil;proto=https", "X-Forwarded-Host: evil"}, "http://proxy"},
		{"forwarded", RootURL{}, "proxy", false, trusted, []string{"Forwarded: for=1.2.3.4; Host=front.example; PROTO=HTTPS"}, "https://front.example"},
		{"forwarded, quoted", RootURL{}, "proxy", false, trusted, []string{`Forwarded: host="front.example:8443";proto=https, host=second`}, "https://front.example:8443"},
		{"forwarded wins", RootURL{}, "proxy", false, trusted, []string{"Forwarded: proto=https", "X-Forwarded-Host: other"}, "https://proxy"},
		{"x-forwarded", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: front.example"}, "https://front.example"},
		{"x-forwarded list", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Host: first, second"}, "http://first"},
		{"x-forwarded port", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Host: front:1", "X-Forwarded-Port: 2"}, "http://front:2"},
		{"x-forwarded port, IPv6", RootURL{}, "[::1]", false, trusted, []string{"X-Forwarded-Port: 2"}, "http://[::1]:2"},
		{"x-forwarded port is none", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Port: 2/evil"}, "http://proxy"},
		{"no scheme", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Proto: javascript"}, "http://proxy"},
		{"no authority", RootURL{}, "proxy", false, trusted, []string{"X-Forwarded-Host: user@evil/path"}, "http://proxy"},
		{"scheme for advertised", advertised, "proxy", false, trusted, []string{"X-Forwarded-Proto: https"}, "https://public.example:443"},
		{"mapped peer", RootURL{}, "proxy", false, "[::ffff:10.1.2.3]:1", []string{"X-Forwarded-Host: front"}, "http://front"},
		{"peer with a zone", RootURL{}, "proxy", false, "[fe80::1%eth0]:1", []string{"X-Forwarded-Host: front"}, "http://front"},
		{"peer without port", RootURL{}, "proxy", false, "@", []string{"X-Forwarded-Host: front"}, "http://proxy"},
	} {
		var got string
		e := Endpoint{Name: "api.v2.root", Method: "GET", Path: "/a", Produces: []string{v2Type}, Handle: func(c *Call) error {
			got = c.RootURL()
			return c.NoContent()
		}}
		s := newTestServer(t, Config{Root: test.root, TrustedForwarders: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}, e)
		r := request("GET", "/a", "", test.headers...)
		r.Host, r.RemoteAddr = test.host, test.peer
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if send(s, r); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	nobody := newTestServer(t, Config{})
	r := request("GET", "/a", "", "X-Forwarded-Host: evil")
	r.Host, r.RemoteAddr = "proxy", trusted
	if got := (&Call{R: r, server: nobody}).RootURL(); got != "http://proxy" {
		t.Errorf("nobody is trusted: %s", got)
	}
}
