package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"kafkarest"
)

func TestDoSFilterRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, Config{DoSFilter: DoSFilter{Global: 5, PerClient: 2, Delay: -1}}, text("GET", "/a", "a"))
		from := func(host string) int {
			r := request("GET", "/a", "")
			r.RemoteAddr = host + ":1234"
			w := send(s, r)
			if w.Code == 429 && (w.Header().Get("DoSFilter") != "unavailable" || w.Header().Get("Retry-After") != "1") {
				t.Errorf("headers of 429: %v", w.Header())
			}
			return w.Code
		}
		passed := func(host string, n int) (ok int) {
			for range n {
				if from(host) == http.StatusOK {
					ok++
				}
			}
			return ok
		}
		if n := passed("1.1.1.1", 100); n != 2 {
			t.Errorf("one client: %d", n)
		}
		if n := passed("2.2.2.2", 2); n != 2 { // what the first was refused is not taken from others
			t.Errorf("another client: %d", n)
		}
		if n := passed("3.3.3.3", 2); n != 1 {
			t.Errorf("the limit for all: %d", n)
		}
		time.Sleep(time.Second)
		if n := passed("1.1.1.1", 5); n != 2 {
			t.Errorf("a second later: %d", n)
		}
	})
}

func TestDoSFilterDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, Config{DoSFilter: DoSFilter{Global: 1, Delay: 300 * time.Millisecond}}, text("GET", "/a", "a"))
		for _, want := range []time.Duration{0, 300 * time.Millisecond} {
			begin := time.Now()
			if w := ask(s, "GET", "/a", ""); w.Code != 200 || time.Since(begin) != want {
				t.Errorf("%d after %v, want %v", w.Code, time.Since(begin), want)
			}
		}
	})
}

// TestClientsAreForgotten: the memory of the limiter follows the clients of the last minutes.
func TestClientsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(DoSFilter{PerClient: 1}, Permits{})
		first := l.client("1.1.1.1:1")
		for i := range 100 {
			l.client(fmt.Sprintf("1.1.2.%d:1", i))
		}
		time.Sleep(61 * time.Second)
		if l.client("1.1.1.1:2") != first {
			t.Error("a client that is there again within a minute begins anew")
		}
		time.Sleep(61 * time.Second)
		l.client("1.1.1.1:1")
		if n := len(l.young) + len(l.old); n > 2 {
			t.Errorf("%d clients are remembered", n)
		}
		for i := range 300_000 {
			l.client(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
		}
		if n := len(l.young) + len(l.old); n > 200_002 {
			t.Errorf("a flood of addresses: %d are remembered", n)
		}
	})
}

func TestPermits(t *testing.T) {
	costs := map[string]int{"api.v2.topics.*": 4, "api.v2.*": 2, "api.v2.topics.list": 9, "api.v2.dear": 11}
	endpoints := []Endpoint{text("GET", "/topics", "topics.list"), text("GET", "/topic", "topics.get"), text("GET", "/other", "other"), text("GET", "/dear", "dear")}
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			target string
			passes int // of 10 permits
		}{{"/topics", 1}, {"/topic", 2}, {"/other", 5}, {"/dear", 0}, {"/none", 100}} {
			s := newTestServer(t, Config{Permits: Permits{PerSecond: 10, Cost: 1, Costs: costs}}, endpoints...)
			passed := 0
			for range 100 {
				if w := ask(s, "GET", test.target, ""); w.Code != http.StatusTooManyRequests {
					passed++
				} else if w.Header().Get("Retry-After") != "1" {
					t.Errorf("headers of 429: %v", w.Header())
				}
			}
			if passed != test.passes {
				t.Errorf("%s: %d passed, want %d", test.target, passed, test.passes)
			}
		}
	})
}

func TestPermitsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, Config{Permits: Permits{PerSecond: 10, Cost: 10, Wait: time.Second}}, text("GET", "/a", "a"))
		for _, want := range []time.Duration{0, time.Second} {
			begin := time.Now()
			if w := ask(s, "GET", "/a", ""); w.Code != 200 || time.Since(begin) != want {
				t.Errorf("%d after %v, want %v", w.Code, time.Since(begin), want)
			}
		}
	})
}

func TestHoldEndsWithItsClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := hold(ctx, time.Hour); kafkarest.AsError(err).Code != kafkarest.CodeTooManyRequests {
		t.Errorf("%v", err)
	}
}
