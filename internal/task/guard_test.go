package task

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Hosts in URLs that stand for addresses which are not of the public Internet, each in a spelling that some guard has let through.
var forbiddenHosts = []string{
	"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "172.16.0.1", "172.31.255.255",
	"192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
	"255.255.255.255", "168.63.129.16", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.",
	"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
	"[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
	"[2001:db8::1]", "[100::1]", "[3fff::1]", "[5f00::1]",
}

func TestGuardRefusesForbiddenHosts(t *testing.T) {
	if len(forbiddenHosts) < 40 {
		t.Fatal(len(forbiddenHosts))
	}
	g, err := newGuard([]string{"*:*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range forbiddenHosts {
		for _, url := range []string{"https://" + host + "/hook", "https://" + host + ":8443/"} {
			if err := g.check(url); err == nil {
				t.Errorf("%s is taken", url)
			}
		}
	}
	for _, host := range []string{"example.com", "8.8.8.8", "[2606:4700::1111]", "a.b.c", "xn--bcher-kva.example"} {
		if err := g.check("https://" + host + "/hook?a=b"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestGuardRefusesAtTheDial(t *testing.T) {
	g, _ := newGuard([]string{"*:*"}, false)
	for _, host := range forbiddenHosts {
		if addr, err := netip.ParseAddr(strings.Trim(strings.ReplaceAll(host, "%25", "%"), "[]")); err == nil {
			network := map[bool]string{true: "tcp6", false: "tcp4"}[addr.Is6()]
			if err := g.control(network, netip.AddrPortFrom(addr, 443).String(), nil); err == nil {
				t.Errorf("%s would be dialled", addr)
			}
		}
	}
	for _, bad := range []struct{ network, address string }{{"udp4", "8.8.8.8:443"}, {"unix", "/x"}, {"tcp4", "example.com:443"}} {
		if g.control(bad.network, bad.address, nil) == nil {
			t.Errorf("%v would be dialled", bad)
		}
	}
	if err := g.control("tcp4", "8.8.8.8:443", nil); err != nil {
		t.Error(err)
	}
}

func TestGuardHosts(t *testing.T) {
	g, err := newGuard([]string{"hooks.example.com", "*.example.org:8443", "any.example.net:*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for url, ok := range map[string]bool{
		"https://hooks.example.com/a":                            true,
		"https://HOOKS.example.com:443/a":                        true,
		"https://hooks.example.com:444/a":                        false,
		"https://x.hooks.example.com/":                           false,
		"https://hooks.example.com.evil.net/":                    false,
		"https://a.example.org:8443/":                            true,
		"https://a.example.org/":                                 false,
		"https://example.org:8443/":                              false,
		"https://evilexample.org:8443/":                          false,
		"https://any.example.net:1/":                             true,
		"http://hooks.example.com/":                              false,
		"https://u:p@hooks.example.com/":                         false,
		"https://hooks.example.com@evil.net/":                    false,
		"https://hooks.example.com/#x":                           false,
		"ftp://hooks.example.com/":                               false,
		"//hooks.example.com/":                                   false,
		"https:///x":                                             false,
		"https:hooks.example.com":                                false,
		"":                                                       false,
		"https://hooks.example.com\\@evil.net/":                  false,
		"https://hooks.example.com/" + strings.Repeat("x", 3000): false,
	} {
		if err := g.check(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, bad := range []string{"", "a b", "http://x", "x:0", "x:99999", "*x", "a*.b"} {
		if _, err := newGuard([]string{bad}, false); err == nil {
			t.Errorf("%q is taken as a rule", bad)
		}
	}
	off, _ := newGuard(nil, true)
	if off.check("https://example.com/") == nil {
		t.Error("callbacks are on without hosts")
	}
}

// canary counts the connections that reach loopback.
func canary(t *testing.T) (port string, count *atomic.Int64) {
	t.Helper()
	count = new(atomic.Int64)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // a machine without IPv6
		}
		t.Cleanup(func() { _ = l.Close() })
		if port == "" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
		}
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				count.Add(1)
				_ = c.Close()
			}
		}()
	}
	return port, count
}

// rebinding is a name server to which every name is loopback's, whatever it was when the URL was checked.
func rebinding(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for n, from, err := conn.ReadFrom(buf); err == nil; n, from, err = conn.ReadFrom(buf) {
			out := answer(buf[:n])
			_, _ = conn.WriteTo(out, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer makes a DNS answer (RFC 1035) to a query of one question: loopback for an A record, nothing for any other.
func answer(query []byte) []byte {
	const header = 12
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root label, type and class
	out := append([]byte(nil), query[:end]...)
	out[2], out[3] = 0x84, 0                      // an authoritative answer without error
	copy(out[6:header], []byte{0, 0, 0, 0, 0, 0}) // no answers, no authorities, no additional records
	if query[end-4] == 0 && query[end-3] == 1 {
		out[7] = 1
		out = append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return out
}

// Whatever the URL, and whatever its name means when it is dialled: nothing arrives at loopback. What is checked here is the sender alone, as if
// a URL had passed the check when it was given.
func TestNoCallbackReachesLoopback(t *testing.T) {
	port, count := canary(t)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port)
	g, _ := newGuard([]string{"*:*"}, false)
	s := newSender(Callbacks{Resolver: rebinding(t), Timeout: 3 * time.Second}, g, time.Now)
	unchecked := *s
	unchecked.guard = guard{hosts: g.hosts, private: true} // only the dial is guarded then
	targets := append([]string{"rebind.example", "localhost", "localhost.example"}, forbiddenHosts...)
	for _, host := range targets {
		for _, sender := range []*sender{s, &unchecked} {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			a, _ := sender.attempt(ctx, &Task{Callback: &Callback{URL: "https://" + host + ":" + port + "/"}})
			cancel()
			if a.Status != 0 || a.Error == "" {
				t.Errorf("%s: %+v", host, a)
			}
		}
	}
	if n := count.Load(); n > 0 {
		t.Errorf("%d connections arrived at loopback", n)
	}
}

// A redirect is a failure, and is not followed.
func TestRedirectIsNotFollowed(t *testing.T) {
	port, count := canary(t)
	receiver := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:"+port+"/", http.StatusTemporaryRedirect))
	defer receiver.Close()
	g, _ := newGuard([]string{"*:*"}, true)
	s := newSender(Callbacks{Timeout: 3 * time.Second}, g, time.Now)
	a, _ := s.attempt(t.Context(), &Task{Callback: &Callback{URL: receiver.URL}})
	if a.Status != http.StatusTemporaryRedirect || count.Load() > 0 {
		t.Errorf("%+v, and %d connections at the target", a, count.Load())
	}
	if next := (&callback{}).tried(a, defaultRetries, 0, func() float64 { return 0.5 }); next.state != CallbackWaiting {
		t.Errorf("a redirect ends in %s", next.state)
	}
}

// Hosts and ports that can never be good are refused when they are given, not days later.
func TestGuardRefusesWhatCannotBe(t *testing.T) {
	local := []string{"localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "db.internal", "metadata.google.internal.", "printer.local", "Printer.Local"}
	never := []string{"bücher.example", "b%C3%BCcher.example", "例え.テスト", "a..example", ".example", "..", strings.Repeat("x", 64) + ".example",
		strings.Repeat("abcdefg.", 40) + "example", "a b.example", "a!b.example", "hooks.example:0", "hooks.example:65536", "hooks.example:99999", "[::1]x"}
	public, err := newGuard([]string{"*:*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := newGuard([]string{"*:*"}, true)
	named, _ := newGuard([]string{"*:*", "hooks.internal", "localhost:*"}, false)
	for _, host := range local {
		if public.check("https://"+host+"/") == nil {
			t.Errorf("%s is taken", host)
		}
		if err := private.check("https://" + host + "/"); err != nil {
			t.Errorf("%s, where private ones are allowed: %v", host, err)
		}
	}
	for _, host := range never {
		for _, g := range []guard{public, private, named} {
			if g.check("https://"+host+"/") == nil {
				t.Errorf("%s is taken", host)
			}
		}
	}
	for host, ok := range map[string]bool{"hooks.internal": true, "Hooks.Internal": true, "localhost": true, "other.internal": false, "a.localhost": false} {
		if err := named.check("https://" + host + "/"); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"xn--bcher-kva.example", "a_b.example", "internal.example", "local", "mylocalhost.example", "hooks.example:", "hooks.example:65535", "example.com."} {
		if err := public.check("https://" + host + "/"); (err == nil) != (host != "local") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
