package kafka

import (
	"context"
	"math"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Producer is one shared idempotent producer.
type Producer struct {
	client     *kgo.Client
	topics     *Topics
	idempotent bool
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
	p.client.Produce(context.Background(), r, done)
}

// Failed classifies the error of a record, and has the topic looked up anew when the broker no longer knows it.
func (p *Producer) Failed(topic string, err error) *kafkarest.Error {
	p.topics.doubt(topic, err)
	return ProduceError(topic, p.idempotent, err)
}
