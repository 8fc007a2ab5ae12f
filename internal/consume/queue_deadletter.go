package consume

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers that a record gets on its way to a dead-letter topic, after its own.
const (
	headerTopic      = "dead-letter-topic"
	headerPartition  = "dead-letter-partition"
	headerOffset     = "dead-letter-offset"
	headerTimestamp  = "dead-letter-timestamp" // epoch milliseconds
	headerConsumer   = "dead-letter-consumer"
	headerDeliveries = "dead-letter-deliveries"
)

// deadHold is how long a record on its way is held at the most. The producer tells the outcome of each well before; to try it again without
// knowing would store it twice.
const deadHold = time.Hour

// bury produces dead records to their topic, and waits for that a while; each is acknowledged when it is there, be it later. Those that cannot
// be stored are tried again later. They may come to be there twice when this node dies in between.
func (q *Queue) bury(dead []Held, opts ReceiveOptions) {
	producer, err := q.of.cluster.Producer()
	if err != nil {
		q.revive(dead, err)
		return
	}
	outcomes := make(chan struct{}, len(dead))
	for _, d := range dead {
		producer.Produce(q.deadLetter(d, opts.DeadLetter), func(_ *kgo.Record, err error) {
			if err != nil {
				q.revive([]Held{d}, producer.Failed(opts.DeadLetter, err))
			} else {
				q.buried(d)
			}
			outcomes <- struct{}{}
		})
	}
	timer := time.NewTimer(q.of.cfg.deadTimeout)
	defer timer.Stop()
	for range dead {
		select {
		case <-outcomes:
		case <-timer.C:
			q.of.cfg.Log.Warn("a dead-letter topic does not take records in time", "topic", opts.DeadLetter)
			return
		}
	}
	q.resume()
}

// buried acknowledges a record that is in its dead-letter topic, unless it was given to a client meanwhile.
func (q *Queue) buried(d Held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.parts[d.Partition]; p != nil && p.check(d.Offset, d.Lease) != lost {
		p.acknowledge(d.Offset)
		q.settled(p)
	}
}

func (q *Queue) deadLetter(d Held, topic string) *kgo.Record {
	headers := append(make([]kgo.RecordHeader, 0, len(d.Headers)+6), d.Headers...)
	add := func(key, value string) { headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(value)}) }
	add(headerTopic, q.topic)
	add(headerPartition, strconv.Itoa(int(d.Partition)))
	add(headerOffset, strconv.FormatInt(d.Offset, 10))
	add(headerTimestamp, strconv.FormatInt(d.Timestamp.UnixMilli(), 10))
	add(headerConsumer, q.consumer)
	add(headerDeliveries, strconv.Itoa(d.Deliveries))
	return &kgo.Record{Topic: topic, Partition: -1, Key: d.Key, Value: d.Value, Headers: headers}
}

// revive gives dead records back for another try in some seconds.
func (q *Queue) revive(dead []Held, err error) {
	q.of.cfg.Log.Warn("a record cannot be stored in its dead-letter topic; it is tried again", "topic", q.topic, "group", q.consumer, "err", err)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range dead {
		if p := q.parts[d.Partition]; p != nil && p.check(d.Offset, d.Lease) == stands {
			p.release(d.Offset, time.Now().Add(5*time.Second))
		}
	}
}

// CheckDeadLetter finds out whether a dead-letter topic exists, before a record depends on it. Errors: CodeTopicNotFound and others.
func (qs *Queues) CheckDeadLetter(ctx context.Context, topic string) error {
	_, err := qs.cluster.Topics().Partitions(ctx, topic)
	if kafka.IsUnknownTopic(err) {
		return readError(topic, fmt.Errorf("dead-letter topic: %w", err))
	}
	return err
}
