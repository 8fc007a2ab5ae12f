package task

import (
	"bytes"
	"testing"
	"time"
)

// What is deleted is held by nobody until its time would have come: neither its result, nor, when there is much of it, its place in the queues.
func TestDeletedTasksAreLetGoOf(t *testing.T) {
	s, c := memoryStore(t, Config{Retention: time.Hour})
	kept := owed(t, s, "https://hooks.example/kept")
	c.add(time.Millisecond)
	const many = 3 * fewest
	for range many {
		e := owed(t, s, "https://hooks.example/")
		s.mu.Lock()
		s.keep(e, time.Hour)
		e.result = bytes.Repeat([]byte("x"), 1000)
		s.mu.Unlock()
		if err := s.Delete(t.Context(), e.id, ""); err != nil {
			t.Fatal(err)
		}
		if e.rest != &nothing {
			t.Fatal("a deleted task holds its result")
		}
	}
	s.mu.Lock()
	expiry, due := len(s.expiry.heap), len(s.outbox.due.heap)
	s.mu.Unlock()
	if most := fewest + 3; expiry > most || due > most {
		t.Errorf("of one task and %d that were deleted %d are to expire, and %d to be reported", many, expiry, due)
	}
	if next := turns(s); len(next) != 1 || next[0].e != kept {
		t.Errorf("%d are to be reported", len(next))
	}
	s.mu.Lock()
	for range perHost - 1 { // the receiver hangs
		s.outbox.receiver(kept).busy++
	}
	s.mu.Unlock()
	for range many {
		e := owed(t, s, "https://hooks.example/")
		turns(s)
		if err := s.Delete(t.Context(), e.id, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outbox.waiting > fewest+3 || len(s.outbox.receiver(kept).waiting) != s.outbox.waiting {
		t.Errorf("%d deleted ones wait for a receiver that hangs", s.outbox.waiting)
	}
}

// Another node keeps a task for its time after the last attempt of its callback, not after the end of its work long before.
func TestRetentionCountsFromTheCallback(t *testing.T) {
	s, c := memoryStore(t, Config{Retention: time.Minute})
	e := newEntry(newID("other"), origin{"other", ""}, c.Now().UnixMilli())
	e.status, e.async, e.answer = Delivered, true, 200
	e.more().callback = newCallback("https://hooks.example/", CallbackDelivered)
	e.finished, e.result = c.Now().UnixMilli(), []byte(`[]`)
	c.add(2 * time.Hour)
	e.callback.attempts = []Attempt{{At: c.Now().Add(-time.Hour), Status: 500}, {At: c.Now(), Status: 200}}
	s.apply(said(e))
	c.add(59 * time.Second)
	s.sweep()
	if _, err := s.Get(t.Context(), e.id, ""); err != nil {
		t.Errorf("a minute has not passed: %v", err)
	}
	if over := e.over(); over != e.callback.attempts[1].At.UnixMilli() {
		t.Errorf("over at %d", over)
	}
	c.add(2 * time.Second)
	s.sweep()
	if _, err := s.Get(t.Context(), e.id, ""); err == nil {
		t.Error("it is kept for ever")
	}
}
