package tests

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

func TestMessagesHeartbeat(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"messages.heartbeat.ms": "100"})
	topic := harness.CreateTopic(t, b, 1)
	for _, path := range []string{"/-/latest", "/someone"} {
		s := p.messages(topic).open(path, "text/event-stream")
		for range 3 {
			if rest := s.line(":"); rest != "" {
				t.Errorf("%s: a comment says %q", path, rest)
			}
		}
	}
	s := p.messages(topic).open("/-/latest", "application/x-ndjson")
	s.line(`{"next":"`)
}

// TestMessagesDrain stops a proxy with every kind of endless and waiting request open.
func TestMessagesDrain(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	topic := harness.CreateTopic(t, b, 2)
	p, err := newProxy(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.T = t
	m := p.messages(topic)
	var streams []*stream
	for range 10 {
		streams = append(streams, m.open("/-/latest", "text/event-stream"), m.open("/-/latest", "application/x-ndjson"), m.open("/me", "text/event-stream"))
	}
	var wg sync.WaitGroup
	for _, path := range []string{"/-/latest?wait=50", "/me?wait=50"} {
		wg.Go(func() {
			if r, err := p.Try(t.Context(), "GET", "/messages/"+topic+path, ""); err != nil || r.Status != 200 {
				t.Errorf("%s: %v %v", path, r, err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // so that they wait
	begin := time.Now()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("the end took %v", took)
	}
	wg.Wait()
	for _, s := range streams {
		for range s.lines { // until they end
		}
	}
}

// TestMessagesHangUp has clients go in the middle of each kind of reply: nothing of them stays.
func TestMessagesHangUp(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 2)
	storeNumbers(t, b, topic, 2, 0, 20_000)
	m := p.messages(topic)
	m.get("/me?limit=1&wait=5")
	round := func() {
		var wg sync.WaitGroup
		for _, accept := range []string{"text/event-stream", "application/x-ndjson", "application/json", "multipart/mixed", "application/octet-stream"} {
			for _, path := range []string{"/-/earliest?wait=30&limit=10000", "/-/latest?wait=30", "/me?wait=30"} {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
					defer cancel()
					if strings.HasPrefix(accept, "text") && strings.Contains(path, "limit") {
						path = "/-/earliest"
					}
					_, _ = p.Try(ctx, "GET", "/messages/"+topic+path, "", "Accept", accept)
				})
			}
		}
		wg.Wait()
		harness.Client.CloseIdleConnections()
	}
	round()
	before := settledGoroutines()
	for range 5 {
		round()
	}
	if after := settledGoroutines(); after > before+10 {
		t.Errorf("%d goroutines after clients have gone, %d before", after, before)
	}
	if got := m.receiveN("/me?wait=5&limit=100", 100); len(got) == 0 {
		t.Error("what they held does not come again")
	}
}

func settledGoroutines() int {
	least := runtime.NumGoroutine()
	for range 40 {
		time.Sleep(50 * time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}
