package consume

import (
	"container/heap"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tracker knows of one partition what was fetched, what of that is held by clients, and what is acknowledged, in any order. It is pure: it
// reads no clock and does no I/O, and its owner locks.
//
// Every offset below low is settled. From low to next, the position up to which records were fetched, exactly those in open are not. Offsets
// that no record has (compaction, transaction markers) are therefore settled as soon as a record after them has come. From next on, those in
// early are settled: acknowledged in an earlier life of the tracker, and told by the metadata of the commit.
type tracker struct {
	next  int64
	open  map[int64]*entry
	order []*entry // those of open and some that were settled since, by offset; the first is one of open
	early spans

	ready  byOffset // to be handed out
	timers byTime   // held or delayed
	bytes  int64    // of the records in open
}

// entry is one record that is not acknowledged. It is in ready or in timers.
type entry struct {
	record     *kgo.Record
	deliveries int       // how often it was handed out in this life of the tracker
	lease      uint64    // of the last time that it was handed out; 0 when it was not, in this life
	held       bool      // by the client with that lease, until the time below; otherwise that time is when it may be handed out
	until      time.Time // zero in ready
	at         int       // its place in ready or timers
	settled    bool
	holder     *Holder // nil for none
}

// Holder counts what one reader holds, so that a stream stops when its client has enough to do. The zero value holds nothing.
type Holder struct{ held int }

// letGo is called when the entry is no longer held.
func (e *entry) letGo() {
	e.held = false
	if e.holder != nil {
		e.holder.held--
		e.holder = nil
	}
}

func (e *entry) size() int64 { return int64(len(e.record.Key)+len(e.record.Value)) + 64 }

// newTracker begins at the committed offset with what the commit's metadata said is acknowledged after it.
func newTracker(committed int64, acknowledged spans) *tracker {
	t := &tracker{next: committed, open: map[int64]*entry{}, early: acknowledged}
	t.next = t.early.skip(t.next)
	return t
}

// low is the lowest offset that is not settled, which is what is to be committed.
func (t *tracker) low() int64 {
	if len(t.order) > 0 {
		return t.order[0].record.Offset
	}
	return t.next
}

// add takes a fetched record. One that was fetched before or is acknowledged is passed over.
func (t *tracker) add(r *kgo.Record) {
	if r.Offset < t.next {
		return
	}
	acknowledged := t.early.has(r.Offset)
	t.next = t.early.skip(r.Offset + 1)
	t.early.dropBelow(t.next)
	if acknowledged {
		return
	}
	e := &entry{record: r}
	t.open[r.Offset] = e
	t.order = append(t.order, e)
	t.bytes += e.size()
	heap.Push(&t.ready, e)
}

// take hands out the first record that nobody holds. nil when there is none.
func (t *tracker) take(lease uint64, until time.Time, holder *Holder) *entry {
	if len(t.ready) == 0 {
		return nil
	}
	e := t.ready[0]
	heap.Remove(&t.ready, 0)
	e.lease, e.held, e.until, e.holder = lease, true, until, holder
	if holder != nil {
		holder.held++
	}
	e.deliveries++
	heap.Push(&t.timers, e)
	return e
}

// peek is what take would hand out.
func (t *tracker) peek() *entry {
	if len(t.ready) == 0 {
		return nil
	}
	return t.ready[0]
}

// expire makes ready again what was held or delayed until now.
func (t *tracker) expire(now time.Time) {
	for len(t.timers) > 0 && !t.timers[0].until.After(now) {
		t.makeReady(t.timers[0])
	}
}

func (t *tracker) makeReady(e *entry) {
	heap.Remove(&t.timers, e.at)
	e.letGo()
	e.until = time.Time{}
	heap.Push(&t.ready, e)
}

// due is when the next hold or delay ends; zero when there is none.
func (t *tracker) due() time.Time {
	if len(t.timers) == 0 {
		return time.Time{}
	}
	return t.timers[0].until
}

// standing is what an offset and a lease mean together.
type standing int

const (
	stands   standing = iota // not acknowledged, and given to nobody else since
	settled                  // acknowledged
	lost                     // given to another client since
	unheard                  // never fetched here, so nothing can be said of it
	noLonger                 // not acknowledged, given to nobody else, and no longer held
)

// check tells how an offset stands for the client with a lease; 0 is a client that names none and stands for every one.
func (t *tracker) check(offset int64, lease uint64) standing {
	e := t.open[offset]
	switch {
	case e == nil && offset >= t.next && !t.early.has(offset):
		return unheard
	case e == nil:
		return settled
	case lease != 0 && e.lease != 0 && e.lease != lease:
		return lost
	case !e.held:
		return noLonger
	}
	return stands
}

// acknowledge settles one offset, whoever holds it. It may be one that is not fetched yet.
func (t *tracker) acknowledge(offset int64) {
	e := t.open[offset]
	switch {
	case e != nil:
		t.settle(e)
		t.trim()
	case offset >= t.next:
		t.early.add(offset, offset+1)
		t.next = t.early.skip(t.next)
		t.early.dropBelow(t.next)
	}
}

// acknowledgeUpTo settles every fetched offset up to and with that one.
func (t *tracker) acknowledgeUpTo(offset int64) {
	for _, e := range t.order {
		if e.record.Offset > offset {
			break
		}
		t.settle(e)
	}
	t.trim()
}

func (t *tracker) settle(e *entry) {
	if e.settled {
		return
	}
	e.settled = true
	delete(t.open, e.record.Offset)
	t.bytes -= e.size()
	if e.held || !e.until.IsZero() {
		heap.Remove(&t.timers, e.at)
	} else {
		heap.Remove(&t.ready, e.at)
	}
	e.letGo()
	e.record = &kgo.Record{Offset: e.record.Offset} // what it held is no longer needed while it waits in order
}

// trim restores the order: its first is open, and not most of it is settled.
func (t *tracker) trim() {
	n := 0
	for n < len(t.order) && t.order[n].settled {
		n++
	}
	t.order = t.order[n:]
	if len(t.order) > 64 && len(t.order) > 2*len(t.open) {
		kept := make([]*entry, 0, len(t.open))
		for _, e := range t.order {
			if !e.settled {
				kept = append(kept, e)
			}
		}
		t.order = kept
	}
}

// release gives a held record back, or one that was given back with a delay, to be handed out from a time on; the zero time is at once.
func (t *tracker) release(offset int64, from time.Time) {
	e := t.open[offset]
	if e == nil || e.until.IsZero() { // it may be handed out now
		return
	}
	if from.IsZero() {
		t.makeReady(e)
		return
	}
	e.letGo()
	e.until = from
	heap.Fix(&t.timers, e.at)
}

// undeliver takes back that a record was handed out: the client never got it.
func (t *tracker) undeliver(offset int64) {
	if e := t.open[offset]; e != nil && e.deliveries > 0 {
		e.deliveries--
	}
}

// hasHolder reports whether a stream holds the record, or with upTo one before it.
func (t *tracker) hasHolder(offset int64, upTo bool) bool {
	if e := t.open[offset]; e != nil && e.holder != nil {
		return true
	}
	for _, e := range t.order {
		if !upTo || e.record.Offset > offset {
			return false
		}
		if e.holder != nil {
			return true
		}
	}
	return false
}

// renew holds a held record until another time.
func (t *tracker) renew(offset int64, until time.Time) {
	if e := t.open[offset]; e != nil && e.held {
		e.until = until
		heap.Fix(&t.timers, e.at)
	}
}

// acknowledged gives what is settled above low, for the commit's metadata.
func (t *tracker) acknowledged() spans {
	var s spans
	at := t.low()
	for _, e := range t.order {
		if e.settled {
			continue
		}
		s.add(at, e.record.Offset)
		at = e.record.Offset + 1
	}
	s.add(at, t.next)
	for _, early := range t.early {
		s.add(early.from, early.to)
	}
	return s
}

// byOffset is a heap of entries with the lowest offset first.
type byOffset []*entry

func (h *byOffset) Len() int           { return len(*h) }
func (h *byOffset) Less(i, j int) bool { return (*h)[i].record.Offset < (*h)[j].record.Offset }
func (h *byOffset) Swap(i, j int)      { swapEntries(*h, i, j) }
func (h *byOffset) Push(e any)         { pushEntry((*[]*entry)(h), e) }
func (h *byOffset) Pop() any           { return popEntry((*[]*entry)(h)) }

// byTime is a heap of entries with the earliest time first.
type byTime []*entry

func (h *byTime) Len() int           { return len(*h) }
func (h *byTime) Less(i, j int) bool { return (*h)[i].until.Before((*h)[j].until) }
func (h *byTime) Swap(i, j int)      { swapEntries(*h, i, j) }
func (h *byTime) Push(e any)         { pushEntry((*[]*entry)(h), e) }
func (h *byTime) Pop() any           { return popEntry((*[]*entry)(h)) }

func swapEntries(h []*entry, i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func pushEntry(h *[]*entry, x any) {
	e := x.(*entry) //nolint:forcetypeassert // this file alone pushes
	e.at = len(*h)
	*h = append(*h, e)
}

func popEntry(h *[]*entry) *entry {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
