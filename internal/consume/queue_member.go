package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// join makes a queue and begins to join the group. The balancer is the cooperative one alone, so that a rebalance leaves what stays on this
// node untouched, held records included; Java's default members have it too.
//
// Its client id says how this node is reached, so that other nodes can pass acknowledgements on.
func (qs *Queues) join(topic, consumer string, opts OpenOptions) (*Queue, error) {
	ctx, stop := context.WithCancel(qs.ctx)
	q := &Queue{of: qs, topic: topic, consumer: consumer, from: opts.From, stop: stop, dirty: make(chan struct{}, 1), parts: map[int32]*queuePart{},
		changed: make(chan struct{}), metadata: map[int32]string{}, most: metadataMost, used: time.Now()}
	client, err := qs.cluster.NewConsumer(
		kgo.ClientID(cmp.Or(opts.Reach.clientID(qs.cfg.ClientID), "kafka-rest")),
		kgo.ConsumerGroup(consumer),
		kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(qs.cfg.SessionTimeout),
		kgo.HeartbeatInterval(min(time.Second, qs.cfg.SessionTimeout/4)),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxBytes(4<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // when retention has overtaken the group
		kgo.OnOffsetsFetched(q.remember),
		kgo.AdjustFetchOffsetsFn(q.assigned),
		kgo.OnPartitionsAssigned(q.entered),
		kgo.OnPartitionsRevoked(q.revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { q.forget(lost) }),
	)
	if err != nil {
		stop()
		return nil, kafkarest.Wrap(kafkarest.CodeKafka, err, "Failed to construct kafka consumer")
	}
	q.client = client
	q.wg.Go(func() { q.poll(ctx) })
	q.wg.Go(func() { q.commitLoop(ctx) })
	return q, nil
}

// entered is called at each assignment, one of nothing too.
func (q *Queue) entered(context.Context, *kgo.Client, map[string][]int32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.member = true
	q.wake()
}

// remember keeps the metadata of the commits that the next call of assigned is about.
func (q *Queue) remember(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := func(topic string, partition int32, metadata *string) {
		if topic == q.topic && metadata != nil {
			q.metadata[partition] = *metadata
		}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			keep(t.Topic, p.Partition, p.Metadata)
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				keep(t.Topic, p.Partition, p.Metadata)
			}
		}
	}
	return nil
}

// assigned makes a tracker of each newly assigned partition from what the group's last commit says. Without one the exact first or last
// offset of this moment is where it begins; the last one is committed, since the next assignment would find another. A commit beyond the end
// of the log is one of a topic that was made anew.
func (q *Queue) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	starts, ends, err := q.bounds(ctx)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, o := range offsets[q.topic] {
		at := o.EpochOffset().Offset
		end, hasEnd := ends.Lookup(q.topic, n)
		start, hasStart := starts.Lookup(q.topic, n)
		if !hasEnd || !hasStart || end.Err != nil || start.Err != nil {
			return nil, errors.Join(end.Err, start.Err, errors.New("find where partitions begin and end"))
		}
		var acknowledged spans
		latest := at < 0 && q.from == Latest
		switch {
		case latest:
			at = end.Offset
		case at < 0:
			at = start.Offset
		case at > end.Offset:
			q.of.cfg.Log.Warn("the group's commit is beyond the end of the log; it begins anew", "topic", q.topic, "partition", n, "group", q.consumer)
			at = start.Offset
		default:
			acknowledged = parseMetadata(q.metadata[n], at)
		}
		delete(q.metadata, n)
		q.drop(n)
		p := &queuePart{tracker: newTracker(at, acknowledged), partition: n, end: end.Offset, commits: make(chan struct{})}
		q.parts[n] = p
		if latest {
			q.settled(p)
		}
		offsets[q.topic][n] = kgo.NewOffset().At(p.next)
	}
	q.joined, q.anew = time.Now(), true // tend ends what pauses the client has of an earlier assignment
	q.wake()
	return offsets, nil
}

