package task

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unique"
)

const (
	perHost = 4  // attempts at one host at a time, so that one that hangs takes no other's place
	atOnce  = 64 // attempts at a time
)

// outbox sends the callbacks of final tasks. What is in it lies in the topic of tasks: it is filled again after a restart. Where tasks are in
// a topic, the nodes form a group, and each sends for the partitions that it has there.
type outbox struct {
	store   *Store
	cfg     Callbacks
	guard   guard
	sender  *sender
	wake    chan struct{}
	workers sync.WaitGroup
	slots   chan struct{}

	// Store.mu guards these.
	due     schedule
	hosts   map[unique.Handle[string]]*receiver // those with attempts under way
	waiting int                                 // for a turn at their receivers
	ready   []turn                              // that have come since
	owned   map[int32]bool                      // partitions that this node sends for; nil where nobody shares
	stuck   string                              // why this node sends none; "" when it does
}

func newOutbox(s *Store, cfg Callbacks) (*outbox, error) {
	g, err := newGuard(cfg.AllowHosts, cfg.AllowPrivate)
	if err != nil {
		return nil, err
	}
	orDefault(&cfg.Group, "_kafka_rest_callbacks")
	orDefault(&cfg.Timeout, 15*time.Second)
	if cfg.Retries == nil {
		cfg.Retries = defaultRetries
	}
	o := &outbox{store: s, cfg: cfg, guard: g, wake: make(chan struct{}, 1), slots: make(chan struct{}, atOnce), hosts: map[unique.Handle[string]]*receiver{}}
	if !o.on() {
		return o, nil
	}
	if len(cfg.Secrets) == 0 {
		return nil, errors.New("callbacks.secrets: callbacks are signed, so callbacks.allow.hosts needs a secret")
	}
	o.sender = newSender(cfg, g, s.cfg.Now)
	if !s.cfg.InMemory {
		o.owned = map[int32]bool{}
	}
	return o, nil
}

// on reports whether callbacks are sent at all.
func (o *outbox) on() bool { return len(o.guard.hosts) > 0 }

// CheckCallback says why a URL is none that a callback may go to.
// Errors: CodeCallbackRefused.
func (s *Store) CheckCallback(url string) error { return s.outbox.guard.check(url) }

// add queues the callback of a final task. Store.mu is held.
func (o *outbox) add(e *entry) {
	c := e.callback
	wait := max(c.next-o.store.cfg.Now().UnixMilli(), 0)
	c.queued = o.store.clock() + wait
	o.due.push(expiring{c.queued, e}, o.waits)
	o.nudge()
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run takes up what is due until the store is closed.
func (o *outbox) run() {
	ctx := o.store.ctx
	var member sync.WaitGroup
	if !o.store.cfg.InMemory {
		member.Go(func() { o.share(ctx) })
	}
	defer member.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(o.takeUp(ctx))
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-timer.C:
		}
	}
}

func (o *outbox) close() { o.workers.Wait() }

// takeUp starts what is due and gives the time until something is.
func (o *outbox) takeUp(ctx context.Context) time.Duration {
	for {
		o.store.mu.Lock()
		t, wait := o.next()
		o.store.mu.Unlock()
		if t.e == nil {
			return wait
		}
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			return time.Hour
		}
		o.workers.Go(func() {
			defer func() { <-o.slots }()
			o.send(ctx, t)
		})
	}
}

// next takes the first whose turn it is, or gives the time until somebody's may be. It looks at no more than some, since others wait for the
// lock. Store.mu is held.
func (o *outbox) next() (turn, time.Duration) {
	const some = 1000
	for range some {
		now := o.store.clock()
		wait, filled := o.due.due(now)
		if len(o.ready) > 0 && (wait > 0 || !filled || o.ready[0].at <= o.due.heap[0].at) {
			t := o.ready[0]
			o.ready = slices.Delete(o.ready, 0, 1)
			return t, 0
		}
		if !filled {
			return turn{}, time.Hour
		}
		if wait > 0 {
			return turn{}, wait
		}
		if x := o.due.pop(); o.waits(x) && o.mine(x.e) {
			if to := o.receiver(x.e); to.take(o, x) {
				return turn{x, to}, 0
			}
		}
	}
	return turn{}, 0
}

// waits reports whether an element still says when its entry's callback is due. Store.mu is held.
func (o *outbox) waits(x expiring) bool {
	c := x.e.callback
	return o.store.tasks[x.e.id] == x.e && c != nil && c.state == CallbackWaiting && c.queued == x.at && !c.busy
}

// mine reports whether it is this node that sends for a task. Store.mu is held.
func (o *outbox) mine(e *entry) bool {
	return o.owned == nil || o.store.mode == modeMemory || o.owned[e.partition]
}

// tidy lets go of callbacks of tasks that are no more, where there are more than most. Store.mu is held.
func (o *outbox) tidy(most int) {
	if len(o.due.heap) > most {
		o.due.compact(o.waits)
	}
	if o.waiting > most {
		for _, r := range o.hosts {
			r.compact(o)
		}
	}
}

// send makes one attempt and records it.
func (o *outbox) send(ctx context.Context, to turn) {
	s, e := o.store, to.e
	s.mu.Lock()
	if s.tasks[e.id] != e || e.callback == nil || !e.callback.busy { // it was deleted, or another node has sent it
		to.to.leave(o)
		s.mu.Unlock()
		return
	}
	t, before := s.snapshot(e), e.callback
	s.mu.Unlock()
	a, retryAfter := o.sender.attempt(ctx, t)
	if ctx.Err() != nil { // the store is being closed: what came of it is not known, and it will be sent again
		return
	}
	after := before.tried(a, o.cfg.Retries, retryAfter, o.sender.random)
	s.mu.Lock()
	to.to.leave(o)
	if s.tasks[e.id] != e {
		s.mu.Unlock()
		return
	}
	e.callback = after
	if after.state == CallbackWaiting {
		o.add(e)
	} else {
		s.keep(e, s.cfg.Retention)
	}
	value := e.encode()
	s.mu.Unlock()
	s.tell(e, value)
}
