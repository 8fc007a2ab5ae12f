package consume

import (
	"context"
	"fmt"
	"maps"
	"time"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetchOptions are common to members of a group and readers of assigned partitions.
func (i *Instance) fetchOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.FetchMaxBytes(i.m.cfg.BufferBytes),
		kgo.FetchMaxPartitionBytes(min(i.m.cfg.BufferBytes, 1<<20)),
		kgo.ConsumeResetOffset(i.resetOffset()),
		kgo.ConsumeStartOffset(i.resetOffset()),
	}
}

func (i *Instance) resetOffset() kgo.Offset {
	switch i.opts.Reset {
	case Earliest:
		return kgo.NewOffset().AtStart()
	case None:
		return kgo.NoResetOffset()
	}
	return kgo.NewOffset().AtEnd()
}

// groupOptions make a member of the group. The range balancer comes first, as with the Java consumer, so that both can share a group.
func (i *Instance) groupOptions(topics []string, pattern string) []kgo.Opt {
	opts := append(i.fetchOptions(),
		kgo.ConsumerGroup(i.group),
		kgo.Balancers(kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(i.revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { i.forget(lost) }),
		kgo.AdjustFetchOffsetsFn(i.assignedAt),
	)
	if pattern != "" {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+pattern+")$"))
		return append(opts, i.m.cluster.Topics().AllowedByPattern()...)
	}
	return append(opts, kgo.ConsumeTopics(topics...))
}

// assignedAt takes over newly assigned partitions. Those without a committed offset get the exact one that the reset policy gives now:
// the client must be able to seek every partition it has, and "latest" must mean the end at this moment, not at some later fetch.
func (i *Instance) assignedAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	var open []TopicPartition
	for topic, partitions := range offsets {
		for p, o := range partitions {
			if o.EpochOffset().Offset < 0 {
				open = append(open, TopicPartition{topic, p})
			}
		}
	}
	begin, err := i.resetPositions(ctx, open)
	if err != nil {
		return nil, fmt.Errorf("find where to begin: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.opts.Reset == None && len(begin) > 0 && i.cancelPoll != nil {
		i.cancelPoll() // the read that waits fails now
	}
	for topic, partitions := range offsets {
		for p, o := range partitions {
			at := o.EpochOffset().Offset
			if found, ok := begin[TopicPartition{topic, p}]; ok {
				at = found
				partitions[p] = kgo.NewOffset().At(found)
				if i.opts.Reset == None {
					at = -1
				}
			}
			tp := topicPartition{topic, p}
			i.assigned[tp] = newPartition(tp, at)
		}
	}
	i.anew = true
	return offsets, nil
}

// resetPositions asks the brokers where the reset policy begins. With the policy none that is where a member's client may fetch in vain until
// it is sought: each read fails until then (resolve).
func (i *Instance) resetPositions(ctx context.Context, partitions []TopicPartition) (map[TopicPartition]int64, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	ctx, cancel := i.m.cluster.Deadline(ctx)
	defer cancel()
	return i.list(ctx, partitions, i.opts.Reset)
}

// list gives the first or last offsets of partitions; those of topics that do not exist are left out.
func (i *Instance) list(ctx context.Context, partitions []TopicPartition, at Reset) (map[TopicPartition]int64, error) {
	names := map[string]bool{}
	for _, p := range partitions {
		names[p.Topic] = true
	}
	var topics []string
	for name := range names {
		topics = append(topics, name)
	}
	ask := i.m.cluster.Admin().ListEndOffsets
	switch {
	case at == Earliest:
		ask = i.m.cluster.Admin().ListStartOffsets
	case i.m.cfg.ReadCommitted:
		ask = i.m.cluster.Admin().ListCommittedOffsets
	}
	listed, err := kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return ask(ctx, topics...) })
	if err != nil {
		return nil, err
	}
	found := map[TopicPartition]int64{}
	for _, p := range partitions {
		o, ok := listed.Lookup(p.Topic, p.Partition)
		if ok && o.Err == nil {
			found[p] = o.Offset
		} else if ok && !kafka.IsUnknownTopic(o.Err) {
			return nil, kafka.ForTopic(p.Topic, o.Err)
		}
	}
	return found, nil
}

// revoked commits what the client has received of partitions that another member will get, then drops what else was fetched of them.
func (i *Instance) revoked(_ context.Context, client *kgo.Client, lost map[string][]int32) {
	if *i.opts.AutoCommit {
		ctx, cancel := context.WithTimeout(context.Background(), min(i.m.cfg.CommitTimeout, 5*time.Second))
		defer cancel()
		if err := i.commitWith(ctx, client, i.provenOf(lost), nil); err != nil {
			i.m.cfg.Log.Warn("commit before a rebalance failed; another member reads the records again", "group", i.group, "instance", i.name, "err", err)
		}
	}
	i.forget(lost)
}

