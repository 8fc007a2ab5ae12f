package consume

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
)

func (b *readerBench) queues(cfg QueueConfig) *Queues {
	b.t.Helper()
	cfg.SessionTimeout = 6 * time.Second
	qs := NewQueues(cfg, b.cluster)
	b.t.Cleanup(func() { b.close(qs) })
	return qs
}

func (b *readerBench) close(qs *Queues) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := qs.Close(ctx); err != nil {
		b.t.Error(err)
	}
}

func (b *readerBench) open(qs *Queues, topic string) *Queue {
	b.t.Helper()
	q, err := qs.Open(b.t.Context(), topic, "me", OpenOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return q
}

func (b *readerBench) receive(q *Queue, n int, wait time.Duration) *Handout {
	b.t.Helper()
	h, err := q.Receive(b.t.Context(), ReceiveOptions{Limits: Limits{Records: n, Wait: wait}})
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func (h *Handout) values() (out []string) {
	for _, r := range h.Records {
		out = append(out, string(r.Value))
	}
	return out
}

func wantCode(t *testing.T, what string, err error, want kafkarest.Code) {
	t.Helper()
	if e := kafkarest.AsError(err); e == nil || e.Code != want {
		t.Errorf("%s: %v, want %d", what, err, want)
	}
}

func TestQueueHandsOutOnceAndRemembers(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 10)
	qs := b.queues(QueueConfig{})
	q := b.open(qs, topic)
	h := b.receive(q, 10, AnyWait)
	if !slices.Equal(h.values(), numbers(0, 10)) {
		t.Fatalf("received %v", h.values())
	}
	if again := b.receive(q, 10, 0); len(again.Records) != 0 {
		t.Errorf("what is held is handed out again: %v", again.values())
	}
	for _, n := range []int{1, 3, 4, 9} { // out of order, with holes
		r := h.Records[n]
		if r.Deliveries != 1 {
			t.Errorf("delivery %d of offset %d", r.Deliveries, n)
		}
		for range 2 { // and once more
			if err := q.Acknowledge(t.Context(), 0, r.Offset, r.Lease, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.close(qs) // as at a regular end
	other := b.queues(QueueConfig{})
	h = b.receive(b.open(other, topic), 10, AnyWait)
	if want := []string{"0", "2", "5", "6", "7", "8"}; !slices.Equal(h.values(), want) {
		t.Errorf("after a restart %v, want %v", h.values(), want)
	}
}

func TestQueueLeases(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	q := b.open(b.queues(QueueConfig{}), topic)
	hold := func(d time.Duration) Held {
		h, err := q.Receive(t.Context(), ReceiveOptions{Limits: Limits{Wait: 10 * time.Second}, Hold: d})
		if err != nil || len(h.Records) != 1 {
			t.Fatalf("%v, %v", h, err)
		}
		return h.Records[0]
	}
	first := hold(50 * time.Millisecond)
	second := hold(time.Hour) // when the first one's time is over
	if second.Deliveries != 2 || second.Lease == first.Lease {
		t.Errorf("second delivery: %+v", second)
	}
	ctx := t.Context()
	wantCode(t, "acknowledge with the first lease", q.Acknowledge(ctx, 0, 0, first.Lease, false), kafkarest.CodeLeaseLost)
	wantCode(t, "release with the first lease", q.Release(ctx, 0, 0, first.Lease, 0), kafkarest.CodeLeaseLost)
	_, err := q.Renew(ctx, 0, 0, first.Lease, time.Hour)
	wantCode(t, "renew with the first lease", err, kafkarest.CodeLeaseLost)
	if deadline, err := q.Renew(ctx, 0, 0, second.Lease, 2*time.Hour); err != nil || time.Until(deadline) < 119*time.Minute {
		t.Errorf("renew: %v %v", deadline, err)
	}
	for _, delay := range []time.Duration{time.Hour, 100 * time.Millisecond} { // the last one counts
		if err := q.Release(ctx, 0, 0, second.Lease, delay); err != nil {
			t.Error(err)
		}
		if h := b.receive(q, 1, 0); len(h.Records) != 0 {
			t.Error("a release with delay hands out at once")
		}
	}
	third := hold(time.Hour)
	if err := q.Acknowledge(ctx, 0, 0, third.Lease, false); err != nil {
		t.Error(err)
	}
	if err := q.Acknowledge(ctx, 0, 0, first.Lease, false); err != nil {
		t.Errorf("what is acknowledged stays so for whoever asks: %v", err)
	}
	wantCode(t, "acknowledge what is not there", q.Acknowledge(ctx, 0, 77, 0, false), kafkarest.CodeUnprocessable)
	wantCode(t, "acknowledge in no partition", q.Acknowledge(ctx, 5, 0, 0, false), kafkarest.CodePartitionNotFound)
}

func TestQueueUpTo(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 10)
	q := b.open(b.queues(QueueConfig{}), topic)
	h := b.receive(q, 6, AnyWait)
	if err := q.Acknowledge(t.Context(), 0, 4, h.Records[4].Lease, true); err != nil {
		t.Fatal(err)
	}
	h.Release()
	if h = b.receive(q, 10, 0); !slices.Equal(h.values(), numbers(5, 10)) {
		t.Errorf("after upto=4: %v", h.values())
	}
	if h.Records[0].Deliveries != 1 {
		t.Error("a delivery that did not arrive counts")
	}
}

// TestQueueUpToBeforeItIsFetched acknowledges, after a restart, what an earlier life of the node has handed out.
func TestQueueUpToBeforeItIsFetched(t *testing.T) {
	p := &queuePart{tracker: newTracker(2, nil), end: 10, commits: make(chan struct{})}
	q := &Queue{of: &Queues{}, parts: map[int32]*queuePart{0: p}, changed: make(chan struct{}), member: true}
	_, err := q.acknowledge(t.Context(), 0, 5, 7, true)
	wantCode(t, "up to what is not fetched yet", err, kafkarest.CodeRetryLater)
	if e := kafkarest.AsError(err); e == nil || e.RetryAfter == 0 {
		t.Errorf("it does not say when to try again: %v", err)
	}
	_, err = q.acknowledge(t.Context(), 0, 10, 7, true)
	wantCode(t, "up to what was not there", err, kafkarest.CodeUnprocessable)
	for offset := int64(2); offset < 6; offset++ {
		p.add(&kgo.Record{Offset: offset})
	}
	if _, err = q.acknowledge(t.Context(), 0, 5, 7, true); err != nil || p.low() != 6 {
		t.Errorf("up to what is fetched by now: %v; %d is the first that is open", err, p.low())
	}
}

func TestQueueWindow(t *testing.T) {
	const window, records = 50, 2000
	b := newReaderBench(t)
	topic := b.topic(2)
	b.store(topic, 2, 0, records)
	q := b.open(b.queues(QueueConfig{Window: window}), topic)
	seen := map[string]bool{}
	for len(seen) < records {
		h := b.receive(q, 10, 10*time.Second)
		if len(h.Records) == 0 {
			t.Fatalf("nothing comes after %d records", len(seen))
		}
		for _, v := range h.values() {
			if seen[v] {
				t.Fatalf("%s comes twice", v)
			}
			seen[v] = true
		}
		if err := h.Acknowledge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of.bytes.Load() != 0 {
		t.Errorf("%d bytes are counted, nothing is held", q.of.bytes.Load())
	}
}

func TestQueueHolderStopsAStream(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 10)
	q := b.open(b.queues(QueueConfig{}), topic)
	holder := &Holder{}
	get := func(wait time.Duration) *Handout {
		h, err := q.Receive(t.Context(), ReceiveOptions{Limits: Limits{Wait: wait}, Holder: holder, MostHeld: 4})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := get(10 * time.Second)
	if len(h.Records) != 4 || len(get(0).Records) != 0 {
		t.Fatalf("%v", h.values())
	}
	go func() { _ = q.Acknowledge(context.Background(), 0, 2, h.Records[2].Lease, false) }()
	if h := get(10 * time.Second); !slices.Equal(h.values(), []string{"4"}) {
		t.Errorf("after an acknowledgement: %v", h.values())
	}
	q.ReleaseAll(holder)
	if holder.held != 0 {
		t.Errorf("%d are held after the end", holder.held)
	}
	if h := b.receive(q, 10, 0); len(h.Records) != 9 {
		t.Errorf("after the stream's end: %v", h.values())
	}
}

// TestQueueDoesNotCountWhatNobodyGets has clients that go before they are given anything, again and again.
func TestQueueDoesNotCountWhatNobodyGets(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	q := b.open(b.queues(QueueConfig{}), topic)
	b.receive(q, 1, AnyWait).Release()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		holder := &Holder{}
		if h, err := q.Receive(gone, ReceiveOptions{Holder: holder, MostHeld: 10}); err == nil || len(h.Records) != 0 {
			t.Errorf("handed out to nobody: %v %v", h.values(), err)
		}
		q.ReleaseAll(holder)
	}
	if h := b.receive(q, 1, 0); len(h.Records) != 1 || h.Records[0].Deliveries != 1 {
		t.Errorf("%+v", h.Records)
	}
}

// TestQueueWorkers has workers acknowledge out of order, fail and let holds run out, while a second node joins and leaves: nothing is lost,
// and what was acknowledged never comes again.
func TestQueueWorkers(t *testing.T) {
	const partitions, records, workers = 4, 4000, 8
	b := newReaderBench(t)
	topic := b.topic(partitions)
	b.store(topic, partitions, 0, records)
	nodes := []*Queues{b.queues(QueueConfig{Window: 300}), b.queues(QueueConfig{Window: 300})}
	var mu sync.Mutex
	delivered, acked := map[string]int{}, map[string]bool{}
	var leases int
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	work := func(n int, random *rand.Rand) {
		q, err := nodes[n%2].Open(ctx, topic, "me", OpenOptions{})
		if err != nil {
			return
		}
		h, err := q.Receive(ctx, ReceiveOptions{Limits: Limits{Records: 1 + random.IntN(20), Wait: 500 * time.Millisecond}, Hold: 2 * time.Second})
		if err != nil {
			return
		}
		mu.Lock()
		for _, v := range h.values() {
			if acked[v] {
				t.Errorf("%s was acknowledged, and comes again", v)
			}
			delivered[v]++
		}
		mu.Unlock()
		for _, i := range random.Perm(len(h.Records)) {
			r := h.Records[i]
			switch random.IntN(40) {
			case 0: // forgotten: it comes again after its time
				continue
			case 1:
				_ = q.Release(ctx, r.Partition, r.Offset, r.Lease, 0)
				continue
			}
			err := q.Acknowledge(ctx, r.Partition, r.Offset, r.Lease, false)
			mu.Lock()
			if err == nil {
				acked[string(r.Value)] = true
			} else {
				leases++
			}
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for ctx.Err() == nil {
				work(n, random)
				mu.Lock()
				done := len(acked) == records
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 4 { // the second node leaves and is asked again
			time.Sleep(300 * time.Millisecond)
			nodes[1].Leave(topic, "me")
		}
	})
	wg.Wait()
	if len(acked) != records {
		t.Errorf("%d of %d acknowledged in time", len(acked), records)
	}
	for i := range records {
		if delivered[fmt.Sprint(i)] == 0 {
			t.Errorf("%d was never delivered", i)
		}
	}
	t.Logf("%d acknowledgements were refused or failed", leases)
}

func TestQueuesLimitAndIdle(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	qs := b.queues(QueueConfig{MaxQueues: 1, IdleTimeout: 50 * time.Millisecond})
	_, err := qs.Open(t.Context(), "nosuch", "me", OpenOptions{})
	wantCode(t, "unknown topic", err, kafkarest.CodeTopicNotFound)
	b.open(qs, topic)
	if _, err := qs.Open(t.Context(), topic, "other", OpenOptions{}); kafkarest.AsError(err).Code != kafkarest.CodeTooManyRequests {
		t.Errorf("a queue too many: %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := qs.Open(t.Context(), topic, "other", OpenOptions{}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an idle queue is not closed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.close(qs)
	_, err = qs.Open(t.Context(), topic, "other", OpenOptions{})
	wantCode(t, "after the end", err, kafkarest.CodeDraining)
}
