package consume

import (
	"testing"
	"time"
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
