package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Tail is an endless read. One goroutine uses it.
type Tail struct {
	r        *Reader
	endless  bool
	at       Cursor
	id       [16]byte        // of the topic; zero until a broker has answered
	ends     map[int32]int64 // as the last fetch of each partition told
	hub      *hubTopic       // nil until the tail has come to the end
	followed map[int32]bool
	gaps     []Gap
	charge   *charge   // nil for an endless read, whose batches are small
	asked    bool      // the last gather asked brokers
	moved    bool      // the last gather got further, with records or without
	looked   time.Time // when the topic was last looked at for new partitions
}

// ErrDraining is how a tail ends when the proxy shuts down.
var ErrDraining = errors.New("the proxy is shutting down")

func (r *Reader) tail(c Cursor) *Tail {
	return &Tail{r: r, at: c.Clone(), ends: map[int32]int64{}, followed: map[int32]bool{}, looked: time.Now()}
}

// Tail begins an endless read; Close ends it. Errors: CodeTooManyRequests at the limit of endless reads.
func (r *Reader) Tail(c Cursor) (*Tail, error) {
	select {
	case r.tails <- struct{}{}:
		t := r.tail(c)
		t.endless = true
		return t, nil
	default:
		return nil, &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: 5 * time.Second,
			Message: fmt.Sprintf("There are %d endless reads, the most that are allowed: read without a stream, or try again later.", cap(r.tails))}
	}
}

// Close ends the read.
func (t *Tail) Close() {
	t.detach()
	<-t.r.tails
}

func (t *Tail) detach() {
	if t.hub != nil {
		t.r.hub.leave(t.hub, slices.Collect(maps.Keys(t.followed)))
		t.hub, t.followed = nil, map[int32]bool{}
	}
}

// Next waits for the next records. Errors: ctx's, ErrDraining, and those of Read.
func (t *Tail) Next(ctx context.Context, limits Limits) (*Batch, error) {
	b, err := t.wait(ctx, limits)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, ctx.Err() // while it asked the brokers
	case err != nil:
		return nil, err
	case len(b.Records) > 0:
		return b, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, ErrDraining
}

// wait gives records as soon as there are any, and an empty batch when ctx ends by its deadline, limits.Wait is over or the reader drains. What
// brokers are asked for may take longer than limits.Wait: nobody is told that there is nothing before they have said so.
func (t *Tail) wait(ctx context.Context, limits Limits) (*Batch, error) {
	waiting := ctx
	if limits.Wait > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, limits.Wait)
		defer cancel()
	}
	for {
		var changed <-chan struct{}
		var failed error
		if t.hub != nil {
			changed, failed = t.hub.news() // before looking, so that nothing comes unnoticed in between
			if errors.Is(failed, errForgotten) {
				t.detach()
				failed = nil
			}
		}
		b, err := t.look(ctx, limits)
		if err != nil || len(b.Records) > 0 {
			return b, err
		}
		select {
		case <-t.r.drain:
			return b, nil
		default:
		}
		if added, err := t.follow(); err != nil {
			return nil, err
		} else if added {
			continue // something may have come before it was followed
		}
		if t.moved && waiting.Err() == nil {
			continue // what was passed over, as aborted transactions are, says nothing of what follows it
		}
		if failed != nil {
			if err := t.probe(ctx); err != nil {
				return nil, err
			}
		}
		if over, err := t.sleep(waiting, changed, failed != nil); over {
			return b, err
		}
	}
}

// sleep waits for news. It is over when ctx ends by its deadline or the reader drains.
func (t *Tail) sleep(ctx context.Context, changed <-chan struct{}, failed bool) (over bool, err error) {
	pause := layoutFresh
	if failed || len(t.followed) < len(t.at.Next) {
		pause = time.Second
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-changed:
		return false, nil
	case <-timer.C:
		t.widen(ctx)
		return false, nil
	case <-t.r.drain:
		return true, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return true, nil
		}
		return true, kafka.Error(ctx.Err())
	}
}

// follow has the hub follow the partitions whose end is known from there on.
func (t *Tail) follow() (added bool, err error) {
	from := map[int32]int64{}
	for _, p := range t.at.Next {
		if end, ok := t.ends[p.Partition]; ok && !t.followed[p.Partition] {
			from[p.Partition] = end
		}
	}
	if len(from) == 0 {
		return false, nil
	}
	if t.hub, err = t.r.hub.follow(t.at.Topic, t.id, from); err != nil {
		return false, err
	}
	for p := range from {
		t.followed[p] = true
	}
	return true, nil
}

