package produce

import (
	"context"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEmbedded is a Service on a broker of its own, without topics; the test's end closes both.
func onEmbedded(t *testing.T, cfg Config) (*Service, *embedded.Broker) {
	t.Helper()
	return onEmbeddedThat(t, cfg, "false", 0)
}

// onEmbeddedThat says, and no more, whether it creates topics; for so long the Service waits for one to appear then.
func onEmbeddedThat(t *testing.T, cfg Config, creates string, lookup time.Duration) (*Service, *embedded.Broker) {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Nodes: 2, Settings: map[string]string{"auto.create.topics.enable": creates}})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: b.Options(), Idempotent: true, UnknownFor: time.Second, LookupTimeout: lookup})
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
	return New(cfg, cluster), b
}

func createTopic(t *testing.T, b *embedded.Broker, name string, partitions int32) {
	t.Helper()
	if err := b.Cluster().CreateTopic(name, partitions, nil); err != nil {
		t.Fatal(err)
	}
}

// values makes a request of JSON values for partition 0.
func values(topic string, list ...string) Request {
	req := Request{Topic: topic, Key: Side{Format: format.JSON{}}, Value: Side{Format: format.JSON{}}}
	for _, v := range list {
		req.Items = append(req.Items, Item{Value: jsontext.Value(v)})
	}
	return req
}

// stall keeps produce requests for one topic unanswered until the returned function is called, which the test's end does too.
func stall(t *testing.T, b *embedded.Broker, topic string) (release func()) {
	t.Helper()
	info := b.Cluster().TopicInfo(topic)
	ctx, cancel := context.WithCancel(context.Background())
	b.Cluster().ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if ctx.Err() != nil {
			b.Cluster().DropControl()
			return nil, nil, false
		}
		b.Cluster().KeepControl()
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			if rt.Topic == topic || rt.TopicID == info.TopicID {
				b.Cluster().SleepControl(func() { <-ctx.Done() })
			}
		}
		return nil, nil, false
	})
	t.Cleanup(cancel)
	return cancel
}

// stored reads a whole partition.
func stored(t *testing.T, b *embedded.Broker, topic string, partition int32) []*kgo.Record {
	t.Helper()
	end := b.Cluster().PartitionInfo(topic, partition).HighWatermark
	client, err := kgo.NewClient(append(b.Options(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var records []*kgo.Record
	for int64(len(records)) < end {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func codeOf(err error) kafkarest.Code {
	if e := kafkarest.AsError(err); e != nil {
		return e.Code
	}
	return 0
}
