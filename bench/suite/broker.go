package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// partitions is how many each of the bench's topics has.
const partitions = 6

// broker is the bench's own view of Kafka, past every side: it makes and fills the topics and counts what landed in them.
type broker struct {
	client *kgo.Client
	admin  *kadm.Client
}

func newBroker(opts ...kgo.Opt) (*broker, error) {
	opts = append([]kgo.Opt{
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond),
	}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	return &broker{client: client, admin: kadm.NewClient(client)}, nil
}

func (b *broker) close() { b.client.Close() }

// version is the broker's own, as far as the API versions that it speaks tell.
func (b *broker) version(ctx context.Context) string {
	versions, err := b.admin.ApiVersions(ctx)
	if err != nil {
		return "unknown"
	}
	for _, v := range versions {
		return v.VersionGuess()
	}
	return "unknown"
}

// create makes topics anew, without what an earlier run may have left in them.
func (b *broker) create(ctx context.Context, topics ...string) error {
	if err := b.remove(ctx, topics...); err != nil {
		return err
	}
	// A broker answers a delete before it is done with it, so the name may be taken for a moment.
	for deadline := time.Now().Add(callLimit); ; time.Sleep(50 * time.Millisecond) {
		made, err := b.admin.CreateTopics(ctx, partitions, 1, nil, topics...)
		if err == nil {
			err = firstTopicError(made)
		}
		if err == nil {
			return b.awaitLeaders(ctx, topics)
		}
		if !errors.Is(err, kerr.TopicAlreadyExists) || time.Now().After(deadline) {
			return err
		}
		topics = stillMissing(made)
	}
}

// awaitLeaders waits until every partition of new topics answers: the broker answers a create before it leads them.
func (b *broker) awaitLeaders(ctx context.Context, topics []string) error {
	for deadline := time.Now().Add(callLimit); ; time.Sleep(10 * time.Millisecond) {
		ends, err := b.admin.ListEndOffsets(ctx, topics...)
		if err == nil {
			err = ends.Error()
		}
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

func firstTopicError(made kadm.CreateTopicResponses) error {
	for _, t := range made.Sorted() {
		if t.Err != nil {
			return fmt.Errorf("create topic %s: %w", t.Topic, t.Err)
		}
	}
	return nil
}

func stillMissing(made kadm.CreateTopicResponses) (topics []string) {
	for _, t := range made.Sorted() {
		if t.Err != nil {
			topics = append(topics, t.Topic)
		}
	}
	return topics
}

// remove deletes topics; one that is not there is no error.
func (b *broker) remove(ctx context.Context, topics ...string) error {
	gone, err := b.admin.DeleteTopics(ctx, topics...)
	if err != nil {
		return err
	}
	for _, t := range gone.Sorted() {
		if t.Err != nil && !errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", t.Topic, t.Err)
		}
	}
	return nil
}

// count is how many records the topic holds: its end offsets added up, since each of the bench's topics starts at 0.
func (b *broker) count(ctx context.Context, topic string) (int64, error) {
	ends, err := b.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	if err := ends.Error(); err != nil {
		return 0, err
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, nil
}

// exists reports whether the topic is there.
func (b *broker) exists(ctx context.Context, topic string) (bool, error) {
	listed, err := b.admin.ListTopics(ctx)
	return listed.Has(topic), err
}

// fill writes n records to the topic, spread evenly.
func (b *broker) fill(ctx context.Context, topic string, n int, value func(i int) ([]byte, error)) error {
	failed := make(chan error, 1)
	for i := range n {
		data, err := value(i)
		if err != nil {
			return err
		}
		b.client.Produce(ctx, &kgo.Record{Topic: topic, Value: data}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := b.client.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return fmt.Errorf("fill %s: %w", topic, err)
	default:
		return nil
	}
}

// splitList cuts a list with commas between; blanks do not matter.
func splitList(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
