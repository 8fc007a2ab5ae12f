package task

import (
	"context"
	"errors"
	"sync"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
)

// progress is how far a tail has read: the offset that comes next in each partition.
type progress struct {
	mu    sync.Mutex
	next  map[int32]int64
	moved chan struct{} // closed when next is; nil while nobody waits
}

func (p *progress) to(partition int32, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[partition] = max(p.next[partition], next)
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// behind is closed when there is more to tell about ends, nil when they are reached.
func (p *progress) behind(ends kadm.ListedOffsets) (moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ends.Each(func(end kadm.ListedOffset) {
		if p.next[end.Partition] >= end.Offset {
			return
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved = p.moved
	})
	return moved
}

// soon is how long an id may wait that nobody knows here: another node may have given it out a moment ago.
const soon = 300 * time.Millisecond

// lookUp returns when it is known whether there is a task: at once for those that are known, and for those that this node would have begun.
// Errors: CodeTasksUnavailable.
func (s *Store) lookUp(ctx context.Context, id ID) error {
	since := time.Now()
	own := newID(s.cfg.Node)
	foreign := [nodeBytes]byte(id[:]) != [nodeBytes]byte(own[:])
	if s.knows(id) {
		return nil
	}
	look, cancel := context.WithTimeout(ctx, s.cfg.Write)
	defer cancel()
	if !foreign {
		return s.ensure(look, false)
	}
	if err := s.ensureSince(look, false, since); err != nil {
		return err
	}
	s.mu.Lock()
	t := s.tail
	s.mu.Unlock()
	if t != nil && !s.knows(id) {
		s.catchUp(ctx, t, since)
	}
	return nil
}

// knows reports whether there is nothing more to learn about an id.
func (s *Store) knows(id ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.gone[0][id]
	_, old := s.gone[1][id]
	return s.tasks[id] != nil || young || old
}

// catchUp waits until a tail has read what was in the topic at a time. One caller at a time finds out what there is, for all that came before
// it began: ids that never were cost little, however many are asked for.
func (s *Store) catchUp(ctx context.Context, t *tail, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	select {
	case s.looking <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.looking }()
	if s.caught.After(since) {
		return
	}
	if began := time.Now(); t.catchUp(ctx) {
		s.caught = began
	}
}

// catchUp reports whether all was read that the topic holds now.
func (t *tail) catchUp(ctx context.Context) bool {
	ends, err := kafka.Await(ctx, func(context.Context) (kadm.ListedOffsets, error) {
		ask, cancel := context.WithTimeout(t.ctx, t.store.cfg.Write) // not ctx: the client would close the connection, which others use, at its end
		defer cancel()
		out, err := t.store.cluster.Admin().ListEndOffsets(ask, t.store.cfg.Topic)
		return out, errors.Join(err, out.Error())
	})
	if err != nil {
		return false
	}
	for moved := t.read.behind(ends); moved != nil; moved = t.read.behind(ends) {
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		case <-t.ctx.Done():
			return false
		}
	}
	return true
}
