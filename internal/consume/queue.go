package consume

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// QueueConfig bounds the queues of this process. Zero values stand for the defaults.
type QueueConfig struct {
	ClientID       string        // of the groups' members, before what says how this node is reached; "" is none
	MaxQueues      int           // 0 is 1,000
	IdleTimeout    time.Duration // a queue that nobody uses and of which nobody holds a record is closed after it; 0 is 5 min
	Window         int           // records of one partition that are fetched and not acknowledged; 0 is 5,000
	WindowBytes    int64         // and their bytes; 0 is 8 MiB
	TotalBytes     int64         // bytes of all queues; 0 is 256 MiB
	SessionTimeout time.Duration // after which the group gives the partitions of a node that died to others; 0 is 10 s
	CommitTimeout  time.Duration // 0 is 10 s
	Log            *slog.Logger  // nil discards

	deadTimeout time.Duration // how long a receive waits for dead records on their way; 0 is 10 s
}

// windowSpan is how far apart in offsets the first and the last record of a window may be: as many bits as the metadata of a commit holds, so
// that all acknowledgements of a window without gaps survive a restart.
const windowSpan = 20_000

// Queues holds the queues of this process: for each topic and consumer that is read, one member of the consumer's group, and what is known
// of the records that it has handed out.
type Queues struct {
	cfg     QueueConfig
	cluster *kafka.Cluster
	fetcher *fetcher // for the layout of topics alone
	bytes   atomic.Int64
	unfit   atomic.Int64

	mu       sync.Mutex
	queues   map[queueKey]*Queue
	views    map[queueKey]*lookup // of groups whose members were asked for
	closed   bool
	stop     context.CancelFunc
	ctx      context.Context //nolint:containedctx // of the queues' own goroutines: it ends with Close
	wg       sync.WaitGroup
	drain    chan struct{}
	drainOne sync.Once
}

type queueKey struct{ topic, consumer string }

// NewQueues readies the queues; Close ends them.
func NewQueues(cfg QueueConfig, cluster *kafka.Cluster) *Queues {
	orElse(&cfg.MaxQueues, 1000)
	orElse(&cfg.IdleTimeout, 5*time.Minute)
	orElse(&cfg.Window, 5000)
	orElse(&cfg.WindowBytes, 8<<20)
	orElse(&cfg.TotalBytes, 256<<20)
	orElse(&cfg.SessionTimeout, 10*time.Second)
	orElse(&cfg.CommitTimeout, 10*time.Second)
	orElse(&cfg.deadTimeout, 10*time.Second)
	orElse(&cfg.Log, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	qs := &Queues{cfg: cfg, cluster: cluster, queues: map[queueKey]*Queue{}, views: map[queueKey]*lookup{}, ctx: ctx, stop: stop,
		drain: make(chan struct{}), fetcher: &fetcher{cluster: cluster, topics: map[string]*layout{}}}
	qs.wg.Go(qs.tend)
	return qs
}

// Unfit is how many acknowledged records had no room in the metadata of commits so far: had this node died at the wrong moment, they would
// have been delivered again.
func (qs *Queues) Unfit() int64 { return qs.unfit.Load() }

// Drain ends waiting: the proxy is about to close. Acknowledgements are still taken.
func (qs *Queues) Drain() { qs.drainOne.Do(func() { close(qs.drain) }) }

// Close commits what is acknowledged and leaves every group, and waits for that until ctx ends. What has not left by then is
// reported; the group's session time-out removes it.
func (qs *Queues) Close(ctx context.Context) error {
	qs.Drain()
	qs.mu.Lock()
	qs.closed = true
	all := qs.queues
	qs.queues = nil
	qs.mu.Unlock()
	qs.stop()
	left := make(chan struct{})
	go func() {
		defer close(left)
		var wg sync.WaitGroup
		for _, q := range all {
			wg.Go(q.close)
		}
		wg.Wait()
		qs.wg.Wait()
		qs.fetcher.close()
	}()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("queues had not left their groups: %w", ctx.Err())
	}
}

