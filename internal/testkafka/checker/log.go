package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Entry is one stored record, with its place.
type Entry struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
}

// Log is what Kafka has stored: the entries of each partition in the order of their offsets.
type Log struct {
	Entries []Entry
}

// ReadLog reads the topics from their first record to the end they have when the call begins, in transactions that were committed
// only. opts say how to reach the brokers (kgo.SeedBrokers, kgo.Dialer, TLS, SASL); they must not set up consuming. Topics that do not
// exist are an error. It returns when all is read or ctx ends.
func ReadLog(ctx context.Context, topics []string, opts ...kgo.Opt) (Log, error) {
	ends, err := logEnds(ctx, topics, opts)
	if err != nil {
		return Log{}, fmt.Errorf("find the end of the log: %w", err)
	}
	// Control records are kept so that the last offset of a partition is seen even if it is the mark of a transaction.
	cl, err := kgo.NewClient(append(slices.Clone(opts), kgo.ConsumePartitions(startsOf(ends)),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.DisableClientMetrics())...)
	if err != nil {
		return Log{}, err
	}
	defer cl.Close()
	var log Log
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return log, fmt.Errorf("read the log, %d partitions to go: %w", len(ends), err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) { log.add(p.Records, ends) })
	}
	return log, nil
}

type place struct {
	topic     string
	partition int32
}

// logEnds returns the last stable offset of each partition that holds anything.
func logEnds(ctx context.Context, topics []string, opts []kgo.Opt) (map[place]int64, error) {
	cl, err := kgo.NewClient(append(slices.Clone(opts), kgo.DisableClientMetrics())...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	offsets, err := adm.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	if err := offsets.Error(); err != nil {
		return nil, err
	}
	ends := make(map[place]int64)
	offsets.Each(func(o kadm.ListedOffset) {
		first, ok := starts.Lookup(o.Topic, o.Partition)
		if ok && o.Offset > first.Offset {
			ends[place{o.Topic, o.Partition}] = o.Offset
		}
	})
	return ends, nil
}

func startsOf(ends map[place]int64) map[string]map[int32]kgo.Offset {
	starts := make(map[string]map[int32]kgo.Offset)
	for p := range ends {
		if starts[p.topic] == nil {
			starts[p.topic] = make(map[int32]kgo.Offset)
		}
		starts[p.topic][p.partition] = kgo.NewOffset().AtStart()
	}
	return starts
}

// add takes the records below the partition's end, and forgets the partition once its last one has been seen.
func (l *Log) add(records []*kgo.Record, ends map[place]int64) {
	for _, r := range records {
		at := place{r.Topic, r.Partition}
		end, wanted := ends[at]
		if !wanted {
			return
		}
		if r.Offset < end && !r.Attrs.IsControl() {
			l.Entries = append(l.Entries, Entry{r.Topic, r.Partition, r.Offset, r.Key, r.Value})
		}
		if r.Offset >= end-1 {
			delete(ends, at)
		}
	}
}

// decode reads the stamp in the entry's value.
func (e Entry) decode() (stamp, bool) {
	var s stamp
	err := json.Unmarshal(e.Value, &s)
	return s, err == nil && s.ID != ""
}

func (e Entry) where() string { return fmt.Sprintf("%s[%d]@%d", e.Topic, e.Partition, e.Offset) }

// find is a binary search for an offset among the entries of one partition: the place of the first entry not before it.
func find(entries []Entry, offset int64) (int, bool) {
	return slices.BinarySearchFunc(entries, offset, func(e Entry, o int64) int { return cmp.Compare(e.Offset, o) })
}
