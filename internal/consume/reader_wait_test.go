package consume

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// until polls, with a deadline.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// waiting is how many readers wait at the end of a partition.
func waiting(r *Reader, topic string, partition int32) int {
	r.hub.mu.Lock()
	t := r.hub.topics[topic]
	r.hub.mu.Unlock()
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ring := t.rings[partition]; ring != nil {
		return ring.users
	}
	return 0
}

// TestWaitingHoldsNothing has many more reads wait than the memory of all reads has room for at once.
func TestWaitingHoldsNothing(t *testing.T) {
	const reads = 50
	b := newReaderBench(t)
	topic := b.topic(1)
	r := b.reader(ReaderConfig{Buffer: 1 << 20}) // that of one read
	c := b.start(r, topic, nil, From{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range reads {
		wg.Go(func() {
			batch, err := r.Read(ctx, c, Limits{Wait: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			defer batch.Done()
			if got := values(batch.Records); !slices.Equal(got, []string{"0"}) {
				t.Errorf("a waiting read got %v", got)
			}
		})
	}
	until(t, "all reads wait", func() bool { return waiting(r, topic, 0) == reads })
	until(t, "waiting reads hold nothing", func() bool {
		free := r.memory.TryAcquire(1 << 20)
		if free {
			r.memory.Release(1 << 20)
		}
		return free
	})
	b.store(topic, 1, 0, 1)
	wg.Wait()
	if !r.memory.TryAcquire(1 << 20) {
		t.Error("memory is still held after all replies")
	}
}

// TestReadsAreBounded has replies hold what they carry until they are written.
func TestReadsAreBounded(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 10)
	r := b.reader(ReaderConfig{Buffer: 1 << 20})
	c := b.start(r, topic, nil, From{Earliest: true})
	first, err := r.Read(t.Context(), c, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		batch, err := r.Read(ctx, c, Limits{})
		if err == nil {
			batch.Done()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("a second read came in although the first holds all: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Done()
	first.Done() // once too often does no harm
	if err := <-second; err != nil {
		t.Error(err)
	}
	cancel()
}

// TestTailPassesAbortedTransactions has a tail go through many fetches in which nothing is for it.
func TestTailPassesAbortedTransactions(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.broker.Cluster().ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.broker.Cluster().KeepControl()
		r.(*kmsg.FetchRequest).MaxBytes = 1 << 30 // an answer that is full does not say what is aborted: no real broker's habit
		return nil, nil, false
	})
	client, err := kgo.NewClient(append(b.broker.Options(), kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(20_000), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		for range 100 {
			value := make([]byte, 10_000)
			if commit {
				value = []byte("0")
			}
			records = append(records, &kgo.Record{Topic: topic, Value: value})
		}
		if commit {
			records = records[:1]
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	r := b.reader(ReaderConfig{ReadCommitted: true})
	tail, err := r.Tail(b.start(r, topic, nil, From{Earliest: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a pause takes 15 s
	defer cancel()
	batch, err := tail.Next(ctx, Limits{Records: 10, Bytes: 64 << 10})
	if err != nil || !slices.Equal(values(batch.Records), []string{"0"}) {
		t.Errorf("%v, %v", batch, err)
	}
}

func TestReadWaitsOnlyForRecords(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	r := b.reader(ReaderConfig{})
	batch, err := r.Read(t.Context(), b.start(r, topic, nil, From{Earliest: true}), Limits{Wait: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Done()
	if got := values(batch.Records); !slices.Equal(got, []string{"0"}) {
		t.Errorf("a wait that ends before the broker's answer gives %v", got)
	}
}

// TestReadOfFrozenBroker has brokers that take connections and answer nothing.
func TestReadOfFrozenBroker(t *testing.T) {
	const deadline = 300 * time.Millisecond
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	cluster, err := kafka.Open(kafka.Config{Common: b.broker.Options(), RequestTimeout: deadline})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close(context.Background())
	r := NewReader(ReaderConfig{}, cluster)
	defer r.Close()
	c := b.start(r, topic, nil, From{Earliest: true})
	thaw := make(chan struct{})
	defer close(thaw)
	b.broker.Cluster().ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		<-thaw
		return nil, nil, false
	})
	for _, wait := range []time.Duration{0, deadline / 10, time.Minute} {
		begin := time.Now()
		_, err := r.Read(t.Context(), c, Limits{Wait: wait})
		if e := kafkarest.AsError(err); e == nil || e.Code != kafkarest.CodeTimeout {
			t.Errorf("wait of %v: %v", wait, err)
		}
		if took := time.Since(begin); took < deadline || took > deadline+500*time.Millisecond {
			t.Errorf("wait of %v: the answer took %v", wait, took)
		}
	}
}
