package tests

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// admin is a client of the test's own.
func admin(t testing.TB, b broker) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(b.client...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// createNamed makes a topic; configs are "name=value".
func createNamed(t testing.TB, b broker, name string, partitions int, configs ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	settings := map[string]*string{}
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		settings[key] = &value
	}
	adm := admin(t, b)
	if _, err := adm.CreateTopic(ctx, int32(partitions), -1, settings, name); err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
	for ctx.Err() == nil {
		if topics, err := adm.ListTopics(ctx, name); err == nil && len(topics[name].Partitions) == partitions {
			return name
		}
	}
	t.Fatalf("topic %s does not appear", name)
	return ""
}

// readLog reads a whole topic from the broker itself.
func readLog(t testing.TB, b broker, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ends, err := admin(t, b).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	opts := append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())}, b.client...)
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
