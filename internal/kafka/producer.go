package kafka

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Producer is one shared idempotent producer.
type Producer struct {
	client     *kgo.Client
	topics     *Topics
	idempotent bool
	delivery   time.Duration // how long a record may be tried; 0 is for ever

	mu    sync.Mutex
	ctx   context.Context // of the records handed over within a second of since; it ends when they have been tried for long enough
	since time.Time
}

// producerDefaults: acks=all and idempotent are kgo's own defaults. Its buffer limits are lifted since Produce blocks behind them, one
// topic behind another: what may be in flight is bounded before a record gets here (internal/produce).
func producerDefaults() []kgo.Opt {
	return []kgo.Opt{
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(math.MaxInt32),
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}),
		kgo.ProducerBatchMaxBytes(1 << 20), // max.request.size of the Java producer
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
}

// partitioner takes the partition that the record names, else the one that the Java client would choose: murmur2 of the key, sticky
// without one.
type partitioner struct{ kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.Partitioner.ForTopic(topic)}
}

type topicPartitioner struct{ otherwise kgo.TopicPartitioner }

func (t topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || t.otherwise.RequiresConsistency(r)
}

func (t topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return t.otherwise.Partition(r, n)
}

// OnNewBatch keeps the sticky partitioner's habit of changing partition with each batch.
func (t topicPartitioner) OnNewBatch() {
	if sticky, ok := t.otherwise.(kgo.TopicPartitionerOnNewBatch); ok {
		sticky.OnNewBatch()
	}
}

// Produce hands one record over and returns at once; done is called exactly once, later, with the record's partition and offset filled in
// or with an error. The record and what it points to belong to the client until then.
//
// No request's context comes near: a record whose context ends takes other requests' records on its partition down with it.
func (p *Producer) Produce(r *kgo.Record, done func(*kgo.Record, error)) {
	p.client.Produce(p.lifetime(), r, done)
}

// Knows reports whether the client knows a partition that the directory of topics says is there, and waits a moment for it: the client hears
// of a topic's growth only with its next metadata, minutes later, and refuses the records for what is new until then.
func (p *Producer) Knows(ctx context.Context, topic string, partition int32) bool {
	loaded := func(n int32) bool {
		leader, _, err := p.client.PartitionLeader(topic, n)
		return leader >= 0 || err != nil
	}
	if !loaded(0) || loaded(partition) { // a topic that it has not asked for yet will be new to it as a whole
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, p.topics.appear)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		p.client.ForceMetadataRefresh()
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
		if loaded(partition) {
			return true
		}
	}
}

// lifetime is a context that ends when a record handed over now has been tried for long enough. The client's own RecordDeliveryTimeout
// will not do: it goes by the record's timestamp, so that one of last year fails at once, and with it all that wait for its partition.
func (p *Producer) lifetime() context.Context {
	if p.delivery <= 0 {
		return context.Background()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.ctx == nil || now.Sub(p.since) > time.Second {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(p.delivery+time.Second, cancel)
		p.ctx, p.since = ctx, now
	}
	return p.ctx
}

// DeliveryTimeout is how long a record may be tried; 0 is for ever.
func (p *Producer) DeliveryTimeout() time.Duration { return p.delivery }

// Failed classifies the error of a record, and has the topic looked up anew when the broker no longer knows it.
func (p *Producer) Failed(topic string, err error) *kafkarest.Error {
	p.topics.doubt(topic, err)
	if errors.Is(err, context.Canceled) { // lifetime has ended, and the client heeds it only before a record may have been stored
		err = kgo.ErrRecordTimeout
	}
	return ProduceError(topic, p.idempotent, err)
}
