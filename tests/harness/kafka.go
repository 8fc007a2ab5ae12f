package harness

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka is a client of the test's own; the test's end closes it.
func Kafka(t testing.TB, b Broker) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(b.Client...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Admin is an admin client of the test's own.
func Admin(t testing.TB, b Broker) *kadm.Client {
	t.Helper()
	return kadm.NewClient(Kafka(t, b))
}

var fresh atomic.Int64

// FreshName is a name that no other test of this process uses.
func FreshName(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), fresh.Add(1))
}

// CreateTopic makes a topic with a name of its own, through a client of the test's own; configs are "name=value".
func CreateTopic(t testing.TB, b Broker, partitions int, configs ...string) string {
	t.Helper()
	return CreateNamed(t, b, FreshName("t"), partitions, -1, configs...)
}

// CreateNamed makes a topic and waits until it is there. replicas -1 is the broker's default.
func CreateNamed(t testing.TB, b Broker, name string, partitions, replicas int, configs ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	settings := map[string]*string{}
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		settings[key] = &value
	}
	adm := Admin(t, b)
	if _, err := adm.CreateTopic(ctx, int32(partitions), int16(replicas), settings, name); err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	for ctx.Err() == nil {
		if topics, err := adm.ListTopics(ctx, name); err == nil && len(topics[name].Partitions) == partitions {
			return name
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("topic %s does not appear", name)
	return ""
}

// Store puts records into Kafka without the proxy, in order.
func Store(t testing.TB, b Broker, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, b.Client...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("store %d records: %v", len(records), err)
	}
}

// ReadLog reads a whole topic from the broker itself.
func ReadLog(t testing.TB, b Broker, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ends, err := Admin(t, b).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	opts := append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())}, b.Client...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var log []*kgo.Record
	for int64(len(log)) < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read the log of %s: %v after %d of %d", topic, err, len(log), want)
		}
		log = append(log, fetches.Records()...)
	}
	return log
}

// Committed gives a group's committed offset of one partition, -1 for none.
func Committed(t testing.TB, b Broker, group, topic string, partition int32) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	offsets, err := Admin(t, b).FetchOffsets(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	return o.At
}
