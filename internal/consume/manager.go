// Package consume keeps consumer instances: group members (or readers of assigned partitions) that live between HTTP calls. It knows three
// positions of each partition: what was fetched, what was handed to the client, and what the client is known to have received. Only the last
// is committed without the client naming an offset. It knows nothing of HTTP.
package consume

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"

	"github.com/google/uuid"
)

// Config bounds a Manager and gives the instances their defaults. Zero values stand for the defaults.
type Config struct {
	ID string // part of generated names: rest-consumer-<ID>-<uuid>

	InstanceTimeout time.Duration // an instance idle for so long is closed; 0 is 5 min
	RequestTimeout  time.Duration // how long a read waits for data when neither it nor its instance says; 0 is 1 s
	MaxWait         time.Duration // the most that a read may ask for where its instance sets nothing; 0 is 60 s
	CommitTimeout   time.Duration // deadline of one commit; 0 is 10 s
	MaxBytes        int64         // the most a read returns, in bytes of keys and values; 0 is 64 MiB
	MinBytes        int64         // a read waits for more bytes than this; less than 1 is for the first record
	MaxInstances    int           // above it creation is refused; 0 is 5,000
	BufferBytes     int32         // what an instance fetches ahead from each broker; 0 is 4 MiB
	TotalBuffer     int64         // what all instances together hold fetched ahead; above it idle ones drop theirs; 0 is 256 MiB

	AutoCommit         bool          // of instances that do not say
	AutoCommitInterval time.Duration // 0 is 5 s
	Reset              Reset         // of instances that do not say
	ReadCommitted      bool          // isolation.level, which decides where "the end" is

	Log *slog.Logger // nil discards
}

// Reset says where a partition without a committed offset begins.
type Reset string

// The values of auto.offset.reset.
const (
	Earliest Reset = "earliest"
	Latest   Reset = "latest"
	None     Reset = "none" // reading fails until the client seeks
)

// OnDecodeError says what a read does at a record that its format cannot decode.
type OnDecodeError string

// The policies.
const (
	Fail   OnDecodeError = "fail"   // deliver what is before it, then answer 422 until something gets past it
	Report OnDecodeError = "report" // deliver it in its place, with the error and its bytes
	Skip   OnDecodeError = "skip"   // pass over it
)

// Options are the settings of one instance.
type Options struct {
	Name           string // "" has one generated
	Key, Value     format.Format
	Reset          Reset         // "" is the configuration's
	AutoCommit     *bool         // nil is the configuration's
	MinBytes       int64         // 0 is the configuration's
	RequestTimeout time.Duration // 0 is the configuration's; otherwise also the most that a read may ask for
	OnDecodeError  OnDecodeError // "" is Fail
}

// Manager holds the instances of this process.
type Manager struct {
	cfg       Config
	cluster   *kafka.Cluster
	instances sync.Map // key → *Instance; creating one takes no lock that others wait for
	count     atomic.Int64
	stop      context.CancelFunc
	wg        sync.WaitGroup
	draining  atomic.Bool   // reads wait no more
	closing   atomic.Bool   // nothing is created any more
	commits   chan struct{} // limits automatic commits under way at once
}

type key struct{ group, name string }

// New starts a Manager; Close ends it.
func New(cfg Config, cluster *kafka.Cluster) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	m := &Manager{cfg: cfg.withDefaults(), cluster: cluster, stop: stop, commits: make(chan struct{}, 16)}
	m.wg.Go(func() { m.tend(ctx) })
	return m
}

func (cfg Config) withDefaults() Config {
	orElse(&cfg.InstanceTimeout, 5*time.Minute)
	orElse(&cfg.RequestTimeout, time.Second)
	orElse(&cfg.MaxWait, time.Minute)
	orElse(&cfg.CommitTimeout, 10*time.Second)
	orElse(&cfg.MaxBytes, 64<<20)
	orElse(&cfg.MaxInstances, 5000)
	orElse(&cfg.BufferBytes, 4<<20)
	orElse(&cfg.TotalBuffer, 256<<20)
	orElse(&cfg.AutoCommitInterval, 5*time.Second)
	orElse(&cfg.Reset, Latest)
	orElse(&cfg.Log, slog.New(slog.DiscardHandler))
	return cfg
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func errNotFound() error {
	return &kafkarest.Error{Code: kafkarest.CodeInstanceNotFound, Message: "Consumer instance not found."}
}

// Create makes an instance. It joins nothing yet: that starts with its subscription.
// Errors: CodeInstanceExists, CodeTooManyRequests at the limit of instances, CodeDraining.
func (m *Manager) Create(group string, opts Options) (*Instance, error) {
	if m.closing.Load() {
		return nil, errDraining()
	}
	if m.count.Add(1) > int64(m.cfg.MaxInstances) {
		m.count.Add(-1)
		return nil, &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: 5 * time.Second, Message: fmt.Sprintf(
			"There are %d consumer instances, the most that consumer.instances.max allows: delete some, or wait until idle ones expire.", m.cfg.MaxInstances)}
	}
	if opts.Name == "" {
		opts.Name = m.generateName()
	}
	i := newInstance(m, group, opts)
	if _, taken := m.instances.LoadOrStore(key{group, opts.Name}, i); taken {
		m.count.Add(-1)
		return nil, &kafkarest.Error{Code: kafkarest.CodeInstanceExists,
			Message: "Consumer with specified consumer ID already exists in the specified consumer group."}
	}
	if m.closing.Load() { // Close may have looked before it was there
		m.remove(i)
		return nil, errDraining()
	}
	return i, nil
}

