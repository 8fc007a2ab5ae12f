package consume

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// hub fetches the ends of the partitions that somebody waits at, once for all who do. One client follows them all; the newest records of each
// lie in a ring, from which readers take at their own pace. A reader that falls behind its ring fetches for itself until it has caught up, so
// that nobody ever waits for the slowest and the memory is that of the rings, however many readers there are.
type hub struct {
	cluster *kafka.Cluster
	fetcher *fetcher
	log     *slog.Logger
	budget  int64

	mu     sync.Mutex
	client *kgo.Client // nil until somebody waits
	topics map[string]*hubTopic
	rings  int
	closed bool
	stop   context.CancelFunc
	ctx    context.Context //nolint:containedctx // of the hub's own goroutines: it ends with close
	wg     sync.WaitGroup
}

// hubTopic is what is followed of one topic.
type hubTopic struct {
	id      [16]byte // zero where brokers have none
	mu      sync.Mutex
	rings   map[int32]*ring
	changed chan struct{} // closed and replaced when any of its rings has something new
	failed  error         // what the client said last when it could not fetch; its readers find out for themselves
}

const (
	hubWait     = 250 * time.Millisecond // of a fetch: how long the client may overlook a partition that is new to it
	warmEach    = 15 * time.Millisecond
	ringIdle    = 30 * time.Second // a ring that nobody uses stays for so long: long polls come again
	ringMost    = 1 << 20          // bytes
	ringLeast   = 32 << 10
	ringRecords = 8192
)

func newHub(cluster *kafka.Cluster, f *fetcher, cfg ReaderConfig) *hub {
	ctx, stop := context.WithCancel(context.Background())
	return &hub{cluster: cluster, fetcher: f, log: cfg.Log, budget: cfg.TailBuffer, topics: map[string]*hubTopic{}, ctx: ctx, stop: stop}
}

func (h *hub) close() {
	h.stop()
	h.mu.Lock()
	h.closed = true
	client := h.client
	h.mu.Unlock()
	if client != nil {
		client.Close()
	}
	h.wg.Wait()
}

// start makes the client and the goroutines that poll it and tidy up. h.mu is held.
func (h *hub) start() error {
	if h.closed {
		return kafka.Error(kgo.ErrClientClosed)
	}
	if h.client != nil {
		return nil
	}
	client, err := h.cluster.NewConsumer(
		kgo.FetchMaxWait(hubWait),
		kgo.FetchMaxBytes(4<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMaxAge(time.Minute),
	)
	if err != nil {
		return err
	}
	h.client = client
	h.wg.Go(func() { h.poll(client) })
	h.wg.Go(h.tidy)
	return nil
}

// follow has the end of a partition followed from an offset on, which must not be beyond its end, and keeps it until leave. id is that of the
// topic which answered so.
func (h *hub) follow(topic string, id [16]byte, from map[int32]int64) (*hubTopic, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.start(); err != nil {
		return nil, err
	}
	t := h.topics[topic]
	if t != nil && t.id != id {
		h.forget(topic, t)
		t = nil
	}
	if t == nil {
		t = &hubTopic{id: id, rings: map[int32]*ring{}, changed: make(chan struct{})}
		h.topics[topic] = t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	added := map[int32]kgo.Offset{}
	for p, offset := range from {
		r := t.rings[p]
		if r == nil {
			r = &ring{start: offset, end: offset, polled: offset}
			t.rings[p] = r
			added[p] = kgo.NewOffset().At(offset)
			h.rings++
		}
		r.users++
	}
	if len(added) > 0 {
		h.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: added})
		h.wg.Go(func() { h.warm(topic, t, from) })
	}
	return t, nil
}

// leave undoes follow.
func (h *hub) leave(t *hubTopic, partitions []int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, p := range partitions {
		if r := t.rings[p]; r != nil {
			r.users--
			r.idle = now
		}
	}
}

// poll hands what the client fetches to the rings.
func (h *hub) poll(client *kgo.Client) {
	for h.ctx.Err() == nil {
		fetches := client.PollFetches(h.ctx)
		if fetches.IsClientClosed() {
			return
		}
		limit := h.ringLimit()
		fetches.EachTopic(func(ft kgo.FetchTopic) {
			h.mu.Lock()
			t := h.topics[ft.Topic]
			h.mu.Unlock()
			if t == nil {
				return
			}
			for i := range ft.Partitions {
				h.polled(ft.Topic, t, &ft.Partitions[i], limit)
			}
		})
	}
}

