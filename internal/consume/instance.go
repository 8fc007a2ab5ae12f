package consume

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Instance is one consumer instance. Its methods are safe for concurrent use; a second read at the same time is refused, and nothing else
// waits for a read.
//
// Locks: polling is held while the client is polled and its records are taken over; whoever changes what is fetched (seek, assignment,
// close) first cancels the poll, then takes polling, then mu. mu guards the state and is never held during I/O. The group's callbacks take
// mu only, since they may run while a poll waits for them.
type Instance struct {
	m           *Manager
	group, name string
	opts        Options

	used     atomic.Pointer[time.Time] // last call, with its monotonic reading
	reading  atomic.Bool
	lastAuto atomic.Pointer[time.Time]

	polling sync.Mutex

	mu         sync.Mutex
	mode       mode
	topics     []string // of the subscription
	pattern    string
	client     *kgo.Client // nil until there is something to fetch
	assigned   map[topicPartition]*partition
	pending    []chunk   // fetched and not delivered, in order
	last       *Delivery // delivered, and not known to have been received
	cancelPoll context.CancelFunc
	waiting    int  // for polling, to change what is fetched: no poll begins meanwhile
	stale      bool // in manual mode: client does not fetch what is assigned, or not from where it should; poll replaces it
	anew       bool // nothing was delivered since partitions were assigned
	paused     bool // by drop, as a member of a group: fetching goes on with the next read
	closed     bool
	resolved   time.Time // when positions were last resolved, in manual mode
}

type mode int

const (
	unsubscribed mode = iota
	byTopics
	byPattern
	manual
)

type topicPartition struct {
	topic     string
	partition int32
}

// partition is one assigned partition. A seek, a revocation or a new assignment puts a new one in its place, so that records fetched
// before are told apart by their pointer.
type partition struct {
	topicPartition
	next      int64 // the offset after the last record that was delivered; -1 while it is not known where to begin
	fetch     int64 // the offset after the last record that was fetched; -1 likewise
	seen      bool  // the client has fetched records of it, so it knows the partition and can be told another offset
	proven    int64 // the offset after the last record that the client is known to have received; -1 for none
	committed int64 // what the last commit of proven said
}

func newPartition(tp topicPartition, begin int64) *partition {
	return &partition{topicPartition: tp, next: begin, fetch: begin, proven: -1, committed: -1}
}

// chunk is records of one partition, with the assignment under which they were fetched.
type chunk struct {
	of      *partition
	records []*kgo.Record
}

func newInstance(m *Manager, group string, opts Options) *Instance {
	orElse(&opts.Reset, m.cfg.Reset)
	orElse(&opts.OnDecodeError, Fail)
	if opts.AutoCommit == nil {
		opts.AutoCommit = &m.cfg.AutoCommit
	}
	if opts.MinBytes == 0 {
		opts.MinBytes = m.cfg.MinBytes
	}
	i := &Instance{m: m, group: group, name: opts.Name, opts: opts, assigned: map[topicPartition]*partition{}}
	i.touch()
	now := time.Now()
	i.lastAuto.Store(&now)
	return i
}

// Name is the instance's name within its group.
func (i *Instance) Name() string { return i.name }

// Group is its consumer group.
func (i *Instance) Group() string { return i.group }

// Options are its settings.
func (i *Instance) Options() Options { return i.opts }

func (i *Instance) touch() {
	now := time.Now()
	i.used.Store(&now)
}

// idle is how long nobody has called; an instance that is being read is not idle.
func (i *Instance) idle(now time.Time) time.Duration {
	if i.reading.Load() {
		return 0
	}
	return now.Sub(*i.used.Load())
}

func illegalState(text string) error {
	return &kafkarest.Error{Code: kafkarest.CodeIllegalState, Message: "Illegal state: " + text}
}

const exclusive = "Subscription to topics, partitions and pattern are mutually exclusive"

// Subscribe replaces the topics of the subscription and starts to join the group. No topics at all unsubscribe.
// Errors: CodeIllegalState after a pattern or an assignment, CodeForbidden for a topic of the proxy's own.
func (i *Instance) Subscribe(topics []string) error {
	for _, topic := range topics {
		if err := i.m.cluster.Topics().Allowed(topic); err != nil {
			return err
		}
	}
	topics = slices.Clone(topics)
	slices.Sort(topics)
	topics = slices.Compact(topics)
	if len(topics) == 0 {
		return i.Unsubscribe()
	}
	return i.subscribe(byTopics, topics, "")
}

// SubscribePattern subscribes to every topic whose whole name matches the RE2 pattern, those that come later too; the proxy's own are
// passed over.
func (i *Instance) SubscribePattern(pattern string) error {
	return i.subscribe(byPattern, nil, pattern)
}

