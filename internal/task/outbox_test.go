package task

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// owed has a store owe the callback of a task that has ended.
func owed(t *testing.T, s *Store, url string) *entry {
	t.Helper()
	id := begin(t, s, Beginning{Async: true, Callback: url})
	s.mu.Lock()
	e := s.tasks[id]
	s.mu.Unlock()
	s.Finish(id, Delivered, 200, []byte(`[]`), nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outbox.add(e)
	return e
}

// turns takes what may be sent now.
func turns(s *Store) (out []turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		t, wait := s.outbox.next()
		if t.e == nil && wait > 0 {
			return out
		}
		if t.e != nil {
			out = append(out, t)
		}
	}
}

// Those that wait for a host that is busy are looked at once, and again when there is room, in their order; another host's do not wait.
func TestBusyHostIsLeftAlone(t *testing.T) {
	s, c := memoryStore(t, Config{}) // nobody sends: the test takes the turns itself
	const many = 3000
	var all []*entry
	for i := range many {
		all = append(all, owed(t, s, fmt.Sprintf("https://Hangs.example/%d", i)))
		c.add(time.Millisecond)
	}
	under := turns(s)
	if len(under) != perHost || len(s.outbox.due.heap) != 0 || s.outbox.waiting != many-perHost {
		t.Fatalf("%d are sent, %d are due, %d wait", len(under), len(s.outbox.due.heap), s.outbox.waiting)
	}
	owed(t, s, "https://answers.example/")
	if good := turns(s); len(good) != 1 {
		t.Errorf("%d are sent to another host", len(good))
	}
	for i := perHost; i < 50; i++ {
		s.mu.Lock()
		under[0].e.callback.state = CallbackDelivered
		under[0].to.leave(s.outbox)
		s.mu.Unlock()
		next := turns(s)
		if len(next) != 1 || next[0].e != all[i] {
			t.Fatalf("after one has ended %d are sent, not the one that has waited longest", len(next))
		}
		under = append(under[1:], next...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range all {
		s.remove(e)
	}
	for _, r := range under {
		r.to.leave(s.outbox)
	}
	if s.outbox.waiting > 0 || len(s.outbox.hosts) != 1 {
		t.Errorf("%d wait, for %d hosts", s.outbox.waiting, len(s.outbox.hosts))
	}
}

// All callbacks arrive, of many more than a host is sent at once, and never more than that at once.
func TestCallbacksToOneHost(t *testing.T) {
	const many = 200
	var now, most, done atomic.Int64
	to := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		now.Add(-1)
		done.Add(1)
	}))
	defer to.Close()
	s, _ := memoryStore(t, Config{Callbacks: Callbacks{AllowHosts: []string{"127.0.0.1:*"}, AllowPrivate: true, Secrets: []Secret{make([]byte, 32)}}})
	defer s.outbox.sender.client.CloseIdleConnections()
	for range many {
		s.Finish(begin(t, s, Beginning{Async: true, Callback: to.URL}), Delivered, 200, []byte(`[]`), nil)
	}
	for deadline := time.Now().Add(15 * time.Second); done.Load() < many; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d have arrived", done.Load())
		}
	}
	if most.Load() > perHost {
		t.Errorf("%d at once", most.Load())
	}
}
