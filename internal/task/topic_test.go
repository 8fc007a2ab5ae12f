package task

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokerFor is a cluster on an embedded broker, for this test alone.
func brokerFor(t *testing.T) (*kafka.Cluster, *embedded.Broker) {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Settings: map[string]string{"auto.create.topics.enable": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: b.Options(), Idempotent: true, UnknownFor: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := cluster.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster, b
}

// onBroker is a cluster to keep tasks in, and what fills its disk: while it is true, no produce request is taken.
func onBroker(t *testing.T) (*kafka.Cluster, *atomic.Bool) {
	t.Helper()
	cluster, b := brokerFor(t)
	var full atomic.Bool
	b.Cluster().ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		if !full.Load() {
			return nil, nil, false
		}
		return refused(req.(*kmsg.ProduceRequest)), nil, true
	})
	return cluster, &full
}

// refused is what a broker says whose disk is full.
func refused(req *kmsg.ProduceRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		out := kmsg.NewProduceResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.KafkaStorageError.Code
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func open(t *testing.T, cluster *kafka.Cluster, cfg Config) *Store {
	t.Helper()
	s, err := New(cfg, cluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Close(ctx)
	})
	return s
}

// Row 17 of the fault model. The fault: the disk under the topic of tasks is full. No task is accepted, within the deadline; the end of one
// that was accepted is shown when it is written, and not before; nothing is left of those that were refused.
func TestTopicOnAFullDisk(t *testing.T) {
	cluster, full := onBroker(t)
	s := open(t, cluster, Config{Node: "n", Write: 500 * time.Millisecond})
	running := begin(t, s, Beginning{Async: true})
	full.Store(true)
	for range 3 {
		if id, _, err := s.Begin(t.Context(), Beginning{Async: true}); codeOf(err) != kafkarest.CodeTasksUnavailable {
			t.Fatalf("%v was accepted: %v", id, err)
		}
	}
	s.Finish(running, Delivered, 200, []byte(`[{"topic":"t"}]`), nil)
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := s.Wait(soon, running, ""); err != nil || got.Status != Pending {
		t.Fatalf("shown before it is kept: %+v %v", got, err)
	}
	full.Store(false)
	later, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if got, err := s.Wait(later, running, ""); err != nil || got.Status != Delivered {
		t.Fatalf("%+v %v", got, err)
	}
	begin(t, s, Beginning{Async: true})

	other := open(t, cluster, Config{Node: "other"})
	if _, err := other.Get(t.Context(), running, ""); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(15 * time.Second); other.Info().Tasks != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("another node knows of %d tasks", other.Info().Tasks)
		}
	}
}

// What was pending with the process before this one, under the same name, is unknown; what another node wrote over it is taken over in place.
func TestTopicOfBefore(t *testing.T) {
	cluster, _ := onBroker(t)
	before := open(t, cluster, Config{Node: "n"})
	left, done := begin(t, before, Beginning{Async: true, Key: "k"}), begin(t, before, Beginning{Async: true})
	before.Finish(done, Delivered, 200, []byte(`[]`), nil)
	ended, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if got, err := before.Wait(ended, done, ""); err != nil || got.Status != Delivered {
		t.Fatal(got, err)
	}
	other := open(t, cluster, Config{Node: "other"})
	if got, err := other.Get(t.Context(), left, ""); err != nil || got.Status != Pending {
		t.Fatal(got, err)
	}
	after := open(t, cluster, Config{Node: "n"})
	for id, want := range map[ID]Status{left: Unknown, done: Delivered} {
		for _, s := range []*Store{after, other} {
			if got, err := s.Wait(ended, id, ""); err != nil || got.Status != want {
				t.Errorf("%v, want %v, %v", got, want, err)
			}
		}
	}
	if again, err := other.Earlier(t.Context(), Beginning{Key: "k"}); err != nil || again == nil || again.ID != left {
		t.Errorf("the key of before: %v %v", again, err)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	var bytes int64
	for _, e := range other.tasks {
		bytes += int64(e.size)
	}
	if bytes != other.bytes || len(other.keys) != 1 {
		t.Errorf("%d bytes are counted, %d are held; %d keys", other.bytes, bytes, len(other.keys))
	}
}