func (i *Instance) subscribe(to mode, topics []string, pattern string) error {
	defer i.quiet()()
	i.mu.Lock()
	if err := i.mayBecome(to); err != nil {
		i.mu.Unlock()
		return err
	}
	same := i.client != nil && slices.Equal(i.topics, topics) && i.pattern == pattern
	old := i.client
	if !same {
		i.mode, i.topics, i.pattern, i.client = to, topics, pattern, nil
	}
	i.mu.Unlock()
	if same {
		return nil
	}
	if old != nil {
		old.CloseAllowingRebalance() // its callback commits what is proven
	}
	i.mu.Lock()
	i.forgetAll()
	i.mu.Unlock()
	client, err := i.m.cluster.NewConsumer(i.groupOptions(topics, pattern)...)
	if err != nil {
		return kafkarest.Wrap(kafkarest.CodeKafka, err, "Failed to construct kafka consumer")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client = client
	return nil
}

// mayBecome checks the three ways to be given partitions, which exclude each other. i.mu is held.
func (i *Instance) mayBecome(to mode) error {
	switch {
	case i.closed:
		return errNotFound()
	case i.mode != unsubscribed && i.mode != to:
		return illegalState(exclusive)
	}
	return nil
}

// forgetAll drops every assignment and what was fetched. i.mu is held.
func (i *Instance) forgetAll() {
	clear(i.assigned)
	i.pending, i.last = nil, nil
}

// Unsubscribe ends a subscription or an assignment.
func (i *Instance) Unsubscribe() error {
	defer i.quiet()()
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return errNotFound()
	}
	old := i.client
	i.mode, i.topics, i.pattern, i.client = unsubscribed, nil, "", nil
	i.mu.Unlock()
	if old != nil {
		old.CloseAllowingRebalance() // its callback commits what is proven
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forgetAll()
	return nil
}

// Subscription lists the topics subscribed to; for a pattern, those that it matched so far.
func (i *Instance) Subscription() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mode != byPattern || i.client == nil {
		return slices.Clone(i.topics)
	}
	var topics []string
	for tp := range i.assigned {
		topics = append(topics, tp.topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Assign replaces the assigned partitions, without a group membership; none at all clears. Whether they exist shows when they are read.
// Errors: CodeIllegalState after a subscription, CodeForbidden for a topic of the proxy's own.
func (i *Instance) Assign(partitions []TopicPartition) error {
	for _, p := range partitions {
		if err := i.m.cluster.Topics().Allowed(p.Topic); err != nil {
			return err
		}
	}
	defer i.quiet()()
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.mayBecome(manual); err != nil {
		return err
	}
	before := i.assigned
	i.assigned = map[topicPartition]*partition{}
	for _, p := range partitions {
		tp := topicPartition{p.Topic, p.Partition}
		if kept := before[tp]; kept != nil {
			i.assigned[tp] = kept
			continue
		}
		i.assigned[tp] = newPartition(tp, -1)
	}
	i.mode, i.stale = manual, true
	i.dropForeign()
	i.resolved = time.Time{}
	if len(partitions) == 0 {
		i.mode = unsubscribed
	}
	return nil
}

// Assignment lists the partitions that the instance has now, in order.
func (i *Instance) Assignment() []TopicPartition {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]TopicPartition, 0, len(i.assigned))
	for tp := range i.assigned {
		list = append(list, TopicPartition{tp.topic, tp.partition})
	}
	slices.SortFunc(list, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}

// has reports whether an assignment still stands. i.mu is held.
func (i *Instance) has(p *partition) bool { return i.assigned[p.topicPartition] == p }

// dropForeign drops fetched records whose assignment is gone. i.mu is held.
func (i *Instance) dropForeign() {
	i.pending = slices.DeleteFunc(i.pending, func(c chunk) bool { return !i.has(c.of) })
}

// quiet ends a poll that is under way and keeps others away until the returned function is called. A read that waits goes on after it.
func (i *Instance) quiet() func() {
	i.mu.Lock()
	i.waiting++ // or the reader would begin its next poll first, which nobody cancels
	if i.cancelPoll != nil {
		i.cancelPoll()
	}
	i.mu.Unlock()
	i.polling.Lock()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting--
	return i.polling.Unlock
}

// close ends the instance; the manager calls it once.
func (i *Instance) close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	done := i.quiet()
	defer done()
	i.mu.Lock()
	client, manualCommit := i.client, i.mode == manual && *i.opts.AutoCommit
	i.mu.Unlock()
	if manualCommit {
		ctx, cancel := context.WithTimeout(context.Background(), i.m.cfg.CommitTimeout)
		if err := i.commitProven(ctx); err != nil {
			i.m.cfg.Log.Warn("commit at the end of an instance failed", "group", i.group, "instance", i.name, "err", err)
		}
		cancel()
	}
	if client != nil {
		client.CloseAllowingRebalance()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client = nil
	i.forgetAll()
}
