package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
)

// earlyMost is how many ranges of acknowledgements may be known of records that are not fetched yet.
const earlyMost = 10_000

// settlement is a step of a partition that is to be committed.
type settlement struct {
	part *queuePart
	step uint64
}

// settled notes that something was acknowledged, and has it committed. q.mu is held.
func (q *Queue) settled(p *queuePart) *settlement {
	p.steps++
	q.count(p)
	select {
	case q.dirty <- struct{}{}:
	default:
	}
	return &settlement{p, p.steps}
}

func errLeaseLost(partition int32, offset int64, why string) error {
	return kafkarest.Errorf(kafkarest.CodeLeaseLost, "lease_lost: the record at partition %d, offset %d %s.", partition, offset, why)
}

const toAnother = "was given to another client since"

func errElsewhere(partition int32, offset int64) error {
	return kafkarest.Wrap(kafkarest.CodeLeaseLost, ErrElsewhere, fmt.Sprintf("lease_lost: the record at partition %d, offset %d is not with this node: "+
		"the group has given its partition to another member, and the record is delivered again.", partition, offset))
}

// part finds a partition that this node has, waiting for the group while it is only just being joined. q.mu is held, and let go of meanwhile.
func (q *Queue) part(ctx context.Context, partition int32, offset int64) (*queuePart, error) {
	ctx, cancel := context.WithTimeout(ctx, joinWait)
	defer cancel()
	for {
		switch p := q.parts[partition]; {
		case q.trouble() != nil:
			return nil, q.trouble()
		case p != nil:
			q.used = time.Now()
			return p, nil
		case q.member:
			return nil, q.absent(ctx, partition, offset)
		}
		changed := q.changed
		q.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: time.Second, Err: ctx.Err(),
				Message: "The group has not given this node any partitions yet: try again."}
		}
		q.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

// absent tells a partition of another member from one that there is not. q.mu is held, and let go of meanwhile.
func (q *Queue) absent(ctx context.Context, partition int32, offset int64) error {
	q.mu.Unlock()
	defer q.mu.Lock()
	l, err := q.of.fetcher.layout(ctx, q.topic, false)
	if err != nil {
		return err
	}
	if partition < 0 || int(partition) >= len(l.leaders) {
		return errNoPartition(partition, q.topic, len(l.leaders))
	}
	return errElsewhere(partition, offset)
}

// Acknowledge acknowledges the record at an offset, and with upTo all before it in its partition, whoever holds them. It returns when that is
// committed, so what it has acknowledged outlives this node. lease is that of the delivery, or 0 to acknowledge for whoever has it. What is
// acknowledged already stays so: no error.
// Errors: CodeLeaseLost when it was given to another client since, or with ErrElsewhere as its cause when this node does not have the partition,
// as for the other two; CodeUnprocessable for a record that was never there, CodeRetryLater
// when it could not be committed in time: it may or may not be; and with upTo when the partition is not fetched so far.
func (q *Queue) Acknowledge(ctx context.Context, partition int32, offset int64, lease uint64, upTo bool) error {
	s, err := q.acknowledge(ctx, partition, offset, lease, upTo)
	if err != nil {
		return err
	}
	q.resume()
	return q.committed(ctx, s)
}

func (q *Queue) acknowledge(ctx context.Context, partition int32, offset int64, lease uint64, upTo bool) (*settlement, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, err := q.part(ctx, partition, offset)
	if err != nil {
		return nil, err
	}
	switch p.check(offset, lease) {
	case lost:
		return nil, errLeaseLost(partition, offset, toAnother)
	case settled:
		if !upTo {
			return &settlement{p, p.steps}, nil // it may not be committed yet
		}
	case unheard: // handed out by a node before this one, which may be this one's earlier life
		if offset >= p.end {
			return nil, kafkarest.Errorf(kafkarest.CodeUnprocessable, "The record at partition %d, offset %d has not been handed out.", partition, offset)
		}
		if upTo { // what is before it is not known yet
			return nil, &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: time.Second, Message: fmt.Sprintf(
				"This node has only just got partition %d, and has not fetched as far as offset %d: send the acknowledgement again.", partition, offset)}
		}
		if len(p.early) >= earlyMost {
			return nil, &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: time.Second,
				Message: "Too many acknowledgements of records that are not fetched yet."}
		}
	}
	streams := p.hasHolder(offset, upTo)
	if upTo {
		p.acknowledgeUpTo(offset)
	} else {
		p.acknowledge(offset)
	}
	if streams {
		q.wake()
	}
	return q.settled(p), nil
}