func (q *Queue) bounds(ctx context.Context) (starts, ends kadm.ListedOffsets, err error) {
	ctx, cancel := q.of.cluster.Deadline(ctx)
	defer cancel()
	admin := q.of.cluster.Admin()
	starts, err = kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return admin.ListStartOffsets(ctx, q.topic) })
	if err != nil {
		return nil, nil, err
	}
	ends, err = kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return admin.ListEndOffsets(ctx, q.topic) })
	return starts, ends, err
}

// revoked commits what is acknowledged of partitions that another member will get, and forgets them.
func (q *Queue) revoked(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	ctx, cancel := context.WithTimeout(context.Background(), q.of.cfg.CommitTimeout)
	defer cancel()
	if err := q.commit(ctx, lost[q.topic]); err != nil {
		q.of.cfg.Log.Warn("commit before a rebalance failed; records may be delivered again", "topic", q.topic, "group", q.consumer, "err", err)
	}
	q.forget(lost)
}

func (q *Queue) forget(lost map[string][]int32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range lost[q.topic] {
		q.drop(n)
	}
}

// poll moves what the client fetches into the trackers, and stops the fetching of those that have enough. No rebalance begins between a poll
// and the end of this, so that records never get into the tracker of a later assignment.
func (q *Queue) poll(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := q.client.PollRecords(ctx, 2000)
		if fetches.IsClientClosed() {
			return
		}
		if q.take(fetches) {
			q.pause()
		}
		q.client.AllowRebalance()
	}
}

// take reports whether a partition has got full.
func (q *Queue) take(fetches kgo.Fetches) (full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fetches.EachPartition(func(ftp kgo.FetchTopicPartition) {
		p := q.parts[ftp.Partition]
		if p == nil || ftp.Topic != q.topic {
			return
		}
		for _, r := range ftp.Records {
			p.add(r)
		}
		q.count(p)
		if !p.paused && q.full(p) {
			p.paused, full = true, true
		}
	})
	fetches.EachError(func(_ string, _ int32, err error) { q.note(err) })
	if fetches.NumRecords() > 0 {
		q.wake()
	}
	return full
}

// note decides which errors of the client end the queue. Others pass by themselves. q.mu is held.
func (q *Queue) note(err error) {
	var session *kgo.ErrGroupSession
	refused := q.refused(err)
	switch {
	case refused != nil:
		q.failed = refused
	case errors.As(err, &session), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
		return
	case kafka.IsUnknownTopic(err):
		q.failed = readError(q.topic, err)
	default:
		q.of.cfg.Log.Warn("fetch for a queue failed; the client tries again", "topic", q.topic, "group", q.consumer, "err", err)
		return
	}
	q.wake()
	q.of.wg.Go(func() { q.of.remove(q) }) // the next request makes another
}

// refused tells the errors that stay until somebody does something about them; the client would try for ever. nil is any other.
func (q *Queue) refused(err error) error {
	unfit := func(why string) error {
		return kafkarest.Wrap(kafkarest.CodeGroupUnfit, err, fmt.Sprintf("This node cannot join the consumer group %s: %s", q.consumer, why))
	}
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return kafkarest.Wrap(kafkarest.CodeForbidden, err, "Not authorized to access group: "+q.consumer)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return readError(q.topic, err)
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		return unfit("it has members that do not offer the assignor cooperative-sticky, or that are no consumers. " +
			"Set partition.assignment.strategy of those members so that it has the CooperativeStickyAssignor, stop them, or read with another consumer name.")
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return unfit("messages.queue.session.timeout.ms is outside of what the brokers allow (group.min.session.timeout.ms to group.max.session.timeout.ms).")
	case errors.Is(err, kerr.InvalidGroupID):
		return kafkarest.Wrap(kafkarest.CodeUnprocessable, err, "Kafka allows no consumer group with the name "+q.consumer)
	case errors.Is(err, kerr.GroupMaxSizeReached):
		return &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: 5 * time.Second, Err: err,
			Message: fmt.Sprintf("The consumer group %s has as many members as the brokers allow (group.max.size).", q.consumer)}
	}
	return nil
}
