package consume

import (
	"context"
	"fmt"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"
)

// charge is what one read counts for in the memory of all reads. A read that waits holds nothing and counts for nothing, so that ten thousand
// may wait at once; what it brought counts until its reply is written. nil counts for nothing ever.
type charge struct {
	memory *semaphore.Weighted
	held   int64
}

// chargeWait is how long a read waits for others to give memory back. They do in the order in which they asked, so none is passed over.
const chargeWait = 5 * time.Second

// take holds n bytes, which are not more than there are in all.
func (c *charge) take(ctx context.Context, n int64) error {
	if c == nil {
		return nil
	}
	if !c.memory.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, chargeWait)
		defer cancel()
		if c.memory.Acquire(ctx, n) != nil {
			return &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, RetryAfter: time.Second, Message: fmt.Sprintf(
				"All reads together hold as much as they may; this one asks for %d bytes: ask for less with max_bytes, or try again.", n)}
		}
	}
	c.held = n
	return nil
}

// keep holds no more than n bytes from now on.
func (c *charge) keep(n int64) {
	if c == nil || c.held <= n {
		return
	}
	c.memory.Release(c.held - n)
	c.held = n
}

func (c *charge) release() { c.keep(0) }

// look is gather, with room made before for what it may bring. What came from a ring lies there for all, and only the records themselves
// count; what a broker sent for this read alone holds whole batches, and counts for all that was asked for.
func (t *Tail) look(ctx context.Context, limits Limits) (*Batch, error) {
	if err := t.charge.take(ctx, limits.Bytes); err != nil {
		return nil, err
	}
	b, err := t.gather(ctx, limits)
	switch {
	case err != nil || len(b.Records) == 0:
		t.charge.release()
	case !t.asked && t.charge != nil:
		t.charge.keep(sizeOf(b.Records))
	}
	return b, err
}

func sizeOf(records []*kgo.Record) (size int64) {
	for _, r := range records {
		size += recordSize(r)
	}
	return size
}
