package embedded

import (
	"crypto/rand"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fill produces n incompressible records of size bytes, a few in each batch.
func fill(t *testing.T, b *Broker, topic string, n, size int) {
	t.Helper()
	cl := client(t, b, kgo.AllowAutoTopicCreation(), kgo.ProducerBatchMaxBytes(64<<10))
	var records []*kgo.Record
	for range n {
		value := make([]byte, size)
		_, _ = rand.Read(value)
		records = append(records, &kgo.Record{Topic: topic, Value: value})
	}
	if err := cl.ProduceSync(testContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestRetentionBoundsOnePartition(t *testing.T) {
	const retention, segment, slack = 1 << 20, 128 << 10, 64 << 10
	b := start(t, Config{AutoCreate: true, RetentionBytes: retention, SegmentBytes: segment})
	fill(t, b, "flood", 8<<10, 1<<10)
	b.applyBounds()
	info := b.Cluster().PartitionInfo("flood", 0)
	if info.NumBytes > retention || info.NumBytes < retention*3/4 {
		t.Errorf("%d bytes are kept, want at most %d and not much less", info.NumBytes, retention)
	}
	if size := dirSize(t, b.partitionsDir()); size > retention+segment+slack {
		t.Errorf("%d bytes on disk, want at most %d", size, retention+segment+slack)
	}
	cl := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"flood": {0: kgo.NewOffset().AtStart()}}))
	if n := info.HighWatermark - info.LogStartOffset; len(consume(t, cl, int(n))) != int(n) {
		t.Errorf("not all of the %d records left can be read", n)
	}
}

func TestMaxBytesBoundsTheWhole(t *testing.T) {
	const most = 1 << 20
	b := start(t, Config{MaxBytes: most, SegmentBytes: 64 << 10})
	cl := client(t, b)
	createTopic(t, cl, "big", nil)
	createTopic(t, cl, "small", nil)
	createTopic(t, cl, "never", map[string]string{"retention.bytes": "-1"})
	createTopic(t, cl, "compacted", map[string]string{"cleanup.policy": "compact"})
	fill(t, b, "big", 2000, 1<<10)
	fill(t, b, "never", 1000, 1<<10)
	fill(t, b, "small", 20, 1<<10)
	fill(t, b, "compacted", 100, 1<<10)
	b.applyBounds()
	var sum int64
	for _, p := range b.partitions() {
		sum += p.bytes
	}
	if sum > most || sum < most*3/4 {
		t.Errorf("%d bytes in all, want at most %d and not much less", sum, most)
	}
	for _, topic := range []string{"small", "compacted"} {
		if info := b.Cluster().PartitionInfo(topic, 0); info.LogStartOffset != 0 {
			t.Errorf("topic %s is cut to offset %d", topic, info.LogStartOffset)
		}
	}
}

func TestTickerApplies(t *testing.T) {
	b := start(t, Config{AutoCreate: true, RetentionBytes: 64 << 10, SegmentBytes: 32 << 10})
	fill(t, b, "flood", 1000, 1<<10)
	if !poll(t, func() bool { return b.Cluster().PartitionInfo("flood", 0).NumBytes <= 64<<10 }) {
		t.Error("nothing is trimmed")
	}
}

// After a crash kfake has forgotten the log start and takes 0; the records that are left must be found from there.
func TestTrimmedLogAfterCrash(t *testing.T) {
	b := start(t, Config{AutoCreate: true, RetentionBytes: 64 << 10, SegmentBytes: 32 << 10})
	fill(t, b, "flood", 1000, 1<<10)
	b.applyBounds()
	before := b.Cluster().PartitionInfo("flood", 0)
	again := start(t, Config{DataDir: copyDir(t, b.dir.path)})
	cl := client(t, again, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"flood": {0: kgo.NewOffset().AtStart()}}))
	n := int(before.HighWatermark - before.LogStartOffset)
	if got := consume(t, cl, n); len(got) < n {
		t.Errorf("%d records, want at least %d", len(got), n)
	}
}

func TestFairLimit(t *testing.T) {
	sizes := func(n ...int64) []partition {
		var parts []partition
		for _, b := range n {
			parts = append(parts, partition{bytes: b})
		}
		return parts
	}
	tests := []struct {
		name  string
		parts []partition
		total int64
		want  int64
	}{
		{"none", nil, 10, math.MaxInt64},
		{"all fit", sizes(3, 7), 10, math.MaxInt64},
		{"one too large", sizes(11), 10, 10},
		{"the small one is left alone", sizes(20, 2), 10, 8},
		{"even shares", sizes(20, 20, 20), 9, 3},
		{"compacted ones count", append(sizes(20), partition{bytes: 4, compacted: true}), 10, 6},
		{"compacted ones fill it", append(sizes(20), partition{bytes: 40, compacted: true}), 10, 0},
	}
	for _, tt := range tests {
		if got := fairLimit(tt.parts, tt.total); got != tt.want {
			t.Errorf("%s: limit %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestParsePartitionDir(t *testing.T) {
	tests := []struct {
		name   string
		topic  string
		number int32
		ok     bool
	}{
		{"orders-0", "orders", 0, true},
		{"a-b-12", "a-b", 12, true},
		{"a%2Fb-3", "a/b", 3, true},
		{"orders", "", 0, false},
		{"-1", "", 0, false},
		{"orders-x", "", 0, false},
		{"a%zz-1", "", 0, false},
	}
	for _, tt := range tests {
		p, ok := parsePartitionDir(tt.name)
		if ok != tt.ok || p.topic != tt.topic || p.number != tt.number {
			t.Errorf("%q: %+v, %v", tt.name, p, ok)
		}
	}
}
