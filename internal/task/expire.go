package task

import (
	"container/heap"
	"time"
)

// expiryHeap holds the entries that are to expire, the first on top. One that has gone, or whose time has moved, is passed over when it
// comes up.
type expiryHeap []expiring //nolint:recvcheck // container/heap has it so

type expiring struct {
	at int64
	e  *entry
}

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *expiryHeap) Push(x any) { *h = append(*h, x.(expiring)) } //nolint:forcetypeassert // nothing else is pushed

// Pop is for container/heap.
func (h *expiryHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = expiring{}
	*h = old[:len(old)-1]
	return last
}

// keep has an entry expire after d. s.mu is held.
func (s *Store) keep(e *entry, d time.Duration) {
	e.more().expires = s.clock() + d.Milliseconds()
	heap.Push(&s.expiry, expiring{e.expires, e})
}

// tend expires tasks each second.
func (s *Store) tend() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.sweep()
		}
	}
}

// orphanedFor is how long the records of a node that is no more stay in the topic beyond their time: its own process would have removed them.
const orphanedFor = time.Hour

// sweep removes what has expired, and settles pending tasks whose node says nothing any more.
func (s *Store) sweep() {
	var over []*entry
	s.mu.Lock()
	now := s.clock()
	for len(s.expiry) > 0 && s.expiry[0].at <= now {
		x := heap.Pop(&s.expiry).(expiring) //nolint:forcetypeassert // nothing else is in it
		e := x.e
		switch {
		case s.tasks[e.id] != e || e.expires != x.at:
		case e.status == Pending: // of another node, or of one that is no more
			e.status, e.more().finished = Unknown, s.cfg.Now().UnixMilli()
			s.ended(e)
		default:
			s.remove(e)
			if e.node() == s.cfg.Node || s.cfg.Now().Sub(time.UnixMilli(e.finished)) > s.cfg.Retention+orphanedFor {
				over = append(over, e)
			}
		}
	}
	s.mu.Unlock()
	for _, e := range over {
		s.write(e, nil, func(error) {})
	}
}
