package task

import (
	"container/heap"
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

const (
	perHost  = 4                      // attempts at one host at a time, so that one that hangs takes no other's place
	atOnce   = 64                     // attempts at a time
	hostBusy = 100 * time.Millisecond // until a host is looked at again that has as many as it may
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
	due   expiryHeap
	hosts map[string]int // attempts under way
	owned map[int32]bool // partitions that this node sends for; nil where nobody shares
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
	o := &outbox{store: s, cfg: cfg, guard: g, wake: make(chan struct{}, 1), slots: make(chan struct{}, atOnce), hosts: map[string]int{}}
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
	heap.Push(&o.due, expiring{c.queued, e})
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
		e, wait := o.next()
		o.store.mu.Unlock()
		if e == nil {
			return wait
		}
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			return time.Hour
		}
		o.workers.Go(func() {
			defer func() { <-o.slots }()
			o.send(ctx, e)
		})
	}
}

// next takes the first that is due and whose host is not busy, or gives the time until one may be. Store.mu is held.
func (o *outbox) next() (*entry, time.Duration) {
	for len(o.due) > 0 {
		now := o.store.clock()
		if o.due[0].at > now {
			return nil, time.Duration(o.due[0].at-now) * time.Millisecond
		}
		x := heap.Pop(&o.due).(expiring) //nolint:forcetypeassert // nothing else is in it
		e, c := x.e, x.e.callback
		if o.store.tasks[e.id] != e || c == nil || c.state != CallbackWaiting || c.queued != x.at || c.busy || !o.mine(e) {
			continue
		}
		host := hostOf(c.url)
		if o.hosts[host] >= perHost {
			c.queued = now + hostBusy.Milliseconds()
			heap.Push(&o.due, expiring{c.queued, e})
			continue
		}
		o.hosts[host]++
		c.busy = true
		return e, 0
	}
	return nil, time.Hour
}

// mine reports whether it is this node that sends for a task. Store.mu is held.
func (o *outbox) mine(e *entry) bool {
	return o.owned == nil || o.store.mode == modeMemory || o.owned[e.partition]
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// send makes one attempt and records it.
func (o *outbox) send(ctx context.Context, e *entry) {
	s := o.store
	s.mu.Lock()
	t, before := s.snapshot(e), e.callback
	s.mu.Unlock()
	a, retryAfter := o.sender.attempt(ctx, t)
	if ctx.Err() != nil { // the store is being closed: what came of it is not known, and it will be sent again
		return
	}
	after := before.tried(a, o.cfg.Retries, retryAfter, o.sender.random)
	s.mu.Lock()
	if o.hosts[hostOf(before.url)]--; o.hosts[hostOf(before.url)] <= 0 {
		delete(o.hosts, hostOf(before.url))
	}
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
	s.write(e, value, func(err error) {
		if err != nil {
			s.cfg.Log.Debug("an attempt of a callback could not be recorded", "task", e.id.String(), "err", err)
		}
	})
}
