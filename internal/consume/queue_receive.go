package consume

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ReceiveOptions are what one receive asks for.
type ReceiveOptions struct {
	Limits
	Hold          time.Duration // how long the records are held; 0 is 30 s
	MaxDeliveries int           // a record that was handed out so often goes to DeadLetter instead; 0 is no limit
	DeadLetter    string        // a topic; needed with MaxDeliveries
	Holder        *Holder       // of a stream; nil for none
	MostHeld      int           // of Holder: with so many held, a receive waits
}

// joinWait is how long a receive that says nothing of waiting waits for the group to take this node in, and settleWait for partitions and for
// their first records.
const (
	joinWait    = 10 * time.Second
	settleWait  = 2 * time.Second
	defaultWait = time.Second
)

// AnyWait as Limits.Wait leaves it to the queue how long to wait: a second, and longer while the group is only just being joined.
const AnyWait = -1 * time.Second

// Held is one record as it is handed out.
type Held struct {
	*kgo.Record
	Lease      uint64 // of this delivery: never 0
	Deliveries int    // how often it has been handed out with this one, as far as this node knows
	Deadline   time.Time
}

// Handout is what a receive gives.
type Handout struct {
	Records []Held
	q       *Queue
}

// Receive hands out the next records that nobody holds, waiting for the first as Limits say, and none when the wait is over.
// Errors: CodeForbidden, CodeTopicNotFound, CodeDraining when the queue is closed meanwhile, and those of the dead-letter topic.
func (q *Queue) Receive(ctx context.Context, opts ReceiveOptions) (*Handout, error) {
	orElse(&opts.Records, 100)
	orElse(&opts.Bytes, 1<<20)
	orElse(&opts.Hold, 30*time.Second)
	q.receive(1)
	defer q.receive(-1)
	began := time.Now()
	for {
		if errors.Is(ctx.Err(), context.Canceled) { // nobody is left to be given anything, and it would count as a delivery
			return &Handout{nil, q}, kafka.Error(ctx.Err())
		}
		q.mu.Lock()
		got, dead := q.handOut(time.Now(), opts)
		changed, due, err := q.changed, q.due(), q.trouble()
		until := began.Add(q.patience(opts.Wait))
		q.mu.Unlock()
		if len(dead) > 0 {
			q.bury(dead, opts)
			if len(got) == 0 {
				continue
			}
		}
		if len(got) > 0 || err != nil {
			return &Handout{got, q}, err
		}
		if over, err := q.await(ctx, changed, due, until); over {
			return &Handout{nil, q}, err
		}
	}
}

func (q *Queue) receive(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receiving += n
	q.used = time.Now()
}

// trouble is why nothing more will come. q.mu is held.
func (q *Queue) trouble() error {
	if q.failed == nil && q.closed {
		return &kafkarest.Error{Code: kafkarest.CodeDraining, RetryAfter: time.Second, Message: "This node is leaving the group: ask again."}
	}
	return q.failed
}

// patience is how long a receive waits. q.mu is held.
func (q *Queue) patience(asked time.Duration) time.Duration {
	if asked >= 0 {
		return asked
	}
	switch {
	case !q.member:
		return joinWait
	case len(q.parts) == 0: // they may be about to come, or there are fewer than members
		return settleWait
	}
	for _, p := range q.parts {
		if p.next < p.end && len(p.open) == 0 && time.Since(q.joined) < settleWait {
			return joinWait
		}
	}
	return defaultWait
}

// await waits for something to change, for a hold to end, or for the end.
func (q *Queue) await(ctx context.Context, changed <-chan struct{}, due, until time.Time) (over bool, err error) {
	now := time.Now()
	if !until.After(now) {
		return true, nil
	}
	pause := until.Sub(now)
	if !due.IsZero() {
		pause = max(0, min(pause, due.Sub(now)))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-q.of.drain:
		return true, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return true, nil
		}
		return true, kafka.Error(ctx.Err())
	}
	return false, nil
}

// due is when the first hold or delay ends. q.mu is held.
func (q *Queue) due() (first time.Time) {
	for _, p := range q.parts {
		if d := p.due(); !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// handOut takes records from the partitions in turn. Those that were handed out too often are dead, and held meanwhile. q.mu is held.
func (q *Queue) handOut(now time.Time, opts ReceiveOptions) (got []Held, dead []Held) {
	if q.closed {
		return nil, nil
	}
	parts := q.inTurn()
	for _, p := range parts {
		p.expire(now)
	}
	var size int64
	for more := true; more; {
		more = false
		for _, p := range parts {
			e := p.peek()
			if e == nil {
				continue
			}
			lease := rand.Uint64() | 1 //nolint:gosec // it tells deliveries apart; it is no secret
			if opts.MaxDeliveries > 0 && e.deliveries >= opts.MaxDeliveries {
				if len(dead) < 100 {
					p.take(lease, now.Add(deadHold), nil)
					e.deliveries--
					dead = append(dead, Held{e.record, lease, e.deliveries, time.Time{}})
					more = true
				}
				continue
			}
			bytes := int64(len(e.record.Key) + len(e.record.Value))
			if len(got) > 0 && size+bytes > opts.Bytes || len(got) == opts.Records || enough(opts) {
				continue
			}
			size += bytes
			p.take(lease, now.Add(opts.Hold), opts.Holder)
			got = append(got, Held{e.record, lease, e.deliveries, e.until})
			more = true
		}
	}
	return got, dead
}

func enough(opts ReceiveOptions) bool {
	return opts.Holder != nil && opts.MostHeld > 0 && opts.Holder.held >= opts.MostHeld
}

// inTurn lists the partitions, a different one first each time. q.mu is held.
func (q *Queue) inTurn() []*queuePart {
	parts := make([]*queuePart, 0, len(q.parts))
	for _, p := range q.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(x, y *queuePart) int { return int(x.partition) - int(y.partition) })
	if len(parts) > 1 {
		q.turn = (q.turn + 1) % len(parts)
		parts = append(parts[q.turn:], parts[:q.turn]...)
	}
	return parts
}

// Release gives back what is still held of the handout, to be handed out again at once: its reply did not reach the client.
func (h *Handout) Release() {
	h.q.mu.Lock()
	defer h.q.mu.Unlock()
	for _, r := range h.Records {
		if p := h.q.parts[r.Partition]; p != nil && p.check(r.Offset, r.Lease) == stands {
			p.release(r.Offset, time.Time{})
			p.undeliver(r.Offset)
		}
	}
	h.q.wake()
}

// Acknowledge acknowledges all of the handout that was not given to others meanwhile, and returns when that is committed.
func (h *Handout) Acknowledge(ctx context.Context) error {
	if len(h.Records) == 0 {
		return nil
	}
	var waits []*settlement
	h.q.mu.Lock()
	for _, r := range h.Records {
		p := h.q.parts[r.Partition]
		if p == nil {
			continue
		}
		if s := p.check(r.Offset, r.Lease); s == stands || s == noLonger {
			p.acknowledge(r.Offset)
			waits = append(waits, h.q.settled(p))
		}
	}
	h.q.mu.Unlock()
	h.q.resume()
	for _, w := range waits {
		if err := h.q.committed(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// ReleaseAll gives back everything that a stream's client still holds: it has gone.
func (q *Queue) ReleaseAll(holder *Holder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.parts {
		for _, e := range slices.Clone(p.timers) {
			if e.held && e.holder == holder {
				p.makeReady(e)
			}
		}
	}
	q.wake()
}
