package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// outcome is what the callback of one record was given.
type outcome struct {
	record *kgo.Record
	err    error
}

func produceOne(t *testing.T, p *Producer, r *kgo.Record) outcome {
	t.Helper()
	settled := make(chan outcome, 2)
	p.Produce(r, func(r *kgo.Record, err error) { settled <- outcome{r, err} })
	select {
	case o := <-settled:
		return o
	case <-time.After(15 * time.Second):
		t.Fatal("the record does not settle")
		return outcome{}
	}
}

func producerOf(t *testing.T, c *Cluster) *Producer {
	t.Helper()
	p, err := c.Producer()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProducerIsShared(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	first := producerOf(t, c)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if p, err := c.Producer(); p != first || err != nil {
				t.Error(p, err)
			}
		})
	}
	wg.Wait()
}

// TestPartitioner: a partition that is given, the one that murmur2 gives, and some partition for records without a key.
func TestPartitioner(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	createTopic(t, b, "t", 7)
	p := producerOf(t, c)
	for n := range int32(7) {
		if o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: n, Key: []byte("key")}); o.err != nil || o.record.Partition != n {
			t.Errorf("asked for %d: %d %v", n, o.record.Partition, o.err)
		}
	}
	for range 3 {
		if o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: -1, Key: []byte("key")}); o.err != nil || o.record.Partition != 4 { // of testdata/murmur2.json
			t.Errorf("by the key: %d %v", o.record.Partition, o.err)
		}
	}
	used := map[int32]bool{}
	for range 200 {
		o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: -1})
		if o.err != nil {
			t.Fatal(o.err)
		}
		used[o.record.Partition] = true
	}
	if len(used) < 3 {
		t.Errorf("200 batches without a key went to %v", used)
	}
}

// TestTimestampsAreNoDeadlines: a record may be as old as its client says.
func TestTimestampsAreNoDeadlines(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{DeliveryTimeout: 5 * time.Second})
	createTopic(t, b, "t", 1)
	p := producerOf(t, c)
	for n, at := range []time.Time{time.UnixMilli(0), time.Now().AddDate(-1, 0, 0), {}, time.Now().AddDate(100, 0, 0), time.UnixMilli(math.MaxInt64)} {
		if o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: 0, Timestamp: at}); o.err != nil || o.record.Offset != int64(n) {
			t.Errorf("%v: %+v", at, o)
		}
	}
}

// TestDeliveryTimeout: a record that no broker has seen fails for certain, in time.
func TestDeliveryTimeout(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{DeliveryTimeout: 300 * time.Millisecond})
	createTopic(t, b, "t", 1)
	thaw := freeze(t, b, kmsg.InitProducerID)
	begin := time.Now()
	p := producerOf(t, c)
	o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: 0})
	if failed := p.Failed("t", o.err); failed.Code != kafkarest.CodeKafkaRetriable || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", failed, time.Since(begin))
	}
	thaw()
	if o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: 0, Value: []byte("second")}); o.err != nil || o.record.Offset != 0 {
		t.Errorf("afterwards: %+v", o)
	}
}

// TestLifetimesAreShared: records of one second have one context, and each has all its time.
func TestLifetimesAreShared(t *testing.T) {
	p := &Producer{delivery: 50 * time.Millisecond}
	first := p.lifetime()
	if p.lifetime() != first {
		t.Error("a second record of the same moment has a context of its own")
	}
	p.since = time.Now().Add(-2 * time.Second)
	second := p.lifetime()
	if second == first {
		t.Error("a record of two seconds later has the old context")
	}
	begin := time.Now()
	<-second.Done()
	if took := time.Since(begin); took < 900*time.Millisecond { // the last record of its second has its 50 ms then
		t.Errorf("over after %v", took)
	}
	if (&Producer{}).lifetime() != context.Background() {
		t.Error("without a limit it ends")
	}
}

// TestRecreatedTopic: one that is deleted and made again takes records after the first that fail.
func TestRecreatedTopic(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	createTopic(t, b, "t", 1)
	if _, err := partitionsOf(t, c, "t"); err != nil {
		t.Fatal(err)
	}
	p := producerOf(t, c)
	if o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: 0}); o.err != nil {
		t.Fatal(o.err)
	}
	if err := b.Cluster().DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	createTopic(t, b, "t", 1)
	for deadline := time.Now().Add(10 * time.Second); ; {
		o := produceOne(t, p, &kgo.Record{Topic: "t", Partition: 0})
		if o.err == nil {
			return
		}
		p.Failed("t", o.err)
		if time.Now().After(deadline) {
			t.Fatalf("still: %v", o.err)
		}
	}
}

func TestFailedLooksAnew(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	createTopic(t, b, "t", 1)
	if _, err := partitionsOf(t, c, "t"); err != nil {
		t.Fatal(err)
	}
	p := producerOf(t, c)
	requests := counted(b, kmsg.Metadata)
	p.Failed("t", kerr.NotEnoughReplicas)
	if _, err := partitionsOf(t, c, "t"); err != nil || requests.Hits() > 0 {
		t.Errorf("an error that says nothing of the topic: %v, %d requests", err, requests.Hits())
	}
	p.Failed("t", kerr.UnknownTopicOrPartition)
	if _, err := partitionsOf(t, c, "t"); err != nil || requests.Hits() == 0 {
		t.Errorf("an error that does: %v, %d requests", err, requests.Hits())
	}
}

// TestCloseFlushes: what was handed over is stored, and what could not be is told of.
func TestCloseFlushes(t *testing.T) {
	b := startBroker(t, nil)
	createTopic(t, b, "t", 1)
	for _, frozen := range []bool{false, true} {
		c, err := Open(Config{Common: b.Options(), Idempotent: true})
		if err != nil {
			t.Fatal(err)
		}
		p := producerOf(t, c)
		thaw := func() {}
		if frozen {
			thaw = freeze(t, b, kmsg.Produce)
		}
		var mu sync.Mutex
		var settled sync.WaitGroup
		settled.Add(100)
		failed := map[string]int{}
		for n := range 100 {
			p.Produce(&kgo.Record{Topic: "t", Partition: 0, Value: fmt.Append(nil, n)}, func(_ *kgo.Record, err error) {
				defer settled.Done()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed[fmt.Sprint(p.Failed("t", err).Code)]++
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err = c.Close(ctx)
		cancel()
		settled.Wait() // each is told its outcome, if only after Close
		mu.Lock()
		if frozen && (err == nil || failed["50401"] != 100) || !frozen && (err != nil || len(failed) > 0) {
			t.Errorf("frozen %v: %v, %v", frozen, err, failed)
		}
		mu.Unlock()
		thaw()
		if _, err := c.Producer(); !errors.Is(err, kgo.ErrClientClosed) {
			t.Errorf("a producer after Close: %v", err)
		}
	}
}

func TestReady(t *testing.T) {
	b := startBroker(t, nil)
	if err := openCluster(t, b, Config{}).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, addr := range map[string]string{"a frozen broker": socket.Addr().String(), "no broker": closed.Addr().String()} {
		c, err := Open(Config{Common: []kgo.Opt{kgo.SeedBrokers(addr)}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		begin := time.Now()
		err = c.Ready(ctx)
		if took := time.Since(begin); codeOfError(err) != kafkarest.CodeTimeout && codeOfError(err) != kafkarest.CodeUnavailable || took > time.Second {
			t.Errorf("%s: %v after %v", name, err, took)
		}
		cancel()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
