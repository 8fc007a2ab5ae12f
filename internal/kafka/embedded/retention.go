package embedded

import (
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	retentionInterval = time.Second
	compactEvery      = 15 // in retention intervals; Kafka's log.cleaner.backoff.ms is 15 s too
)

// keepBounds applies retention until Close. kfake does so only when some topic has a retention or compaction setting of its own, and
// then once an hour.
func (b *Broker) keepBounds() {
	defer close(b.done)
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
		}
		if n%compactEvery == 0 {
			b.cluster.Compact()
		}
		b.applyBounds()
	}
}

// applyBounds applies the topics' own retention settings, then the broker's byte bounds.
func (b *Broker) applyBounds() {
	b.cluster.ApplyRetention()
	parts := b.partitions()
	limit := min(b.cfg.RetentionBytes, fairLimit(parts, b.cfg.MaxBytes))
	for _, p := range parts {
		if !p.compacted && p.bytes > limit {
			b.trim(p, limit)
		}
	}
}

// partition is a partition that has records.
type partition struct {
	topic     string
	number    int32
	bytes     int64
	compacted bool
}

// partitions lists the partitions with records. kfake has no call that lists topics, and a client of our own would get in the way of
// tests that count or answer requests, so the names come from the data folder.
func (b *Broker) partitions() []partition {
	entries, err := os.ReadDir(b.partitionsDir())
	if err != nil {
		return nil // nothing has been produced yet
	}
	var parts []partition
	for _, e := range entries {
		p, ok := parsePartitionDir(e.Name())
		if !ok {
			continue
		}
		info := b.cluster.PartitionInfo(p.topic, p.number)
		if info == nil {
			continue // deleted since
		}
		p.bytes, p.compacted = info.NumBytes, b.compacted(p.topic)
		parts = append(parts, p)
	}
	return parts
}

// parsePartitionDir reads a folder name of the form topic-number, the topic escaped as in a URL path.
func parsePartitionDir(name string) (partition, bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 1 {
		return partition{}, false
	}
	topic, err := url.PathUnescape(name[:i])
	number, err2 := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || err2 != nil {
		return partition{}, false
	}
	return partition{topic: topic, number: int32(number)}, true
}

// compacted reports whether a topic keeps the last value of each key for ever: trimming it would lose such values.
func (b *Broker) compacted(topic string) bool {
	info := b.cluster.TopicInfo(topic)
	if info == nil {
		return false
	}
	policy := info.Configs["cleanup.policy"]
	return policy != nil && strings.Contains(*policy, "compact") && !strings.Contains(*policy, "delete")
}

// fairLimit is the size to cut partitions to so that all together stay within total: small ones keep all they have, and what is left
// is shared evenly by the larger ones. Compacted partitions count and are not cut.
func fairLimit(parts []partition, total int64) int64 {
	var sizes []int64
	for _, p := range parts {
		if p.compacted {
			total -= p.bytes
		} else {
			sizes = append(sizes, p.bytes)
		}
	}
	slices.Sort(sizes)
	for i, size := range sizes {
		share := max(total, 0) / int64(len(sizes)-i)
		if size > share {
			return share
		}
		total -= size
	}
	return math.MaxInt64 // nothing needs cutting
}

// trim moves the log start forward until at most limit bytes are left. Sizes are known for the whole partition only, so it goes by
// the mean record, half of the way at a time, and looks again. A batch leaves when its last record does, so a step is a 64th of the
// records at least. What the steps do not reach is left for the next round.
func (b *Broker) trim(p partition, limit int64) {
	const steps = 32
	for range steps {
		info := b.cluster.PartitionInfo(p.topic, p.number)
		if info == nil || info.NumBytes <= limit || info.LogStartOffset >= info.LastStableOffset {
			return
		}
		records := info.LastStableOffset - info.LogStartOffset // an open transaction is left alone
		excess := float64(info.NumBytes-limit) / float64(info.NumBytes)
		step := max(int64(float64(records)*excess/2), records/64, 1)
		if err := b.cluster.DeleteRecords(p.topic, p.number, info.LogStartOffset+step); err != nil {
			return // the topic was deleted, or its records were, in between
		}
	}
}
