package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// tail reads the topic of tasks from its start and on and on, so that this node knows the tasks of all.
type tail struct {
	store  *Store
	client *kgo.Client
	ctx    context.Context //nolint:containedctx // of reading: it ends with the store, or when the topic is gone
	stop   context.CancelFunc
	ends   map[int32]int64 // where partitions ended when reading began, those that are not reached yet
	loaded chan struct{}   // closed when all were
	read   progress
}

func (t *tail) isLoaded() bool {
	select {
	case <-t.loaded:
		return true
	default:
		return false
	}
}

// follow readies reading: run does it.
func (s *Store) follow(ctx context.Context) (*tail, error) {
	t := &tail{store: s, ends: map[int32]int64{}, loaded: make(chan struct{}), read: progress{next: map[int32]int64{}}}
	adm := s.cluster.Admin()
	list := func(what func(context.Context, ...string) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
		return kafka.Await(kafka.Fresh(ctx), func(ctx context.Context) (kadm.ListedOffsets, error) {
			out, err := what(ctx, s.cfg.Topic)
			return out, errors.Join(err, out.Error())
		})
	}
	starts, err := list(adm.ListStartOffsets)
	if err != nil {
		return nil, fmt.Errorf("where the topic of tasks starts: %w", err)
	}
	ends, err := list(adm.ListEndOffsets)
	if err != nil {
		return nil, fmt.Errorf("where the topic of tasks ends: %w", err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		start, ok := starts.Lookup(s.cfg.Topic, end.Partition)
		t.read.to(end.Partition, start.Offset)
		if ok && start.Offset < end.Offset {
			t.ends[end.Partition] = end.Offset
		}
	})
	t.client, err = s.cluster.NewConsumer(kgo.ConsumeTopics(s.cfg.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(1<<20), kgo.FetchMinBytes(1))
	if err != nil {
		return nil, fmt.Errorf("a client for the topic of tasks: %w", err)
	}
	t.ctx, t.stop = context.WithCancel(s.ctx)
	return t, nil
}

// silence is how long nothing may come before the end is taken to be reached: the last records of a partition may have been compacted away.
const silence = 3 * time.Second

func (t *tail) run() {
	defer t.client.Close()
	defer t.stop()
	last := time.Now()
	for t.ctx.Err() == nil {
		if !t.isLoaded() && (len(t.ends) == 0 || time.Since(last) > silence && t.answers()) {
			for partition, end := range t.ends {
				t.read.to(partition, end)
			}
			t.store.adopt()
			close(t.loaded)
		}
		ctx, cancel := t.ctx, context.CancelFunc(func() {})
		if !t.isLoaded() {
			ctx, cancel = context.WithTimeout(ctx, silence)
		}
		fetches := t.client.PollRecords(ctx, 10_000)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) {
			last = time.Now()
			t.store.apply(r)
			t.read.to(r.Partition, r.Offset+1)
			if end, ok := t.ends[r.Partition]; ok && r.Offset+1 >= end {
				delete(t.ends, r.Partition)
			}
		})
		t.failures(&fetches)
	}
}

// answers reports whether the partitions that are not read to their end have leaders that answer: their silence means something then.
func (t *tail) answers() bool {
	ctx, cancel := context.WithTimeout(t.ctx, silence)
	defer cancel()
	out, err := kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return t.store.cluster.Admin().ListEndOffsets(ctx, t.store.cfg.Topic)
	})
	return err == nil && out.Error() == nil
}

// failures gives up where nothing can be read for good. The client tries again by itself after all other errors.
func (t *tail) failures(fetches *kgo.Fetches) {
	fetches.EachError(func(_ string, _ int32, err error) {
		switch {
		case isForbidden(err):
			t.store.toMemory("the proxy may not read the topic "+t.store.cfg.Topic, err)
			t.ends = nil
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		default:
			t.store.cfg.Log.Debug("reading the topic of tasks", "err", err)
		}
	})
}

// apply takes over what a record of the topic says.
func (s *Store) apply(r *kgo.Record) {
	for _, h := range r.Headers {
		if h.Key == bootHeader && string(h.Value) == s.boot {
			return
		}
	}
	id, ok := ParseID(string(r.Key))
	if !ok {
		return
	}
	if r.Value == nil {
		s.end(id, r)
		return
	}
	e, err := decode(id, r.Value)
	if err != nil {
		s.cfg.Log.Debug("a record in the topic of tasks is passed over", "key", id.String(), "err", err)
		return
	}
	e.partition = r.Partition
	s.mu.Lock()
	over := s.deleted(id)
	if !over {
		s.replace(e)
	}
	s.mu.Unlock()
	if over {
		s.bury(e)
	}
}

// end removes a task that another process has removed. What this one has written of it behind that would bring the task back.
func (s *Store) end(id ID, r *kgo.Record) {
	s.mu.Lock()
	e := s.tasks[id]
	again := e != nil && e.callback != nil && e.callback.written > r.Offset
	if e != nil {
		s.remove(e)
	} else {
		s.remember(id)
	}
	s.mu.Unlock()
	if again {
		s.bury(e)
	}
}

// replace puts what another process wrote in the place of what was known. s.mu is held.
func (s *Store) replace(e *entry) {
	if old := s.tasks[e.id]; old != nil {
		if old.own {
			s.adoptCallback(old, e)
			return // nobody else knows better
		}
		e = s.turn(old, e)
	} else {
		s.insert(e)
	}
	wall := s.cfg.Now().UnixMilli()
	since := func(then int64) time.Duration { return time.Duration(max(wall-then, 0)) * time.Millisecond }
	switch {
	case e.status == Pending:
		s.keep(e, max(s.cfg.Orphaned-since(e.created), 0))
	case e.callback != nil && e.callback.state == CallbackWaiting && s.outbox.on():
		s.wake(e.id)
		s.outbox.add(e)
	default:
		s.wake(e.id)
		s.keep(e, max(s.cfg.Retention-since(e.over()), 0))
	}
}

// turn puts what is known now into the entry that there is, so that whatever still refers to the entry holds nothing else. s.mu is held.
func (s *Store) turn(old, e *entry) *entry {
	s.free(old)
	s.bytes += int64(e.size) - int64(old.size)
	*old = *e
	s.hold(old)
	return old
}

// adoptCallback takes over what the node that sends callbacks says of one of ours. s.mu is held.
func (s *Store) adoptCallback(own, e *entry) {
	if own.callback == nil || e.callback == nil || own.status == Pending || own.callback.count >= e.callback.count {
		return
	}
	own.callback = e.callback
	if e.callback.state == CallbackWaiting {
		s.outbox.add(own)
	} else {
		s.keep(own, s.cfg.Retention)
	}
}

// adopt settles what a process of this node before this one has left: whether its records were stored is not known.
func (s *Store) adopt() {
	var left []*entry
	s.mu.Lock()
	now := s.cfg.Now().UnixMilli()
	for _, e := range s.tasks {
		if e.node() == s.cfg.Node && e.status == Pending && !e.own {
			e.status, e.answer = Unknown, 504
			e.more().finished = now
			if e.callback != nil {
				e.callback.next = now
			}
			s.ended(e)
			left = append(left, e)
		}
	}
	values := make([][]byte, len(left))
	for i, e := range left {
		values[i] = e.encode()
	}
	s.mu.Unlock()
	for i, e := range left {
		s.tell(e, values[i])
	}
}