func errDraining() error {
	return &kafkarest.Error{Code: kafkarest.CodeDraining, Message: "The proxy is shutting down.", RetryAfter: time.Second}
}

func (m *Manager) generateName() string {
	if m.cfg.ID != "" {
		return "rest-consumer-" + m.cfg.ID + "-" + uuid.NewString()
	}
	return "rest-consumer-" + uuid.NewString()
}

// Get finds an instance and renews its lease. Errors: CodeInstanceNotFound.
func (m *Manager) Get(group, name string) (*Instance, error) {
	v, ok := m.instances.Load(key{group, name})
	if !ok {
		return nil, errNotFound()
	}
	i := v.(*Instance)
	i.touch()
	return i, nil
}

// Delete closes an instance: what it is known to have received is committed if it commits by itself, and it leaves its group.
func (m *Manager) Delete(group, name string) error {
	i, err := m.Get(group, name)
	if err != nil {
		return err
	}
	if !m.remove(i) {
		return errNotFound()
	}
	return nil
}

// remove takes an instance out and closes it; false when someone else did.
func (m *Manager) remove(i *Instance) bool {
	if !m.instances.CompareAndDelete(key{i.group, i.name}, i) {
		return false
	}
	i.close()
	m.count.Add(-1)
	return true
}

// Count is how many instances there are.
func (m *Manager) Count() int { return int(m.count.Load()) }

// Drain ends the reads that wait, with what they have: the proxy is about to close.
func (m *Manager) Drain() {
	m.draining.Store(true)
	m.instances.Range(func(_, v any) bool {
		i := v.(*Instance)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.cancelPoll != nil {
			i.cancelPoll()
		}
		return true
	})
}

// Close closes every instance and waits for them until ctx ends. What has not left its group by then is reported; the group's session
// time-out removes it.
func (m *Manager) Close(ctx context.Context) error {
	m.closing.Store(true)
	m.stop()
	left := make(chan struct{})
	go func() {
		defer close(left)
		m.wg.Wait()
		var wg sync.WaitGroup
		m.instances.Range(func(_, v any) bool {
			wg.Go(func() { m.remove(v.(*Instance)) })
			return true
		})
		wg.Wait()
	}()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d consumer instances had not left their groups: %w", m.Count(), ctx.Err())
	}
}

// tend expires idle instances, commits for those that commit by themselves and keeps the memory within bounds, each second.
func (m *Manager) tend(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			m.expire(now)
			m.autoCommit(ctx, now)
			m.shed()
		}
	}
}

// expire closes what was idle for too long. Times are compared by the monotonic clock: a step of the wall clock expires nothing.
func (m *Manager) expire(now time.Time) {
	m.instances.Range(func(_, v any) bool {
		if i := v.(*Instance); i.idle(now) > m.cfg.InstanceTimeout {
			m.cfg.Log.Info("consumer instance expired", "group", i.group, "instance", i.name)
			m.wg.Go(func() { m.remove(i) })
		}
		return true
	})
}

// autoCommit commits what clients are known to have received.
func (m *Manager) autoCommit(ctx context.Context, now time.Time) {
	m.instances.Range(func(_, v any) bool {
		i := v.(*Instance)
		if !i.autoCommitDue(now) {
			return true
		}
		select {
		case m.commits <- struct{}{}:
		default:
			return false // the rest in the next second
		}
		m.wg.Go(func() {
			defer func() { <-m.commits }()
			deadline, cancel := context.WithTimeout(ctx, m.cfg.CommitTimeout)
			defer cancel()
			if err := i.commitProven(deadline); err != nil {
				m.cfg.Log.Warn("automatic commit failed; it is tried again", "group", i.group, "instance", i.name, "err", err)
			}
		})
		return true
	})
}

// shed has instances that nobody reads drop what they fetched ahead, when all together hold too much.
func (m *Manager) shed() {
	var total int64
	m.instances.Range(func(_, v any) bool {
		total += v.(*Instance).buffered()
		return true
	})
	if total <= m.cfg.TotalBuffer {
		return
	}
	m.instances.Range(func(_, v any) bool {
		total -= v.(*Instance).drop()
		return total > m.cfg.TotalBuffer
	})
}
