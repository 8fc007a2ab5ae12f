package consume

import (
	"context"
	"errors"
	"slices"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Committed is an offset to store, or stored, for one partition: that of the next record to read.
type Committed struct {
	TopicPartition
	Offset   int64
	Metadata string
}

// Commit stores offsets for the group. Errors: CodeStaleMember when the group has rebalanced, CodeUnknownTopic, CodeForbidden, CodeTimeout.
func (i *Instance) Commit(ctx context.Context, offsets []Committed) error {
	i.mu.Lock()
	closed, client := i.closed, i.client
	if i.mode == manual || i.mode == unsubscribed {
		client = nil // no member of the group
	}
	i.mu.Unlock()
	if closed {
		return errNotFound()
	}
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, i.m.cfg.CommitTimeout)
	defer cancel()
	return i.commitWith(ctx, client, offsets, nil)
}

// CommitReceived stores what the client has received. To ask for it proves the last delivery, if its reply was written.
func (i *Instance) CommitReceived(ctx context.Context) error {
	i.mu.Lock()
	if d := i.last; d != nil && !d.writing && !d.wasLost() {
		i.prove(d)
		i.last = nil
	}
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, i.m.cfg.CommitTimeout)
	defer cancel()
	return i.commitProven(ctx)
}

// autoCommitDue reports whether the instance commits by itself, has something to commit, and its interval is over.
func (i *Instance) autoCommitDue(now time.Time) bool {
	if !*i.opts.AutoCommit || now.Sub(*i.lastAuto.Load()) < i.m.cfg.AutoCommitInterval {
		return false
	}
	i.lastAuto.Store(&now)
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.assigned {
		if p.proven >= 0 && p.proven != p.committed {
			return !i.closed
		}
	}
	return false
}

// commitProven stores what the client is known to have received of the partitions it has.
func (i *Instance) commitProven(ctx context.Context) error {
	i.mu.Lock()
	client := i.client
	if i.mode == manual {
		client = nil
	}
	var offsets []Committed
	for tp, p := range i.assigned {
		if p.proven >= 0 && p.proven != p.committed {
			offsets = append(offsets, Committed{TopicPartition{tp.topic, tp.partition}, p.proven, ""})
		}
	}
	i.mu.Unlock()
	return i.commitWith(ctx, client, offsets, i.owns)
}

// owns reports whether a partition is assigned now. What is committed without the client naming it was gathered a moment before, and a
// commit waits while the group rebalances: it must not set back what the next owner has stored by then.
func (i *Instance) owns(topic string, p int32) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.assigned[topicPartition{topic, p}] != nil
}

// provenOf is what commitProven would store of some partitions.
func (i *Instance) provenOf(partitions map[string][]int32) []Committed {
	i.mu.Lock()
	defer i.mu.Unlock()
	var offsets []Committed
	for topic, ps := range partitions {
		for _, n := range ps {
			if p := i.assigned[topicPartition{topic, n}]; p != nil && p.proven >= 0 && p.proven != p.committed {
				offsets = append(offsets, Committed{TopicPartition{topic, n}, p.proven, ""})
			}
		}
	}
	return offsets
}