func (i *Instance) forget(lost map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for topic, partitions := range lost {
		for _, p := range partitions {
			delete(i.assigned, topicPartition{topic, p})
		}
	}
	i.dropForeign()
}

// resolve finds where assigned partitions begin that have no position yet: at the group's committed offset, else where the reset policy
// says. Those of topics that do not exist stay open, and are looked at again a second later.
func (i *Instance) resolve(ctx context.Context) error {
	i.mu.Lock()
	var open []TopicPartition
	for tp, p := range i.assigned {
		if p.next < 0 {
			open = append(open, TopicPartition{tp.topic, tp.partition})
		}
	}
	group := i.mode != manual
	due := !group && len(open) > 0 && time.Since(i.resolved) > time.Second
	i.mu.Unlock()
	if group && len(open) > 0 && i.opts.Reset == None {
		return errUndefined(open[0].Topic, open[0].Partition)
	}
	if !due {
		return nil
	}
	ctx, cancel := i.m.cluster.Deadline(ctx)
	defer cancel()
	begin, err := i.begin(ctx, open)
	if err != nil {
		return err
	}
	defer i.quiet()()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.resolved = time.Now()
	for tp, offset := range begin {
		p := i.assigned[topicPartition{tp.Topic, tp.Partition}]
		if p != nil && p.next < 0 { // neither taken away nor sought meanwhile
			i.fetchFrom(p, offset)
		}
	}
	return nil
}

func errUndefined(topic string, partition int32) error {
	return illegalState(fmt.Sprintf("Undefined offset with no reset policy for partition %s-%d: seek it first", topic, partition))
}

// begin gives the committed offsets of the group, and for the rest what the reset policy says.
func (i *Instance) begin(ctx context.Context, partitions []TopicPartition) (map[TopicPartition]int64, error) {
	committed, err := i.committed(ctx, partitions)
	if err != nil {
		return nil, err
	}
	begin := map[TopicPartition]int64{}
	for _, c := range committed {
		begin[c.TopicPartition] = c.Offset
	}
	var rest []TopicPartition
	for _, p := range partitions {
		if _, ok := begin[p]; !ok {
			rest = append(rest, p)
		}
	}
	if len(rest) > 0 && i.opts.Reset == None {
		return nil, errUndefined(rest[0].Topic, rest[0].Partition)
	}
	found, err := i.resetPositions(ctx, rest)
	maps.Copy(begin, found)
	return begin, err
}

// fetchFrom makes the client fetch a partition from an offset on. i.mu is held, and polling.
//
// A reader of assigned partitions is replaced by the next poll, unless its client is known to have the partition: kgo takes a partition that
// is added while a fetch is under way into the fetch after it only, which may be seconds later.
func (i *Instance) fetchFrom(p *partition, offset int64) {
	p.next, p.fetch = offset, offset
	if i.mode == manual && (i.stale || i.client == nil || !p.seen) {
		i.stale = true
		return
	}
	for range 100 { // assignedAt is called a moment before the client itself has the partition: until then it would take no offset for it
		if _, has := i.client.CommittedOffsets()[p.topic][p.partition]; has || p.seen || i.mode == manual {
			break
		}
		time.Sleep(time.Millisecond)
	}
	i.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.topic: {p.partition: {Epoch: -1, Offset: offset}}})
}

// reader gives the client to poll, and replaces that of assigned partitions when it is stale: nil when none of them exists. polling is
// held.
func (i *Instance) reader() (*kgo.Client, error) {
	i.mu.Lock()
	if i.mode != manual || !i.stale {
		defer i.mu.Unlock()
		return i.client, nil
	}
	old := i.client
	i.client = nil
	at := map[string]map[int32]kgo.Offset{}
	for _, p := range i.assigned {
		if p.fetch < 0 {
			continue
		}
		if at[p.topic] == nil {
			at[p.topic] = map[int32]kgo.Offset{}
		}
		at[p.topic][p.partition], p.seen = kgo.NewOffset().At(p.fetch), false
	}
	i.mu.Unlock()
	if old != nil {
		old.Close()
	}
	var client *kgo.Client
	if len(at) > 0 {
		var err error
		if client, err = i.m.cluster.NewConsumer(append(i.fetchOptions(), kgo.ConsumePartitions(at))...); err != nil {
			return nil, fmt.Errorf("consumer client: %w", err)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client, i.stale, i.anew = client, false, true
	return client, nil
}
