package task

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sends has a store send the callbacks of all partitions, without the group.
func sends(s *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.cfg.Partitions {
		s.outbox.owned[p] = true
	}
}

func toLoopback() Callbacks {
	return Callbacks{AllowHosts: []string{"127.0.0.1:*"}, AllowPrivate: true, Secrets: []Secret{make([]byte, 32)}, Retries: []time.Duration{time.Millisecond}}
}

// removed waits until a store that reads the topic from its start finds a task removed.
func removed(t *testing.T, open func() *Store, id ID) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s := open()
		_, err = s.Get(t.Context(), id, "")
		closed, cancel := context.WithTimeout(t.Context(), time.Second)
		s.Close(closed)
		cancel()
		if code := codeOf(err); code == kafkarest.CodeTaskExpired || code == kafkarest.CodeTaskNotFound {
			return
		}
	}
	t.Fatalf("the task is there again: %v", err)
}

// A task that is deleted while its callback is being sent does not come back when the attempt ends.
func TestDeleteDuringAnAttempt(t *testing.T) {
	cluster, full := onBroker(t)
	arrived, answer := make(chan struct{}, 10), make(chan struct{})
	var attempts atomic.Int64
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		attempts.Add(1)
		arrived <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer to.Close()
	s := open(t, cluster, Config{Node: "n", Callbacks: toLoopback()})
	defer s.outbox.sender.client.CloseIdleConnections()
	sends(s)
	id := begin(t, s, Beginning{Async: true, Callback: to.URL})
	s.Finish(id, Delivered, 200, []byte(`[]`), nil)
	<-arrived
	full.Store(true)
	deleted := make(chan error, 1)
	go func() { deleted <- s.Delete(t.Context(), id, "") }()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := s.Get(t.Context(), id, ""); err != nil { // its end is being written
			break
		}
	}
	close(answer)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		under := len(s.outbox.hosts)
		s.mu.Unlock()
		if under == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the attempt does not end")
		}
	}
	full.Store(false)
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	removed(t, func() *Store { return open(t, cluster, Config{Node: "after"}) }, id)
	if n := attempts.Load(); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// What another node writes of a task before it hears that the task was deleted does not bring it back, whoever of the two is left to notice.
func TestLateRecordOfADeletedTask(t *testing.T) {
	cluster, _ := onBroker(t)
	s := open(t, cluster, Config{Node: "n"})
	late := func(id ID) *entry {
		e := newEntry(id, origin{"n", ""}, time.Now().UnixMilli())
		e.status, e.async, e.answer = Delivered, true, 200
		e.more().callback = newCallback("https://hooks.example/", CallbackWaiting)
		return e
	}
	fresh := func() *Store { return open(t, cluster, Config{Node: "fresh"}) }
	for _, who := range []string{"the one that deleted", "the one that wrote"} {
		id := begin(t, s, Beginning{Async: true})
		s.Finish(id, Delivered, 200, []byte(`[]`), nil)
		ended, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := s.Wait(ended, id, ""); err != nil {
			t.Fatal(err)
		}
		cancel()
		other := open(t, cluster, Config{Node: "other"})
		if err := other.ensure(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		e := late(id)
		if who == "the one that wrote" { // it is sending, and its tail is behind
			other.mu.Lock()
			other.remove(other.tasks[id])
			delete(other.gone[0], id)
			other.insert(e)
			other.mu.Unlock()
			if err := other.writeNow(t.Context(), e, e.encode()); err != nil {
				t.Fatal(err)
			}
			other.apply(&kgo.Record{Key: []byte(id.String()), Offset: e.callback.written - 1})
		} else {
			if err := s.Delete(t.Context(), id, ""); err != nil {
				t.Fatal(err)
			}
			if err := other.writeNow(t.Context(), e, e.encode()); err != nil {
				t.Fatal(err)
			}
		}
		removed(t, fresh, id)
		if _, err := s.Get(t.Context(), id, ""); who == "the one that deleted" && codeOf(err) != kafkarest.CodeTaskExpired {
			t.Errorf("%v", err)
		}
	}
}

// A task that could not be deleted is there as before, with what it owes.
func TestDeleteThatFails(t *testing.T) {
	cluster, full := onBroker(t)
	s := open(t, cluster, Config{Node: "n", Write: 300 * time.Millisecond})
	b := Beginning{Async: true, Key: "k"}
	id := begin(t, s, b)
	s.Finish(id, Delivered, 200, []byte(`[7]`), nil)
	ended, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Wait(ended, id, ""); err != nil {
		t.Fatal(err)
	}
	before := s.Info()
	full.Store(true)
	if err := s.Delete(t.Context(), id, ""); codeOf(err) != kafkarest.CodeTasksUnavailable {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), id, ""); err != nil || string(got.Result) != "[7]" || s.Info() != before {
		t.Errorf("%+v %v, %+v was %+v", got, err, s.Info(), before)
	}
	if got, err := s.Earlier(t.Context(), b); err != nil || got == nil || got.ID != id {
		t.Errorf("its key: %v %v", got, err)
	}
	full.Store(false)
	if err := s.Delete(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
}

// TestCallbackSize: very many callbacks may be owed.
func TestCallbackSize(t *testing.T) {
	if size := unsafe.Sizeof(callback{}); size > 96 {
		t.Errorf("a callback has %d bytes", size)
	}
}