// forgetNow is forget where h.mu is not held.
func (h *hub) forgetNow(topic string, t *hubTopic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(topic, t)
}

// polled takes what the client has of one partition.
func (h *hub) polled(topic string, t *hubTopic, fp *kgo.FetchPartition, limit int64) {
	if t.restarted(fp.Partition, fp.Records) {
		h.forgetNow(topic, t)
		return
	}
	t.take(fp.Partition, fp.Records, limit)
	switch {
	case fp.Err == nil || h.ctx.Err() != nil:
	case errors.Is(fp.Err, kerr.UnknownTopicID): // stays for as long as the client knows the topic that was deleted
		h.forgetNow(topic, t)
	default:
		t.fail(fp.Err)
	}
}

// errForgotten tells readers to look for themselves, and then to have the topic followed afresh.
var errForgotten = errors.New("the log is not the one that was followed")

// forget ends the following of a topic that was deleted or cut off, and maybe made anew: its rings are of another log.
// h.mu is held.
func (h *hub) forget(topic string, t *hubTopic) {
	if h.topics[topic] != t {
		return
	}
	delete(h.topics, topic)
	h.client.PurgeTopicsFromConsuming(topic) // else it keeps the old topic's id
	t.mu.Lock()
	h.rings -= len(t.rings)
	clear(t.rings)
	t.mu.Unlock()
	t.fail(errForgotten)
}

// ringLimit shares the budget among the rings.
func (h *hub) ringLimit() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(ringLeast, min(ringMost, h.budget/int64(max(1, h.rings))))
}

// warm looks itself for what comes to partitions that were just added: the client takes them into the fetch after the one under way.
func (h *hub) warm(topic string, t *hubTopic, from map[int32]int64) {
	ctx, cancel := context.WithTimeout(h.ctx, 4*hubWait)
	defer cancel()
	for ctx.Err() == nil {
		var at []Position
		t.mu.Lock()
		for p := range from {
			if r := t.rings[p]; r != nil {
				at = append(at, Position{TopicPartition{topic, p}, r.end})
			}
		}
		t.mu.Unlock()
		if len(at) == 0 {
			return
		}
		got, err := h.fetcher.fetch(ctx, topic, at, 1<<20)
		if err != nil {
			return // the client retries by itself
		}
		for _, g := range got {
			if g.id != t.id {
				h.forgetNow(topic, t)
				return
			}
			t.take(g.Partition, g.records, h.ringLimit())
		}
		select {
		case <-time.After(warmEach):
		case <-ctx.Done():
		}
	}
}

// tidy ends the following of what nobody uses.
func (h *hub) tidy() {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case now := <-ticker.C:
			h.drop(now)
		}
	}
}

func (h *hub) drop(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, t := range h.topics {
		var unused []int32
		t.mu.Lock()
		for p, r := range t.rings {
			if r.users == 0 && now.Sub(r.idle) > ringIdle {
				unused = append(unused, p)
				delete(t.rings, p)
				h.rings--
			}
		}
		empty := len(t.rings) == 0
		t.mu.Unlock()
		switch {
		case empty:
			delete(h.topics, name)
			h.client.PurgeTopicsFromConsuming(name)
		case len(unused) > 0:
			h.client.RemoveConsumePartitions(map[string][]int32{name: unused})
		}
	}
}

// take appends records to a partition's ring and wakes who waits. Those that the ring has already are passed over: the client and warm bring
// the same ones.
func (t *hubTopic) take(partition int32, records []*kgo.Record, limit int64) {
	if len(records) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rings[partition]
	if r == nil {
		return
	}
	t.failed = nil
	if r.add(records, limit) {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

func (t *hubTopic) restarted(partition int32, records []*kgo.Record) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rings[partition]
	return r != nil && r.restarted(records)
}

// fail wakes who waits, so that they ask the brokers themselves what is wrong.
func (t *hubTopic) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = err
	close(t.changed)
	t.changed = make(chan struct{})
}

// news is closed at the next change.
func (t *hubTopic) news() (changed <-chan struct{}, failed error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed, t.failed
}

// look gives what a ring has from an offset on, as many as most. next is the position after them. It is not ok when the ring does not
// reach back that far.
func (t *hubTopic) look(partition int32, offset int64, most int) (records []*kgo.Record, next int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rings[partition]
	if r == nil || offset < r.start {
		return nil, offset, false
	}
	records, next = r.from(offset, most)
	return records, next, true
}
