package task

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"time"

	"kafkarest"
)

// idempotency is what is kept of an Idempotency-Key.
type idempotency struct {
	key   [16]byte // hash of owner, scope and key
	print [32]byte
	older *entry // with the same key
}

// hold gives an entry its key. Several entries may have the same one: a key is used again once its task is removed, two nodes may take it at
// once, and since the topic's partitions are read in any order, an old task may come after a new one and before the end of its own. The newest
// answers for the key, and the others wait behind it. s.mu is held.
func (s *Store) hold(e *entry) {
	if e.idem == nil {
		return
	}
	first := s.keys[e.idem.key]
	if first == nil || e.newer(first) {
		e.idem.older, s.keys[e.idem.key] = first, e
		return
	}
	for first.idem.older != nil && !e.newer(first.idem.older) {
		first = first.idem.older
	}
	e.idem.older, first.idem.older = first.idem.older, e
}

// free takes an entry's key back: the next older one with it answers for it then, if there is any. s.mu is held.
func (s *Store) free(e *entry) {
	if e.idem == nil {
		return
	}
	first, older := s.keys[e.idem.key], e.idem.older
	switch {
	case first != e:
		for first != nil && first.idem.older != e {
			first = first.idem.older
		}
		if first != nil {
			first.idem.older = older
		}
	case older != nil:
		s.keys[e.idem.key] = older
	default:
		delete(s.keys, e.idem.key)
	}
	e.idem.older = nil
}

// newer is the same on every node.
func (e *entry) newer(than *entry) bool {
	return cmp.Or(cmp.Compare(e.created, than.created), bytes.Compare(e.id[:], than.id[:])) > 0
}

func keyOf(b Beginning) (key [16]byte) {
	hash := sha256.New()
	for _, part := range []string{b.Owner, b.Scope, b.Key} {
		hash.Write([]byte{byte(len(part)), byte(len(part) >> 8), byte(len(part) >> 16)})
		hash.Write([]byte(part))
	}
	copy(key[:], hash.Sum(nil))
	return key
}

// again answers a key that is known. s.mu is held.
func (s *Store) again(first *entry, mark [32]byte) (*Task, error) {
	switch {
	case first.idem.print != mark:
		return nil, kafkarest.Errorf(kafkarest.CodeKeyReused, "This Idempotency-Key came with another request before: use a new key for a new request.")
	case first.status == Pending:
		return s.snapshot(first), &kafkarest.Error{Code: kafkarest.CodeKeyInUse, RetryAfter: time.Second,
			Message: "The first request with this Idempotency-Key is still under way."}
	}
	return s.snapshot(first), nil
}

// Earlier looks a key up without beginning anything: nil when it is new, and pending beside CodeKeyInUse.
// Errors: those of Begin.
func (s *Store) Earlier(ctx context.Context, b Beginning) (*Task, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Write)
	defer cancel()
	if err := s.ensure(ctx, false); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.keys[keyOf(b)]; first != nil {
		return s.again(first, b.Print)
	}
	return nil, nil
}
