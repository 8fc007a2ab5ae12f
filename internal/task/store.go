package task

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math"
	"sync"
	"time"
	"unique"

	"kafkarest"
	"kafkarest/internal/kafka"
)

// Config bounds a Store. Zero values stand for the defaults.
type Config struct {
	Node       string        // names this proxy among those of the cluster, and is the same after a restart; "" is a name of this process only
	Topic      string        // where tasks are kept; "" is _kafka_rest_tasks
	Partitions int32         // of the topic when it is created here; 0 is 8
	Replicas   int16         // of the topic when it is created here, as far as there are brokers; 0 is 3
	InMemory   bool          // keep tasks in memory only: a restart forgets them
	Max        int           // tasks at once; 0 is 100,000
	Bytes      int64         // that tasks may hold at once, requests under way and results; 0 is 64 MiB
	Retention  time.Duration // how long a task is kept after its end; 0 is 10 min
	Write      time.Duration // deadline of a write to the topic; 0 is 10 s
	Orphaned   time.Duration // after which a pending task of a node that says nothing is unknown; 0 is 5 min
	Callbacks  Callbacks
	Log        *slog.Logger     // nil discards
	Now        func() time.Time // nil is time.Now; its times must have a monotonic part where they are to survive steps of the clock
}

// Store keeps tasks. It is safe for concurrent use.
type Store struct {
	cfg     Config
	cluster *kafka.Cluster // nil with InMemory in tests
	boot    string         // of this process: tells its own records from those of one before it
	start   time.Time

	opening chan struct{} // holds a token while the topic is being opened
	looking chan struct{} // holds a token while somebody waits for what others have written
	caught  time.Time     // when the last of those who did so began; the token guards it
	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // of what runs behind requests; ends with Close
	wg      sync.WaitGroup

	mu      sync.Mutex
	mode    mode
	reason  string // of memory mode
	looked  time.Time
	tail    *tail
	tasks   map[ID]*entry
	keys    map[[16]byte]*entry
	gone    [2]map[ID]bool // ids that were, and whether by Delete here: the younger and the older generation
	bytes   int64
	pending int // of this process
	idle    chan struct{}
	waiters map[ID]*waiter
	expiry  schedule
	outbox  *outbox
}

type mode int

const (
	modeUnknown mode = iota // the topic was not looked at yet
	modeAbsent              // there is no topic, and there was no need for one
	modeTopic
	modeMemory
)

// entry is a task in memory: 64 bytes, since there may be very many that are pending. All is guarded by Store.mu but for what never changes:
// id, own, async, created, origin.
type entry struct {
	id        ID
	status    Status
	async     bool
	own       bool // begun by this process
	answer    int16
	partition int32  // where its record lies
	size      uint32 // of the budget
	created   int64  // Unix milliseconds
	origin    unique.Handle[origin]
	*rest     // never nil: nothing, until there is something
}

// origin is what many tasks have in common.
type origin struct{ node, owner string }

// rest is what most tasks do not have while they are pending.
type rest struct {
	finished int64  // Unix milliseconds
	expires  int64  // milliseconds of Store.clock; 0 while it is not to expire
	result   []byte // gzip when packed
	packed   bool
	idem     *idempotency
	callback *callback
}

// nothing is the rest of an entry that has none. It is never written to.
var nothing rest //nolint:gochecknoglobals // a constant

// more is the rest of an entry, to be written to.
func (e *entry) more() *rest {
	if e.rest == &nothing {
		e.rest = new(rest)
	}
	return e.rest
}

func newEntry(id ID, from origin, created int64) *entry {
	return &entry{id: id, origin: unique.Make(from), created: created, rest: &nothing}
}

func (e *entry) node() string  { return e.origin.Value().node }
func (e *entry) owner() string { return e.origin.Value().owner }

// over is when all of it was over, Unix milliseconds: the task, and the last attempt of its callback.
func (e *entry) over() int64 {
	at := e.finished
	if e.callback != nil && len(e.callback.attempts) > 0 {
		at = max(at, e.callback.attempts[len(e.callback.attempts)-1].At.UnixMilli())
	}
	return at
}

// weigh notes what the entry takes of the budget, beside what is kept of every one.
func (e *entry) weigh(size int64) { e.size = uint32(min(size+entrySize, math.MaxUint32)) }

