package consume

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"
)

// ErrElsewhere is the cause of errors that say that this node does not have a partition: the one that has it can tell more.
var ErrElsewhere = errors.New("the partition is not with this node")

// Standing is what is known of who has a partition.
type Standing int

// The standings.
const (
	OwnedByNode    Standing = iota // another node that can be asked: see Owner
	OwnedByForeign                 // a member that is no node of ours, or one that cannot be reached
	OwnedByNobody                  // the group has no member that reads the topic
	Unsettled                      // the group is being rebalanced, or will be soon, or this node has it after all: look again in a moment
	Unknowable                     // Kafka does not let this node describe the group
)

// Owner is who has a partition of a queue. The last two are of OwnedByNode alone.
type Owner struct {
	Standing
	Scheme string
	Addr   netip.AddrPort
}

// lookup is a view that is asked for, or was.
type lookup struct {
	done chan struct{}
	view *groupView // with err, once done is closed
	err  error
	at   time.Time // when it was answered; zero before
}

// How long a view is used for what it knows and for what it does not, so that a burst of acknowledgements is not one of requests to the
// coordinator; and how many there are at a time.
const (
	viewFresh = time.Second
	viewBlank = 50 * time.Millisecond
	viewsMost = 1000
)

// Find gives the queue of a topic for a consumer if this node has it. Unlike Open it joins nothing, and does not count as a use.
func (qs *Queues) Find(topic, consumer string) (*Queue, bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.queues[queueKey{topic, consumer}]
	return q, q != nil
}

// Owner finds out who has a partition of a topic in a consumer's group, when that is not this node. What it says may be a second old: see
// Misled. Errors: CodeTopicNotFound, CodePartitionNotFound, CodeForbidden, CodeDraining, and those of a Kafka that cannot be asked.
func (qs *Queues) Owner(ctx context.Context, topic, consumer string, partition int32) (Owner, error) {
	l, err := qs.fetcher.layout(ctx, topic, false)
	if err != nil {
		return Owner{}, err
	}
	if partition < 0 || int(partition) >= len(l.leaders) {
		return Owner{}, errNoPartition(partition, topic, len(l.leaders))
	}
	view, err := qs.view(ctx, queueKey{topic, consumer}, viewFresh)
	if err == nil && view.owners[partition] == nil {
		view, err = qs.view(ctx, queueKey{topic, consumer}, viewBlank)
	}
	if err != nil {
		return Owner{}, err
	}
	m := view.owners[partition]
	switch {
	case m == nil:
		return Owner{Standing: view.rest}, nil
	case m.id == qs.memberID(topic, consumer): // it is only just being given to this node
		return Owner{Standing: Unsettled}, nil
	}
	return m.owner, nil
}

func errNoPartition(partition int32, topic string, has int) error {
	return kafkarest.Errorf(kafkarest.CodePartitionNotFound, "Partition %d not found: topic %s has %d.", partition, topic, has)
}

// Misled tells that a node which Owner gave does not have the partition: the next Owner asks the coordinator, if none has asked since.
func (qs *Queues) Misled(topic, consumer string, partition int32, by Owner) {
	key := queueKey{topic, consumer}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	a := qs.views[key]
	if a == nil || a.at.IsZero() || a.view == nil {
		return
	}
	if m := a.view.owners[partition]; m != nil && m.owner == by {
		delete(qs.views, key)
	}
}

// memberID is this node's in the consumer's group; "" when it is not a member.
func (qs *Queues) memberID(topic, consumer string) (id string) {
	if q, ok := qs.Find(topic, consumer); ok {
		id, _ = q.client.GroupMetadata()
	}
	return id
}

// view gives what is known of a group, asking when that is not known or older than fresh. Callers share requests.
func (qs *Queues) view(ctx context.Context, key queueKey, fresh time.Duration) (*groupView, error) {
	qs.mu.Lock()
	if qs.closed {
		qs.mu.Unlock()
		return nil, errDraining()
	}
	a := qs.views[key]
	if a == nil || !a.at.IsZero() && (a.err != nil || time.Since(a.at) > fresh) {
		a = &lookup{done: make(chan struct{})}
		if len(qs.views) >= viewsMost {
			clear(qs.views)
		}
		qs.views[key] = a
		qs.wg.Go(func() { qs.ask(key, a) })
	}
	qs.mu.Unlock()
	select {
	case <-a.done:
		return a.view, a.err
	case <-ctx.Done():
		return nil, kafka.Error(ctx.Err())
	}
}

func (qs *Queues) ask(key queueKey, a *lookup) {
	ctx, cancel := qs.cluster.Deadline(qs.ctx)
	defer cancel()
	a.view, a.err = qs.describe(ctx, key)
	qs.mu.Lock()
	a.at = time.Now()
	qs.mu.Unlock()
	close(a.done)
}