// commitWith commits as the member that client is, or without membership when it is nil. still is asked at the last moment which partitions
// a member may commit; nil is all.
func (i *Instance) commitWith(ctx context.Context, client *kgo.Client, offsets []Committed, still func(string, int32) bool) error {
	if len(offsets) == 0 {
		return nil
	}
	commit := i.commitAlone
	if client != nil {
		commit = func(ctx context.Context, offsets []Committed) error {
			return commitAsMember(ctx, client, offsets, still)
		}
	}
	if err := commit(ctx, offsets); err != nil {
		return kafka.Error(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, o := range offsets {
		if p := i.assigned[topicPartition{o.Topic, o.Partition}]; p != nil {
			p.committed = o.Offset
		}
	}
	return nil
}

func commitAsMember(ctx context.Context, client *kgo.Client, offsets []Committed, still func(string, int32) bool) error {
	return kafka.AwaitError(ctx, func(ctx context.Context) error { return memberCommit(ctx, client, offsets, still) })
}

func memberCommit(ctx context.Context, client *kgo.Client, offsets []Committed, still func(string, int32) bool) error {
	commit := map[string]map[int32]kgo.EpochOffset{}
	for _, o := range offsets {
		if commit[o.Topic] == nil {
			commit[o.Topic] = map[int32]kgo.EpochOffset{}
		}
		commit[o.Topic][o.Partition] = kgo.EpochOffset{Epoch: -1, Offset: o.Offset}
	}
	err := errors.New("the commit was given up")
	client.CommitOffsetsSync(kgo.PreCommitFnContext(ctx, withMetadata(offsets, still)), commit,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, failed error) {
			err = failed
			if err == nil {
				err = firstError(resp)
			}
		})
	return err
}

// withMetadata puts the client's metadata into the request, for which kgo's own interface has no place, and takes out what still denies.
func withMetadata(offsets []Committed, still func(string, int32) bool) func(*kmsg.OffsetCommitRequest) error {
	return func(req *kmsg.OffsetCommitRequest) error {
		for t := range req.Topics {
			topic := &req.Topics[t]
			topic.Partitions = slices.DeleteFunc(topic.Partitions, func(p kmsg.OffsetCommitRequestTopicPartition) bool {
				return still != nil && !still(topic.Topic, p.Partition)
			})
			for p := range req.Topics[t].Partitions {
				for _, o := range offsets {
					if o.Topic == req.Topics[t].Topic && o.Partition == req.Topics[t].Partitions[p].Partition {
						req.Topics[t].Partitions[p].Metadata = new(o.Metadata)
					}
				}
			}
		}
		req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetCommitRequestTopic) bool { return len(t.Partitions) == 0 })
		return nil
	}
}

func firstError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return kafka.ForTopic(t.Topic, err)
			}
		}
	}
	return nil
}

// commitAlone stores offsets as a consumer without group management does: the broker takes them while the group has no members.
func (i *Instance) commitAlone(ctx context.Context, offsets []Committed) error {
	commit := kadm.Offsets{}
	for _, o := range offsets {
		commit.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset, LeaderEpoch: -1, Metadata: o.Metadata})
	}
	stored, err := kafka.Await(ctx, func(ctx context.Context) (kadm.OffsetResponses, error) {
		return i.m.cluster.Admin().CommitOffsets(ctx, i.group, commit)
	})
	if err != nil {
		return err
	}
	for _, o := range offsets {
		if r, ok := stored.Lookup(o.Topic, o.Partition); ok && r.Err != nil {
			return kafka.ForTopic(o.Topic, r.Err)
		}
	}
	return nil
}

// Committed gives the group's stored offsets of partitions; those without one are left out.
func (i *Instance) Committed(ctx context.Context, partitions []TopicPartition) ([]Committed, error) {
	ctx, cancel := i.m.cluster.Deadline(ctx)
	defer cancel()
	list, err := i.committed(ctx, partitions)
	if err != nil {
		return nil, kafka.Error(err)
	}
	return list, nil
}

func (i *Instance) committed(ctx context.Context, partitions []TopicPartition) ([]Committed, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	stored, err := kafka.Await(ctx, func(ctx context.Context) (kadm.OffsetResponses, error) {
		return i.m.cluster.Admin().FetchOffsets(ctx, i.group)
	})
	if err != nil {
		if errors.Is(err, kerr.GroupIDNotFound) {
			return nil, nil
		}
		return nil, err
	}
	var list []Committed
	for _, p := range partitions {
		o, ok := stored.Lookup(p.Topic, p.Partition)
		if ok && o.Err != nil && !kafka.IsUnknownTopic(o.Err) { // it comes with offset -1, which must not be taken for "none stored"
			return nil, kafka.ForTopic(p.Topic, o.Err)
		}
		if !ok || o.At < 0 {
			continue
		}
		list = append(list, Committed{p, o.At, o.Metadata})
	}
	return list, nil
}