// Release gives a held record back, to be handed out again after delay. For one that waits for the end of an earlier delay, this one counts.
// One that is no longer held, and not with another client, is as good as released. Errors: CodeLeaseLost.
func (q *Queue) Release(ctx context.Context, partition int32, offset int64, lease uint64, delay time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, err := q.part(ctx, partition, offset)
	if err != nil {
		return err
	}
	switch p.check(offset, lease) {
	case lost:
		return errLeaseLost(partition, offset, toAnother)
	case stands, noLonger:
		from := time.Time{}
		if delay > 0 {
			from = time.Now().Add(delay)
		}
		p.release(offset, from)
		q.wake()
	}
	return nil
}

// Renew holds a record for so long from now. Errors: CodeLeaseLost when it is not held any more, whatever the reason.
func (q *Queue) Renew(ctx context.Context, partition int32, offset int64, lease uint64, hold time.Duration) (deadline time.Time, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, err := q.part(ctx, partition, offset)
	if err != nil {
		return deadline, err
	}
	switch p.check(offset, lease) {
	case stands:
		deadline = time.Now().Add(hold)
		p.renew(offset, deadline)
		return deadline, nil
	case lost:
		return deadline, errLeaseLost(partition, offset, toAnother)
	case settled:
		return deadline, errLeaseLost(partition, offset, "is acknowledged")
	}
	return deadline, errLeaseLost(partition, offset, "is not held: its time was over")
}

// committed waits until a settlement is committed.
func (q *Queue) committed(ctx context.Context, s *settlement) error {
	timer := time.NewTimer(q.of.cfg.CommitTimeout)
	defer timer.Stop()
	for {
		q.mu.Lock()
		stored, gone, commits := s.part.stored >= s.step, s.part.gone, s.part.commits
		q.mu.Unlock()
		switch {
		case stored:
			return nil
		case gone:
			return kafkarest.Wrap(kafkarest.CodeLeaseLost, ErrElsewhere, fmt.Sprintf("lease_lost: the group gave partition %d to another member "+
				"before the acknowledgement was committed; the record may be delivered again.", s.part.partition))
		}
		select {
		case <-commits:
		case <-timer.C:
			return &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: time.Second,
				Message: fmt.Sprintf("The acknowledgement could not be committed within %v: it may or may not be stored. Send it again.", q.of.cfg.CommitTimeout)}
		case <-ctx.Done():
			return kafka.Error(ctx.Err())
		}
	}
}

// commitEach is the least time between two commits: acknowledgements that come meanwhile share the next one.
const commitEach = 4 * time.Millisecond

func (q *Queue) commitLoop(ctx context.Context) {
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.dirty:
		}
		if wait := commitEach - time.Since(last); wait > 0 {
			time.Sleep(wait) // a few milliseconds
		}
		last = time.Now()
		deadline, cancel := context.WithTimeout(ctx, q.of.cfg.CommitTimeout)
		err := q.commit(deadline, nil)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		q.of.cfg.Log.Warn("commit of acknowledgements failed; it is tried again", "topic", q.topic, "group", q.consumer, "err", err)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		select {
		case q.dirty <- struct{}{}:
		default:
		}
	}
}

// commit stores where the given partitions stand, or all if none is given, as far as that is not stored yet.
func (q *Queue) commit(ctx context.Context, only []int32) error {
	q.committing.Lock()
	defer q.committing.Unlock()
	offsets, steps := q.uncommitted(only)
	if len(offsets) == 0 {
		return nil
	}
	err := commitAsMember(ctx, q.client, offsets, func(_ string, partition int32) bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		p := q.parts[partition]
		_, same := steps[p]
		return p != nil && same
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if errors.Is(err, kerr.OffsetMetadataTooLarge) { // offset.metadata.max.bytes of the broker is lower than usual
		q.most /= 2
		q.of.cfg.Log.Warn("the broker takes less commit metadata; less of what is acknowledged survives a restart", "characters", q.most)
	}
	if err != nil {
		return kafka.Error(err)
	}
	for p, step := range steps {
		if !p.gone {
			p.stored = step
			close(p.commits)
			p.commits = make(chan struct{})
		}
	}
	return nil
}

func (q *Queue) uncommitted(only []int32) (offsets []Committed, steps map[*queuePart]uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	steps = map[*queuePart]uint64{}
	add := func(p *queuePart) {
		if p == nil || p.stored == p.steps {
			return
		}
		low := p.low()
		text, unfit := p.acknowledged().metadata(low, q.most)
		if more := unfit - p.unfit; more > 0 {
			q.of.unfit.Add(more)
			if p.unfit == 0 {
				q.of.cfg.Log.Warn("not all acknowledgements fit the metadata of a commit; after a crash now those records come again",
					"topic", q.topic, "partition", p.partition, "group", q.consumer, "records", unfit)
			}
		}
		p.unfit = unfit
		offsets = append(offsets, Committed{TopicPartition{q.topic, p.partition}, low, text})
		steps[p] = p.steps
	}
	if only == nil {
		for _, p := range q.parts {
			add(p)
		}
		return offsets, steps
	}
	for _, n := range only {
		add(q.parts[n])
	}
	return offsets, steps
}
