package task

import (
	"container/heap"
	"slices"
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

// schedule is a heap that drops what has gone, or whose time has moved, before there is more of that than of the rest: tasks that are deleted
// are not to be held until their time would have come.
type schedule struct {
	heap expiryHeap
	most int // elements, until it is worth a look
}

const fewest = 1024 // elements, for which nobody looks

func (q *schedule) push(x expiring, live func(expiring) bool) {
	heap.Push(&q.heap, x)
	if len(q.heap) > max(q.most, fewest) {
		q.compact(live)
	}
}

func (q *schedule) pop() expiring {
	return heap.Pop(&q.heap).(expiring) //nolint:forcetypeassert // nothing else is in it
}

// due gives how long it is until the first, none when there is nothing.
func (q *schedule) due(now int64) (wait time.Duration, some bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return time.Duration(max(q.heap[0].at-now, 0)) * time.Millisecond, true
}

func (q *schedule) compact(live func(expiring) bool) {
	q.heap = compacted(q.heap, live)
	heap.Init(&q.heap)
	q.most = 2 * len(q.heap)
}

// compacted keeps what is live, and gives the memory of the rest back.
func compacted(list []expiring, live func(expiring) bool) []expiring {
	return slices.Clone(slices.DeleteFunc(list, func(x expiring) bool { return !live(x) }))
}

// expires reports whether an element still says when its entry is to expire. s.mu is held.
func (s *Store) expires(x expiring) bool { return s.tasks[x.e.id] == x.e && x.e.expires == x.at }

// keep has an entry expire after d. s.mu is held.
func (s *Store) keep(e *entry, d time.Duration) {
	e.more().expires = s.clock() + d.Milliseconds()
	s.expiry.push(expiring{e.expires, e}, s.expires)
}

// tidy lets go of what waits for tasks that are no more, when there are many of them. s.mu is held.
func (s *Store) tidy() {
	most := 2*len(s.tasks) + fewest
	if len(s.expiry.heap) > most {
		s.expiry.compact(s.expires)
	}
	s.outbox.tidy(most)
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
	for wait, some := s.expiry.due(now); some && wait == 0; wait, some = s.expiry.due(now) {
		x := s.expiry.pop()
		e := x.e
		switch {
		case !s.expires(x):
		case e.status == Pending: // of another node, or of one that is no more
			e.status, e.more().finished = Unknown, s.cfg.Now().UnixMilli()
			s.ended(e)
		default:
			if e.node() == s.cfg.Node || s.cfg.Now().Sub(time.UnixMilli(e.over())) > s.cfg.Retention+orphanedFor {
				over = append(over, e)
			}
			s.remove(e)
		}
	}
	s.mu.Unlock()
	for _, e := range over {
		s.write(e, nil, func(error) {})
	}
}
