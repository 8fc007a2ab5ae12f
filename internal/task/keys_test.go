package task

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// said makes records as another process would have written them.
func said(e *entry) *kgo.Record {
	return &kgo.Record{Key: []byte(e.id.String()), Value: e.encode()}
}

func gone(e *entry) *kgo.Record { return &kgo.Record{Key: []byte(e.id.String())} }

// withKey is a task of another node that ended, with the key that b has.
func withKey(b Beginning, created int64, result string) *entry {
	e := newEntry(newID("other"), origin{"other", b.Owner}, created)
	e.status, e.answer = Delivered, 200
	*e.more() = rest{finished: created, result: []byte(result), idem: &idempotency{key: keyOf(b), print: b.Print}}
	return e
}

// A key belongs to the newest task that has it, in whatever order the partitions of the topic are read: an older one that is seen again and
// then removed leaves it there.
func TestKeyInAnyOrder(t *testing.T) {
	b := Beginning{Key: "k", Scope: "t", Print: [32]byte{1}}
	s, c := memoryStore(t, Config{})
	now := c.Now().UnixMilli()
	for _, n := range []string{"older first", "newer first", "older in between"} {
		s.mu.Lock()
		clear(s.tasks)
		clear(s.keys)
		s.mu.Unlock()
		first, second := withKey(b, now-2, `["first"]`), withKey(b, now-1, `["second"]`)
		records := map[string][]*kgo.Record{
			"older first":      {said(first), gone(first), said(second)},
			"newer first":      {said(second), said(first), gone(first)},
			"older in between": {said(second), said(first), said(second), said(first), gone(first)},
		}[n]
		for i, r := range records {
			s.apply(r)
			if i == 0 || n == "older first" {
				continue
			}
			if got, err := s.Earlier(t.Context(), b); err != nil || got == nil || string(got.Result) != `["second"]` {
				t.Fatalf("%s: after record %d the key has %+v, %v", n, i, got, err)
			}
		}
		if got, err := s.Earlier(t.Context(), b); err != nil || got == nil || got.ID != second.id {
			t.Errorf("%s: %+v, %v", n, got, err)
		}
		s.apply(gone(second))
		if got, err := s.Earlier(t.Context(), b); err != nil || got != nil || len(s.keys) != 0 {
			t.Errorf("%s: nothing is left, and yet %+v, %v", n, got, err)
		}
	}
}

// When the newer task of two goes, the older one answers for the key: its records are stored.
func TestKeyGoesBackToTheOlder(t *testing.T) {
	b := Beginning{Key: "k", Print: [32]byte{1}}
	s, c := memoryStore(t, Config{})
	now := c.Now().UnixMilli()
	all := []*entry{withKey(b, now-3, `[1]`), withKey(b, now-3, `[2]`), withKey(b, now-1, `[3]`)}
	for _, e := range all {
		s.apply(said(e))
	}
	slices.SortFunc(all, func(x, y *entry) int { return map[bool]int{true: -1, false: 1}[x.newer(y)] })
	for _, e := range all {
		if got, err := s.Earlier(t.Context(), b); err != nil || got == nil || got.ID != e.id {
			t.Errorf("%+v %v, want %v", got, err, e.id)
		}
		s.apply(gone(e))
	}
}
