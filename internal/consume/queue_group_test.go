package consume

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// within polls until a condition holds.
func within(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// partitions counts those that a queue has, and those of them that it has stopped fetching.
func (q *Queue) partitions() (all, paused int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.parts {
		if p.paused {
			paused++
		}
	}
	return len(q.parts), paused
}

// TestQueueGoesOnAfterAFullPartitionIsBack has a node lose a partition while its window is full, and get it again.
func TestQueueGoesOnAfterAFullPartitionIsBack(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(2)
	b.store(topic, 2, 0, 20)
	q := b.open(b.queues(QueueConfig{Window: 5}), topic)
	within(t, "both windows are full", 15*time.Second, func() bool { all, paused := q.partitions(); return all == 2 && paused == 2 })
	other := b.queues(QueueConfig{})
	b.open(other, topic)
	within(t, "the other node has a partition", 15*time.Second, func() bool { all, _ := q.partitions(); return all == 1 })
	other.Leave(topic, "me")
	within(t, "the partition is back", 15*time.Second, func() bool { all, _ := q.partitions(); return all == 2 })
	within(t, "records of both partitions come", 10*time.Second, func() bool {
		_, paused := q.partitions()
		return paused == 2
	})
	if h := b.receive(q, 20, 0); len(h.Records) != 20 {
		t.Errorf("received %v", h.values())
	}
}

// TestQueueFromLatestBeginsOnce has a group begin at the end of the log: what comes after that moment is delivered, whoever reads then.
func TestQueueFromLatestBeginsOnce(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 3)
	qs := b.queues(QueueConfig{})
	open := func() *Queue {
		q, err := qs.Open(t.Context(), topic, "me", OpenOptions{From: Latest})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q := open()
	within(t, "the node has the partition", 15*time.Second, func() bool { all, _ := q.partitions(); return all == 1 })
	b.store(topic, 1, 3, 5)
	if h := b.receive(q, 2, 10*time.Second); !slices.Equal(h.values(), numbers(3, 5)) {
		t.Errorf("from the end on %v", h.values())
	}
	qs.Leave(topic, "me") // with two that are held
	b.store(topic, 1, 5, 6)
	if h := b.receive(open(), 10, AnyWait); !slices.Equal(h.values(), numbers(3, 6)) {
		t.Errorf("after nobody was there %v", h.values())
	}
}

// TestQueueOfAGroupThatCannotBeJoined has a member in the group that shares no protocol with queues.
func TestQueueOfAGroupThatCannotBeJoined(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	in := make(chan struct{}, 10)
	foreign, err := kgo.NewClient(append(b.broker.Options(), kgo.ConsumerGroup("me"), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { in <- struct{}{} }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	<-in
	qs := b.queues(QueueConfig{})
	_, err = b.open(qs, topic).Receive(t.Context(), ReceiveOptions{Limits: Limits{Wait: 10 * time.Second}})
	wantCode(t, "receive", err, kafkarest.CodeGroupUnfit)
	if e := kafkarest.AsError(err); e == nil || !strings.Contains(e.Message, "group me:") || e.RetryAfter != 0 {
		t.Errorf("the group is not named, or it is said to pass: %+v", e)
	}
	within(t, "the queue is removed", 10*time.Second, func() bool { return qs.find(topic, "me") == nil })
	foreign.Close()
	if h := b.receive(b.open(qs, topic), 1, AnyWait); len(h.Records) != 1 {
		t.Errorf("after the other member has left: %v", h.values())
	}
}

func TestErrorsThatEndAQueue(t *testing.T) {
	q := &Queue{topic: "t", consumer: "g"}
	for err, want := range map[error]kafkarest.Code{
		kerr.GroupAuthorizationFailed: kafkarest.CodeForbidden, kerr.InconsistentGroupProtocol: kafkarest.CodeGroupUnfit,
		kerr.InvalidSessionTimeout: kafkarest.CodeGroupUnfit, kerr.InvalidGroupID: kafkarest.CodeUnprocessable, kerr.GroupMaxSizeReached: kafkarest.CodeRetryLater,
		kerr.TopicAuthorizationFailed: kafkarest.CodeForbidden,
		kerr.UnknownMemberID:          0, kerr.RebalanceInProgress: 0, errors.New("no route to host"): 0,
	} {
		got := q.refused(&kgo.ErrGroupSession{Err: err})
		if want == 0 && got != nil {
			t.Errorf("%v ends a queue: %v", err, got)
		} else if want != 0 {
			wantCode(t, err.Error(), got, want)
		}
	}
}