// probe asks the brokers what the trouble of the hub is.
func (t *Tail) probe(ctx context.Context) error {
	asking, cancel := t.deadline(ctx)
	defer cancel()
	got, err := t.r.fetcher.fetch(asking, t.at.Topic, t.at.Next, 1<<10)
	for _, g := range got {
		if gone := t.same(g.id); gone != nil {
			return gone
		}
		if g.err != nil && ctx.Err() == nil {
			if err := t.repair(ctx, g); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		return readError(t.at.Topic, err)
	}
	return nil
}

// widen takes partitions in that the topic did not have before.
func (t *Tail) widen(ctx context.Context) {
	if !t.at.Whole || time.Since(t.looked) < layoutFresh {
		return
	}
	t.looked = time.Now()
	l, err := t.r.fetcher.layout(ctx, t.at.Topic, false)
	if err != nil || len(l.leaders) <= len(t.at.Next) {
		return // what is wrong shows where records are fetched
	}
	for p := len(t.at.Next); p < len(l.leaders); p++ {
		t.at.Advance(int32(p), 0)
	}
	t.detach() // the next round follows them all
}

// gather takes what there is for now from the rings and, behind them, from the brokers.
func (t *Tail) gather(ctx context.Context, limits Limits) (*Batch, error) {
	if t.hub == nil {
		var cancel context.CancelFunc
		ctx, cancel = t.deadline(ctx)
		defer cancel()
	}
	if t.at.Whole && t.hub == nil { // partitions that were added since the cursor was made
		t.looked = time.Time{}
		t.widen(ctx)
	}
	t.moved = false
	var lots []lot
	var behind []Position
	for _, p := range t.at.Next {
		if t.hub != nil {
			if records, next, ok := t.hub.look(p.Partition, p.Offset, limits.Records); ok {
				lots = append(lots, lot{p.Partition, records, next})
				continue
			}
		}
		behind = append(behind, p)
	}
	if t.asked = len(behind) > 0; t.asked {
		gaps := len(t.gaps)
		got, err := t.ask(ctx, behind, limits)
		if err != nil {
			return nil, err
		}
		if len(t.gaps) > gaps && ctx.Err() == nil {
			return t.gather(ctx, limits) // from where the log begins
		}
		lots = append(lots, got...)
		slices.SortFunc(lots, func(x, y lot) int { return cmp.Compare(x.partition, y.partition) })
	}
	return t.choose(lots, limits), nil
}

// deadline gives a read the time of any request to the brokers. An endless one takes longer rather than ending; its fetches end by themselves.
func (t *Tail) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.endless {
		return ctx, func() {}
	}
	return t.r.cluster.Deadline(ctx)
}

// ask fetches what the rings do not have.
func (t *Tail) ask(ctx context.Context, behind []Position, limits Limits) (lots []lot, err error) {
	ctx, cancel := t.deadline(ctx)
	defer cancel()
	rotate(behind, spread(behind)) // an answer that is full has nothing of the last ones
	size := min(limits.Bytes, max(64<<10, int64(limits.Records)*4<<10))
	got, err := t.r.fetcher.fetch(ctx, t.at.Topic, behind, size)
	if err != nil {
		return nil, kafka.Error(err)
	}
	for _, g := range got {
		if err := t.same(g.id); err != nil {
			return nil, err
		}
		if g.err != nil {
			if err := t.repair(ctx, g); err != nil {
				return nil, err
			}
			continue
		}
		if g.end >= 0 {
			t.ends[g.Partition] = g.end
		}
		lots = append(lots, lot{g.Partition, g.records, g.next})
	}
	return lots, nil
}

// advance notes what has been looked at of a partition.
func (t *Tail) advance(partition int32, to int64) {
	if to <= offsetOf(t.at, partition) {
		return
	}
	t.at.Advance(partition, to)
	t.moved = true
	if t.at.Ahead {
		t.ends[partition] = max(t.ends[partition], to) // the log is at least as long
	}
}

// beyond reports whether the log of any partition may end before its position, which a number that a client chose may be: until all are within
// their logs, the cursor must say that it is one.
func (t *Tail) beyond() bool {
	return slices.ContainsFunc(t.at.Next, func(p Position) bool {
		end, known := t.ends[p.Partition]
		return !known || p.Offset > end
	})
}

// same holds the read to the topic that it began with: one that was made anew may have grown beyond the read's place.
func (t *Tail) same(id [16]byte) error {
	if t.id == [16]byte{} {
		t.id = id
	}
	if t.id != id {
		return kafkarest.Errorf(kafkarest.CodeCursorGone, "Topic %s was deleted and made anew. Begin again at earliest or latest.", t.at.Topic)
	}
	return nil
}

// repair deals with an offset that the broker does not have: before the first record, which retention or DeleteRecords explains, the read
// goes on at the first one and tells of the gap; beyond the end, a number waits for its record and a cursor is of another log.
func (t *Tail) repair(ctx context.Context, g fetched) error {
	if !errors.Is(g.err, kerr.OffsetOutOfRange) {
		return readError(t.at.Topic, g.err)
	}
	only := []int32{g.Partition}
	starts, err := t.r.list(ctx, t.at.Topic, only, t.r.cluster.Admin().ListStartOffsets)
	if err != nil {
		return err
	}
	if start := starts[g.Partition]; g.Offset < start {
		t.gaps = append(t.gaps, Gap{g.Partition, g.Offset, start})
		t.at.Advance(g.Partition, start)
		return nil
	}
	ends, err := t.r.list(ctx, t.at.Topic, only, t.r.askEnds())
	if err != nil {
		return err
	}
	if !t.at.Ahead {
		return kafkarest.Errorf(kafkarest.CodeCursorGone, "The cursor is at offset %d of partition %d, and its log ends at %d: topic %s was made anew "+
			"or cut off. Begin again at earliest or latest.", g.Offset, g.Partition, ends[g.Partition], t.at.Topic)
	}
	t.ends[g.Partition] = ends[g.Partition]
	return nil
}