// OpenOptions are how a queue that is not there yet is made.
type OpenOptions struct {
	From  Reset // where a group begins that has committed nothing yet: Earliest or Latest; "" is Earliest
	Reach Reach // of this node, for the others
}

// Open gives the queue of a topic for a consumer, and joins the consumer's group if this node has not.
// Errors: CodeTopicNotFound, CodeForbidden, CodeTooManyRequests at the limit of queues, CodeDraining.
func (qs *Queues) Open(ctx context.Context, topic, consumer string, opts OpenOptions) (*Queue, error) {
	if q := qs.find(topic, consumer); q != nil {
		return q, nil
	}
	if err := qs.CheckTopic(ctx, topic); err != nil {
		return nil, err
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.closed {
		return nil, errDraining()
	}
	key := queueKey{topic, consumer}
	if q := qs.queues[key]; q != nil {
		q.touch()
		return q, nil
	}
	if len(qs.queues) >= qs.cfg.MaxQueues {
		return nil, &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: 5 * time.Second, Message: fmt.Sprintf(
			"There are %d queues on this node, the most that are allowed: leave some, or wait until idle ones close.", qs.cfg.MaxQueues)}
	}
	opts.From = cmp.Or(opts.From, Earliest)
	q, err := qs.join(topic, consumer, opts)
	if err != nil {
		return nil, err
	}
	qs.queues[key] = q
	return q, nil
}

// CheckTopic finds out whether there is a topic to open a queue of. Errors: CodeTopicNotFound and others.
func (qs *Queues) CheckTopic(ctx context.Context, topic string) error {
	_, err := qs.fetcher.layout(ctx, topic, false)
	return err
}

func (qs *Queues) find(topic, consumer string) *Queue {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.queues[queueKey{topic, consumer}]
	if q != nil {
		q.touch()
	}
	return q
}

// Leave leaves the group on this node, for that topic. What is acknowledged is committed; what is held goes to whoever reads next. Leaving
// what was not joined is no error.
func (qs *Queues) Leave(topic, consumer string) {
	if q := qs.find(topic, consumer); q != nil {
		qs.remove(q)
	}
}

// remove takes a queue out and closes it.
func (qs *Queues) remove(q *Queue) {
	key := queueKey{q.topic, q.consumer}
	qs.mu.Lock()
	mine := qs.queues[key] == q
	if mine {
		delete(qs.queues, key)
	}
	qs.mu.Unlock()
	if mine {
		q.close()
	}
}

// tend closes idle queues, and lets those fetch again that had to stop because all together held too much.
func (qs *Queues) tend() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-qs.ctx.Done():
			return
		case now := <-ticker.C:
			qs.mu.Lock()
			all := make([]*Queue, 0, len(qs.queues))
			for _, q := range qs.queues {
				all = append(all, q)
			}
			qs.mu.Unlock()
			for _, q := range all {
				if q.idle(now) > qs.cfg.IdleTimeout {
					qs.wg.Go(func() { qs.remove(q) })
				} else {
					q.resume()
				}
			}
		}
	}
}

// Queue is one topic as one consumer reads it, on this node.
//
// Locks: committing is held from the moment that a commit's content is decided until it is answered, so that no older commit follows a
// newer one. mu guards the rest, and is never held during I/O or a call into the client, whose callbacks take it.
type Queue struct {
	of       *Queues
	topic    string
	consumer string // the group
	from     Reset
	client   *kgo.Client
	stop     context.CancelFunc
	wg       sync.WaitGroup
	once     sync.Once
	dirty    chan struct{} // a token: something is to be committed

	committing sync.Mutex
	pausing    sync.Mutex // held while the client is told what to fetch, before mu

	mu        sync.Mutex
	parts     map[int32]*queuePart
	joined    time.Time // of the newest assignment that had partitions
	member    bool      // of the group, be it without any partition
	turn      int       // which partition a receive looks at first
	changed   chan struct{}
	metadata  map[int32]string // of the commits that an assignment found
	most      int              // characters of metadata that the broker takes
	used      time.Time
	receiving int
	failed    error // why the client cannot go on; the queue is closed then
	closed    bool
	anew      bool // partitions were assigned since resume last looked
}

