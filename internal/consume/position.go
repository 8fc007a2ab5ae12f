package consume

import (
	"context"
	"fmt"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Position is an offset of one partition.
type Position struct {
	TopicPartition
	Offset int64
}

// PositionAt is a time in one partition.
type PositionAt struct {
	TopicPartition
	At time.Time
}

// Seek makes the next read begin at these offsets. What was fetched before, and what was delivered and not proven received, is dropped
// for them. All partitions must be assigned, or none is sought. Errors: CodeIllegalState.
func (i *Instance) Seek(positions []Position) error {
	if len(positions) == 0 {
		return nil
	}
	defer i.quiet()()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return errNotFound()
	}
	for _, p := range positions {
		if err := i.hasAssigned(p.TopicPartition); err != nil {
			return err
		}
	}
	for _, to := range positions {
		tp := topicPartition{to.Topic, to.Partition}
		before := i.assigned[tp]
		p := newPartition(tp, to.Offset)
		p.committed, p.seen = before.committed, before.seen
		i.assigned[tp] = p
		i.fetchFrom(p, to.Offset)
	}
	i.dropForeign()
	return nil
}

// hasAssigned is the Java consumer's check. i.mu is held.
func (i *Instance) hasAssigned(p TopicPartition) error {
	if i.assigned[topicPartition{p.Topic, p.Partition}] == nil {
		return illegalState(fmt.Sprintf("No current assignment for partition %s-%d", p.Topic, p.Partition))
	}
	return nil
}

// SeekEnds seeks partitions, or every assigned one when none is given, to their first (Earliest) or last (Latest) offset.
func (i *Instance) SeekEnds(ctx context.Context, partitions []TopicPartition, at Reset) error {
	if len(partitions) == 0 {
		partitions = i.Assignment()
	}
	if err := i.checkAssigned(partitions); err != nil || len(partitions) == 0 {
		return err
	}
	ctx, cancel := i.m.cluster.Deadline(ctx)
	defer cancel()
	found, err := i.list(ctx, partitions, at)
	if err != nil {
		return kafka.Error(err)
	}
	var positions []Position
	for _, p := range partitions {
		offset, ok := found[p]
		if !ok {
			return errUnknownPartition(p)
		}
		positions = append(positions, Position{p, offset})
	}
	return i.Seek(positions)
}

func errUnknownPartition(p TopicPartition) error {
	return kafkarest.Errorf(kafkarest.CodeUnknownTopic, "This server does not host partition %d of topic %s.", p.Partition, p.Topic)
}

func (i *Instance) checkAssigned(partitions []TopicPartition) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range partitions {
		if err := i.hasAssigned(p); err != nil {
			return err
		}
	}
	return nil
}

// PositionsAt finds the first offset at or after a time for each partition, and the end where there is none.
// Errors: CodeIllegalState for a partition that is not assigned, CodeUnknownTopic.
func (i *Instance) PositionsAt(ctx context.Context, times []PositionAt) ([]Position, error) {
	var partitions []TopicPartition
	for _, t := range times {
		partitions = append(partitions, t.TopicPartition)
	}
	if err := i.checkAssigned(partitions); err != nil {
		return nil, err
	}
	ctx, cancel := i.m.cluster.Deadline(ctx)
	defer cancel()
	byMilli := map[int64]kadm.ListedOffsets{}
	var positions []Position
	for _, t := range times {
		milli := t.At.UnixMilli()
		listed, ok := byMilli[milli]
		if !ok {
			var err error
			listed, err = kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
				return i.m.cluster.Admin().ListOffsetsAfterMilli(ctx, milli, topicsOf(partitions)...)
			})
			if err != nil {
				return nil, kafka.Error(err)
			}
			byMilli[milli] = listed
		}
		o, ok := listed.Lookup(t.Topic, t.Partition)
		if !ok || o.Err != nil && kafka.IsUnknownTopic(o.Err) {
			return nil, errUnknownPartition(t.TopicPartition)
		}
		if o.Err != nil {
			return nil, kafka.ForTopic(t.Topic, o.Err)
		}
		positions = append(positions, Position{t.TopicPartition, o.Offset})
	}
	return positions, nil
}

func topicsOf(partitions []TopicPartition) []string {
	seen := map[string]bool{}
	var topics []string
	for _, p := range partitions {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			topics = append(topics, p.Topic)
		}
	}
	return topics
}
