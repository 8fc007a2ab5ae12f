package consume

import (
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestQueueDeadLetters(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 3)
	qs := b.queues(QueueConfig{})
	dead := topic + "-dead"
	wantCode(t, "no such topic", qs.CheckDeadLetter(t.Context(), "nosuch.dead"), kafkarest.CodeTopicNotFound)
	if err := b.client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("3"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("b")}}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.create(dead)
	q := b.open(qs, topic)
	for n := 1; n <= 2; n++ {
		h, err := q.Receive(t.Context(), ReceiveOptions{Limits: Limits{Records: 4, Wait: 10 * time.Second}, MaxDeliveries: 2, DeadLetter: dead, Hold: time.Hour})
		if err != nil || len(h.Records) != 4 || h.Records[3].Deliveries != n {
			t.Fatalf("%d: %v %v", n, h.values(), err)
		}
		for _, r := range h.Records {
			if err := q.Release(t.Context(), 0, r.Offset, r.Lease, 0); err != nil {
				t.Error(err)
			}
		}
	}
	h, err := q.Receive(t.Context(), ReceiveOptions{Limits: Limits{Records: 4, Wait: 0}, MaxDeliveries: 2, DeadLetter: dead})
	if err != nil || len(h.Records) != 0 {
		t.Fatalf("a third delivery: %v %v", h.values(), err)
	}
	r := b.reader(ReaderConfig{})
	batch, err := r.Read(t.Context(), b.start(r, dead, nil, From{Earliest: true}), Limits{Wait: 10 * time.Second})
	if err != nil || len(batch.Records) != 4 {
		t.Fatalf("in the dead-letter topic: %v, %v", batch, err)
	}
	last := batch.Records[3]
	var got []string
	for _, header := range last.Headers {
		got = append(got, header.Key+"="+string(header.Value))
	}
	if len(got) != 7 || got[0] != "a=b" || got[1] != headerTopic+"="+topic || got[3] != headerOffset+"=3" || got[6] != headerDeliveries+"=2" || string(last.Key) != "k" {
		t.Errorf("the dead letter has the headers %v and the key %s", got, last.Key)
	}
}

// TestQueueDeadLetterThatIsLate has a dead-letter topic that takes a record only after the receive has given up waiting for it.
func TestQueueDeadLetterThatIsLate(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 1)
	dead := topic + "-dead"
	b.create(dead)
	q := b.open(b.queues(QueueConfig{deadTimeout: 50 * time.Millisecond}), topic)
	h := b.receive(q, 1, AnyWait)
	if err := q.Release(t.Context(), 0, 0, h.Records[0].Lease, 0); err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	b.broker.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.broker.Cluster().SleepControl(func() { <-gate })
		return nil, nil, false
	})
	h, err := q.Receive(t.Context(), ReceiveOptions{Limits: Limits{Wait: 100 * time.Millisecond}, MaxDeliveries: 1, DeadLetter: dead})
	close(gate)
	if err != nil || len(h.Records) != 0 {
		t.Errorf("a second delivery: %v %v", h.values(), err)
	}
	within(t, "the record is acknowledged", 10*time.Second, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.parts[0].low() == 1
	})
}
