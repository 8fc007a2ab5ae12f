package checker_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kafkarest/internal/testkafka/checker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is an embedded one without a port. It returns what ReadLog and every client need to reach it.
func broker(t *testing.T, topics ...string) []kgo.Opt {
	t.Helper()
	network := new(kfake.VirtualNetwork)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topics...), kfake.ListenFn(network.Listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext)}
}

func newClient(t *testing.T, opts []kgo.Opt, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(more, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// send is a worker that talks to Kafka where a real one talks to the proxy.
func send(ctx context.Context, w *checker.Writer, cl *kgo.Client, rec checker.Record) {
	w.Invoke(rec)
	r, err := cl.ProduceSync(ctx, &kgo.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value}).First()
	if err != nil {
		w.Unknown(rec.ID, err.Error())
		return
	}
	w.OK(rec.ID, r.Partition, r.Offset)
}

// clean runs four workers and a consumer against the broker and returns the history.
func clean(ctx context.Context, t *testing.T, opts []kgo.Opt) checker.History {
	t.Helper()
	var buf bytes.Buffer
	w := checker.NewWriter(&buf, "run")
	producer := newClient(t, opts, kgo.ProducerLinger(0))
	const workers, each = 4, 25
	var group sync.WaitGroup
	for n := range workers {
		group.Go(func() {
			worker := w.Worker(n)
			for i := range each {
				topic := []string{"orders", "bills"}[i%2]
				send(ctx, w, producer, worker.Next(topic, checker.AnyPartition, []byte{byte(i % 5)}, 100))
			}
		})
	}
	group.Wait()
	consume(ctx, t, w, opts, workers*each)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := checker.ReadHistory(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func consume(ctx context.Context, t *testing.T, w *checker.Writer, opts []kgo.Opt, records int) {
	t.Helper()
	cl := newClient(t, opts, kgo.ConsumeTopics("orders", "bills"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for records > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records--
			w.Delivered("g", r.Topic, r.Partition, r.Offset, checker.PayloadID(r.Value))
		})
	}
}

// TestAgainstABroker runs the whole: workers, consumer, raw log. Then it damages what the broker holds.
func TestAgainstABroker(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	opts := broker(t, "orders", "bills", "empty")
	topics := []string{"orders", "bills", "empty"}
	h := clean(ctx, t, opts)

	log, err := checker.ReadLog(ctx, topics, opts...)
	if err != nil {
		t.Fatal(err)
	}
	report := checker.Check(h, log, checker.Options{Deadline: 10 * time.Second, Complete: true})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if report.OK != 100 || report.Stored != 100 || report.Deliveries != 100 {
		t.Errorf("not all was done: %s", report)
	}

	// A proxy that sends a record again, and one that sends a record's bytes to another topic.
	cl := newClient(t, opts)
	for _, e := range log.Entries[:2] {
		topic := map[string]string{"orders": "bills", "bills": "orders"}[e.Topic]
		if e.Offset == 0 {
			topic = e.Topic
		}
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: e.Key, Value: e.Value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if log, err = checker.ReadLog(ctx, topics, opts...); err != nil {
		t.Fatal(err)
	}
	report = checker.Check(h, log, checker.Options{})
	if report.Count(checker.DuplicateOK) != 2 || report.Count(checker.Misrouted) != 1 || len(report.Findings) != 3 {
		t.Errorf("two records twice, one of them in the wrong topic: %s", report)
	}
}

// TestReadLogOfTransactions shows that aborted records are not taken for stored ones, and that the marks at the end of a partition do not
// keep ReadLog waiting.
func TestReadLogOfTransactions(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	opts := broker(t, "orders")
	cl := newClient(t, opts, kgo.TransactionalID("tx"))
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, commit); err != nil {
			t.Fatal(err)
		}
	}
	log, err := checker.ReadLog(ctx, []string{"orders"}, opts...)
	if err != nil || len(log.Entries) != 1 {
		t.Errorf("read %v, %v", log.Entries, err)
	}
}

func TestReadLogFails(t *testing.T) {
	opts := broker(t, "orders")
	if _, err := checker.ReadLog(t.Context(), []string{"orders", "missing"}, opts...); err == nil {
		t.Error("a topic that does not exist gave no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := checker.ReadLog(ctx, []string{"orders"}, opts...); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gave %v", err)
	}
}