// queuePart is one partition that this node has now. A new assignment puts a new one in its place.
type queuePart struct {
	*tracker
	partition int32
	end       int64         // of the partition when it was assigned
	steps     uint64        // how often something of it was acknowledged
	stored    uint64        // the step up to which a commit has it all
	commits   chan struct{} // closed and replaced when stored moves or it is gone
	unfit     int64         // acknowledged records that the last commit had no room for
	counted   int64         // of its bytes in Queues.bytes
	paused    bool
	gone      bool // with another member now, or nobody
}

func (q *Queue) touch() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used = time.Now()
}

// idle is how long nobody has called, and nobody has held anything.
func (q *Queue) idle(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.receiving > 0 {
		return 0
	}
	for _, p := range q.parts {
		if len(p.timers) > 0 && p.timers[0].until.After(now) {
			return 0
		}
	}
	return now.Sub(q.used)
}

// wake has everyone who waits look again. q.mu is held.
func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// count keeps the sum of all queues' bytes. q.mu is held.
func (q *Queue) count(p *queuePart) {
	q.of.bytes.Add(p.bytes - p.counted)
	p.counted = p.bytes
}

// full reports whether a partition must not be fetched further. A sum of all queues that is too large stops only those that have something.
func (q *Queue) full(p *queuePart) bool {
	cfg := &q.of.cfg
	n := len(p.open)
	return n >= cfg.Window || p.bytes >= cfg.WindowBytes || n > 0 && (p.next-p.low() >= windowSpan || q.of.bytes.Load() >= cfg.TotalBytes)
}

// roomy reports whether a partition that was stopped may go on.
func (q *Queue) roomy(p *queuePart) bool {
	cfg := &q.of.cfg
	n := len(p.open)
	return n == 0 || n < cfg.Window*3/4 && p.bytes < cfg.WindowBytes*3/4 && p.next-p.low() < windowSpan*3/4 && q.of.bytes.Load() < cfg.TotalBytes
}

// resume lets partitions go on that have room again, and those that are back: the client stays paused for a partition that it loses, and would
// be when it gets it again, while its new queuePart is not.
func (q *Queue) resume() {
	q.mu.Lock()
	again := q.anew
	q.anew = false
	for _, p := range q.parts {
		if p.paused && q.roomy(p) {
			p.paused, again = false, true
		}
	}
	q.mu.Unlock()
	if again {
		q.pause()
	}
}

// pause tells the client which partitions not to fetch. Whoever changes paused calls it, so the last one tells the last state.
func (q *Queue) pause() {
	q.pausing.Lock()
	defer q.pausing.Unlock()
	before := q.client.PauseFetchPartitions(nil)[q.topic]
	var now, again []int32
	q.mu.Lock()
	for n, p := range q.parts {
		if p.paused {
			now = append(now, n)
		}
	}
	q.mu.Unlock()
	for _, n := range before {
		if !slices.Contains(now, n) {
			again = append(again, n)
		}
	}
	if len(now) > 0 {
		q.client.PauseFetchPartitions(map[string][]int32{q.topic: now})
	}
	if len(again) > 0 {
		q.client.ResumeFetchPartitions(map[string][]int32{q.topic: again})
	}
}

// close commits, leaves the group and ends the goroutines.
func (q *Queue) close() {
	q.once.Do(func() {
		q.mu.Lock()
		q.closed = true
		q.wake()
		q.mu.Unlock()
		q.client.CloseAllowingRebalance() // its callback commits
		q.stop()
		q.wg.Wait()
		q.mu.Lock()
		defer q.mu.Unlock()
		for n := range q.parts {
			q.drop(n)
		}
	})
}

// drop forgets a partition. q.mu is held.
func (q *Queue) drop(partition int32) {
	p := q.parts[partition]
	if p == nil {
		return
	}
	delete(q.parts, partition)
	p.gone = true
	close(p.commits)
	q.of.bytes.Add(-p.counted)
	q.wake()
}
