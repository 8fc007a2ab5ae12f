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