// entrySize is what a task takes beside its result.
const entrySize = 256

// New makes a store and begins to look for tasks of before. Close ends it.
func New(cfg Config, cluster *kafka.Cluster) (*Store, error) {
	cfg = withDefaults(cfg)
	s := &Store{cfg: cfg, cluster: cluster, boot: newBoot(), start: cfg.Now(), opening: make(chan struct{}, 1), looking: make(chan struct{}, 1),
		tasks: map[ID]*entry{}, keys: map[[16]byte]*entry{}, waiters: map[ID]*waiter{}}
	s.gone[0], s.gone[1] = map[ID]bool{}, map[ID]bool{}
	if s.cfg.Node == "" {
		s.cfg.Node = s.boot
	}
	var err error
	if s.outbox, err = newOutbox(s, cfg.Callbacks); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if cfg.InMemory {
		s.mode, s.reason = modeMemory, "tasks.store=memory"
	} else {
		s.wg.Go(s.find)
	}
	s.wg.Go(s.tend)
	if s.outbox.on() {
		s.wg.Go(s.outbox.run)
	}
	return s, nil
}

func withDefaults(cfg Config) Config {
	orDefault(&cfg.Topic, "_kafka_rest_tasks")
	orDefault(&cfg.Partitions, 8)
	orDefault(&cfg.Replicas, 3)
	orDefault(&cfg.Max, 100_000)
	orDefault(&cfg.Bytes, 64<<20)
	orDefault(&cfg.Retention, 10*time.Minute)
	orDefault(&cfg.Write, 10*time.Second)
	orDefault(&cfg.Orphaned, 5*time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func orDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func newBoot() string {
	id := newID("")
	return hex.EncodeToString(id[nodeBytes:])
}

// clock is milliseconds since the store was made, from 1: it does not go back with the wall clock.
func (s *Store) clock() int64 { return s.cfg.Now().Sub(s.start).Milliseconds() + 1 }

// Beginning is a task to be accepted.
type Beginning struct {
	Owner    string // the principal
	Async    bool   // the client is given the id
	Size     int64  // bytes that the work holds until it is finished
	Callback string // a URL that CheckCallback has found good; "" for none

	Key   string   // of Idempotency-Key; "" for none
	Scope string   // keys of different scopes are different keys
	Print [32]byte // tells two requests with the same key apart
}

// Begin accepts a task: when it returns, the task's id survives a crash of this process. When the same key began a task before, that one is
// returned as earlier, final, and nothing is begun; with CodeKeyInUse it is still pending. A task that ends as Failed gives its key back.
// Errors: CodeKeyReused, CodeKeyInUse, CodeTooLarge, CodeTooManyRequests, CodeTasksUnavailable.
func (s *Store) Begin(ctx context.Context, b Beginning) (id ID, earlier *Task, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Write)
	defer cancel()
	if err := s.ensure(ctx, true); err != nil {
		return id, nil, err
	}
	e, earlier, err := s.admit(b)
	if err != nil || earlier != nil {
		return id, earlier, err
	}
	if err := s.writeNow(ctx, e, e.encode()); err != nil {
		s.Forget(e.id)
		return id, nil, err
	}
	return e.id, nil, nil
}

// admit makes the entry within the limits.
func (s *Store) admit(b Beginning) (*entry, *Task, error) {
	e := newEntry(newID(s.cfg.Node), origin{s.cfg.Node, b.Owner}, s.cfg.Now().UnixMilli())
	e.own, e.async = true, b.Async
	e.weigh(b.Size)
	if b.Callback != "" {
		e.more().callback = newCallback(b.Callback, CallbackWaiting)
	}
	if b.Key != "" {
		e.more().idem = &idempotency{key: keyOf(b), print: b.Print}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.idem != nil {
		if first := s.keys[e.idem.key]; first != nil {
			earlier, err := s.again(first, b.Print)
			return nil, earlier, err
		}
	}
	if size := b.Size + entrySize; size > s.cfg.Bytes {
		return nil, nil, kafkarest.Errorf(kafkarest.CodeTooLarge, "The task takes %d bytes, more than the proxy may hold of all tasks "+
			"(tasks.bytes: %d): send it in parts, or not as a task.", size, s.cfg.Bytes)
	}
	if len(s.tasks) >= s.cfg.Max || s.bytes+int64(e.size) > s.cfg.Bytes {
		return nil, nil, &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: 5 * time.Second,
			Message: "The proxy holds as many tasks, or bytes of them, as tasks.max and tasks.bytes allow; try again later."}
	}
	s.insert(e)
	s.pending++
	return e, nil, nil
}

// insert adds an entry. s.mu is held.
func (s *Store) insert(e *entry) {
	s.tasks[e.id] = e
	s.bytes += int64(e.size)
	s.hold(e)
}

// remove takes an entry away and remembers that it was. What the entry held is let go of here, since others may still refer to the entry.
// s.mu is held.
func (s *Store) remove(e *entry) {
	if s.tasks[e.id] != e {
		return
	}
	delete(s.tasks, e.id)
	s.bytes -= int64(e.size)
	s.free(e)
	if e.own && e.status == Pending {
		s.settled()
	}
	e.rest = &nothing
	s.remember(e.id)
	s.wake(e.id)
	s.tidy()
}

// remember keeps the last ids that are no more. s.mu is held.
func (s *Store) remember(id ID) {
	if len(s.gone[0]) >= s.cfg.Max {
		s.gone[0], s.gone[1] = map[ID]bool{}, s.gone[0]
	}
	s.gone[0][id] = s.deleted(id)
}

// settled counts a task of this process that is pending no longer. s.mu is held.
func (s *Store) settled() {
	if s.pending--; s.pending == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// wake ends what waits for a task. s.mu is held.
func (s *Store) wake(id ID) {
	if w := s.waiters[id]; w != nil {
		close(w.ended)
		delete(s.waiters, id)
	}
}

// Finish records the end of a task that this process began. The outcome is shown once it is written, so that nothing is shown that a crash
// could take back; done, unless it is nil, is called once, then, on a goroutine that it must not hold up.
func (s *Store) Finish(id ID, status Status, answer int, result []byte, done func()) {
	s.mu.Lock()
	e := s.tasks[id]
	if e == nil || !e.own || e.status != Pending {
		s.mu.Unlock()
		if done != nil {
			done()
		}
		return
	}
	final, more := *e, *e.rest
	s.mu.Unlock()
	final.status, final.answer, final.rest = status, int16(answer), &more
	final.finished = s.cfg.Now().UnixMilli()
	final.result, final.packed = pack(result)
	final.weigh(int64(len(final.result)))
	if status == Failed {
		final.idem = nil // nothing has happened: the same key may try again
	}
	if final.callback != nil {
		c := *final.callback
		c.next = final.finished
		final.callback = &c
	}
	s.record(e, &final, 0, done)
}

// record writes the end of a task, several times if need be, and then shows it.
func (s *Store) record(e, final *entry, tries int, done func()) {
	const most = 5
	s.write(e, final.encode(), func(err error) {
		if kafka.IsUnknownTopic(err) {
			s.topicGone()
		}
		if err != nil && tries < most && s.ctx.Err() == nil {
			time.AfterFunc(time.Second<<tries, func() { s.record(e, final, tries+1, done) })
			return
		}
		if err != nil {
			s.cfg.Log.Warn("the end of a task could not be written: after a restart it will be unknown", "task", e.id.String(), "err", err)
		}
		s.publish(e, final)
		if done != nil {
			done()
		}
	})
}

// publish shows the end of a task.
func (s *Store) publish(e, final *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tasks[e.id] != e || e.status != Pending {
		return
	}
	s.bytes += int64(final.size) - int64(e.size)
	if final.idem == nil {
		s.free(e)
	}
	e.status, e.answer, e.size, e.rest = final.status, final.answer, final.size, final.rest
	s.settled()
	s.ended(e)
}

// ended does what follows the end of a task: those who wait, its callback, or the time for which it is kept. s.mu is held.
func (s *Store) ended(e *entry) {
	s.wake(e.id)
	if e.callback != nil && e.callback.state == CallbackWaiting && s.outbox.on() {
		s.outbox.add(e)
		return
	}
	s.keep(e, s.cfg.Retention)
}

// Forget takes a task back that this process began, as if it had never been.
func (s *Store) Forget(id ID) {
	s.mu.Lock()
	e := s.tasks[id]
	if e == nil {
		s.mu.Unlock()
		return
	}
	s.remove(e)
	delete(s.gone[0], id)
	s.mu.Unlock()
	s.write(e, nil, func(error) {})
}

// Get finds a task.
// Errors: CodeTaskNotFound, CodeTaskExpired, CodeTasksUnavailable while it is not known which tasks there are.
func (s *Store) Get(ctx context.Context, id ID, owner string) (*Task, error) {
	if err := s.lookUp(ctx, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find1(id, owner)
	if err != nil {
		return nil, err
	}
	return s.snapshot(e), nil
}

// find1 looks an id up. s.mu is held.
func (s *Store) find1(id ID, owner string) (*entry, error) {
	e := s.tasks[id]
	if e != nil && e.owner() == owner && e.async {
		return e, nil
	}
	_, young := s.gone[0][id]
	_, old := s.gone[1][id]
	if e == nil && (young || old) {
		return nil, kafkarest.Errorf(kafkarest.CodeTaskExpired, "The task was kept for its time (tasks.retention.ms), or was deleted.")
	}
	return nil, kafkarest.Errorf(kafkarest.CodeTaskNotFound, "There is no such task.")
}

// snapshot copies what is known of an entry. s.mu is held.
func (s *Store) snapshot(e *entry) *Task {
	t := &Task{ID: e.id, Status: e.status, Created: time.UnixMilli(e.created), Result: e.result, Answer: int(e.answer), Async: e.async}
	if e.finished > 0 {
		t.Finished = time.UnixMilli(e.finished)
	}
	if e.packed {
		var err error
		if t.Result, err = unpack(e.result); err != nil {
			t.Result = nil
		}
	}
	if e.callback != nil {
		t.Callback = e.callback.snapshot()
	}
	return t
}

// Wait is Get that waits until the task is final or ctx ends, whichever comes first; neither is an error.
func (s *Store) Wait(ctx context.Context, id ID, owner string) (*Task, error) {
	t, err := s.Get(ctx, id, owner)
	if err != nil || t.Status != Pending {
		return t, err
	}
	s.mu.Lock()
	e := s.tasks[id]
	if e == nil || e.status != Pending {
		s.mu.Unlock()
		return s.Get(ctx, id, owner)
	}
	w := s.waiters[id]
	if w == nil {
		w = &waiter{ended: make(chan struct{})}
		s.waiters[id] = w
	}
	w.count++
	s.mu.Unlock()
	select {
	case <-w.ended:
	case <-ctx.Done():
		s.leave(id, w)
	}
	return s.Get(context.WithoutCancel(ctx), id, owner)
}

// waiter is what those who wait for a task have in common.
type waiter struct {
	ended chan struct{}
	count int
}

// leave is for one who waits no longer.
func (s *Store) leave(id ID, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.count--; w.count == 0 && s.waiters[id] == w {
		delete(s.waiters, id)
	}
}

// Info is what the store says of itself.
type Info struct {
	Durable bool   `json:"durable"` // ids survive a restart
	Topic   string `json:"topic,omitzero"`
	Reason  string `json:"reason,omitzero"` // why they do not
	Tasks   int    `json:"tasks"`
	Pending int    `json:"pending"` // of this node
	Bytes   int64  `json:"bytes"`
	Max     int    `json:"max"`
	NoSends string `json:"callbacks_not_sent,omitzero"` // why this node sends no callbacks, where it is to
}

// Info describes the store.
func (s *Store) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := Info{Durable: s.mode != modeMemory, Reason: s.reason, Tasks: len(s.tasks), Pending: s.pending, Bytes: s.bytes, Max: s.cfg.Max, NoSends: s.outbox.stuck}
	if i.Durable {
		i.Topic = s.cfg.Topic
	}
	return i
}

// Close waits until the tasks of this process have ended or ctx has, then stops what runs behind requests. Tasks that are still pending will
// be unknown after a restart.
func (s *Store) Close(ctx context.Context) {
	s.mu.Lock()
	var idle chan struct{}
	if s.pending > 0 {
		idle = make(chan struct{})
		s.idle = idle
	}
	s.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	s.stop()
	s.wg.Wait()
	s.outbox.close()
}
