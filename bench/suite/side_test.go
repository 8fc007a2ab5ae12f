package suite

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/bench/load"
)

func TestParsePeers(t *testing.T) {
	got, err := ParsePeers(" confluent=http://127.0.0.1:8082@4711  b=http://localhost:8083/@7 ")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if *got[0] != (Side{Name: "confluent", Addr: "127.0.0.1:8082", PID: 4711}) || *got[1] != (Side{Name: "b", Addr: "localhost:8083", PID: 7}) {
		t.Errorf("%+v, %+v", *got[0], *got[1])
	}
	if none, err := ParsePeers("  "); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %v, %v", none, err)
	}
	for _, bad := range []string{
		"x", "=http://h:1@2", "a=http://h:1", "a=http://h:1@", "a=http://h:1@x", "a=http://h:1@0", "a=http://h@1", "a=https://h:1@2", "a=http://h:1/p@2",
	} {
		if got, err := ParsePeers(bad); err == nil {
			t.Errorf("%s: %+v, no error", bad, *got[0])
		}
	}
}

func TestNames(t *testing.T) {
	if got := safeName("bench", "a b/c", "ü.1_x"); got != "bench-a-b-c--.1_x" {
		t.Errorf("safeName gives %q", got)
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 200_000: "200,000", 1_002_003: "1,002,003"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) is %q", n, got)
		}
	}
}

func TestChildEnv(t *testing.T) {
	got := childEnv([]string{"PATH=/bin", "KAFKA_REST_LISTENERS=x", "HOME=/"})
	if !slices.Equal(got, []string{"PATH=/bin", "HOME=/"}) {
		t.Errorf("%v", got)
	}
}

func TestLandedAndComplete(t *testing.T) {
	produce := &produceLoad{records: 10}
	for _, c := range []struct {
		ok, failed int
		stored     int64
		good       bool
	}{{5, 0, 50, true}, {5, 0, 49, false}, {5, 0, 51, false}, {5, 1, 50, true}, {5, 1, 60, true}, {5, 1, 61, false}} {
		err := produce.landed(load.Outcome{Sent: c.ok + c.failed, OK: c.ok, Failed: c.failed}, c.stored)
		if (err == nil) != c.good {
			t.Errorf("%+v: %v", c, err)
		}
	}
	consume := &consumeLoad{records: 10}
	for _, c := range []struct {
		got  load.Reading
		good bool
	}{
		{load.Reading{Records: 10}, true}, {load.Reading{Records: 9}, false}, {load.Reading{Records: 10, Gaps: 1}, false},
		{load.Reading{Records: 10, Repeats: 1}, false}, {load.Reading{Records: 10, FirstError: errors.New("x")}, false},
	} {
		if err := consume.complete(c.got); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.got, err)
		}
	}
}

// seen is what a stand-in for a proxy was asked.
type seen struct {
	mu    sync.Mutex
	calls []string
}

func (s *seen) add(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func (s *seen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, "\n")
}

// standIn answers as a proxy would that knows only the named member for auto-commit.
func standIn(t *testing.T, commitMember string) (*Side, *seen) {
	t.Helper()
	var asked seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.add(r.Method + " " + r.URL.String() + " " + r.Header.Get("Accept"))
		if r.Method != "POST" || strings.HasSuffix(r.URL.Path, "subscription") {
			return
		}
		body, _ := io.ReadAll(r.Body)
		var members map[string]any
		if json.Unmarshal(body, &members) != nil || members[commitMember] == nil || members["format"] != "json" {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	}))
	t.Cleanup(server.Close)
	return &Side{Name: "x", Addr: server.Listener.Addr().String()}, &asked
}

func TestReaderSpeaksV2(t *testing.T) {
	side, asked := standIn(t, "auto.commit.enable")
	r, err := side.openReader(t.Context(), "t", "i", time.Second, jsonOf100)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.read(t.Context(), 50*time.Millisecond), r.close(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"POST /consumers/i " + load.TypeV2,
		"POST /consumers/i/instances/i/subscription " + load.TypeV2,
		"GET /consumers/i/instances/i/records?timeout=50&max_bytes=1000000 " + load.TypeJSON,
		"DELETE /consumers/i/instances/i " + load.TypeV2,
	}, "\n")
	if got := asked.all(); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}

func TestReaderFindsTheOtherSpelling(t *testing.T) {
	side, _ := standIn(t, "enable.auto.commit")
	if _, err := side.openReader(t.Context(), "t", "i", time.Second, jsonOf100); err != nil {
		t.Error(err)
	}
	side, _ = standIn(t, "neither")
	if _, err := side.openReader(t.Context(), "t", "i", time.Second, jsonOf100); err == nil {
		t.Error("no error where no instance was made")
	}
}

func TestRepeatEndsWithItsContext(t *testing.T) {
	held := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		held <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		addr := server.Listener.Addr().String()
		repeat(ctx, addr, load.Request("GET", addr, "/", "", "", ""), time.Millisecond, func(time.Duration) { t.Error("answered") })
	}()
	<-held
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting for an answer")
	}
}

// liar answers each produce request as if its one record were stored, and any other with 200.
func liar(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null}]}`)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
