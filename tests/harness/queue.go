package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// QueueRun has workers receive the records of a topic through the messages API and acknowledge them out of order, whatever happens to the
// proxies meanwhile, and judges what they saw.
type QueueRun struct {
	T          testing.TB
	Broker     Broker
	Topic      string
	Consumer   string
	Partitions int
	Records    int
	Workers    int
	URL        func(worker int) string // of the proxy to ask next; it may be another each time

	mu        sync.Mutex
	delivered []int
	acked     []bool
	refused   int // acknowledgements that were answered 409
	again     int // deliveries beyond the first of a record
	forgotten int // records that a worker let go, to be delivered again
	wrong     []string
	done      atomic.Int64
}

// Store fills the topic: each value is its number.
func (r *QueueRun) Store() {
	r.T.Helper()
	r.delivered, r.acked = make([]int, r.Records), make([]bool, r.Records)
	for from := 0; from < r.Records; from += 10_000 {
		var records []*kgo.Record
		for i := from; i < min(from+10_000, r.Records); i++ {
			records = append(records, &kgo.Record{Topic: r.Topic, Partition: int32(i % r.Partitions), Value: strconv.AppendInt(nil, int64(i), 10)})
		}
		Store(r.T, r.Broker, records...)
	}
}

// Done is how many records are acknowledged by now.
func (r *QueueRun) Done() int { return int(r.done.Load()) }

// Work runs the workers until every record is acknowledged or ctx ends.
func (r *QueueRun) Work(ctx context.Context) {
	var wg sync.WaitGroup
	for n := range r.Workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			for ctx.Err() == nil && r.Done() < r.Records {
				if err := r.turn(ctx, n, random); err != nil {
					select { // the proxy is down
					case <-ctx.Done():
					case <-time.After(50 * time.Millisecond):
					}
				}
			}
		})
	}
	wg.Wait()
}

type queued struct {
	Messages []struct {
		Value json.Number `json:"value"`
		Ack   string      `json:"ack"`
	} `json:"messages"`
}

// turn is one receive and what a worker does with it.
func (r *QueueRun) turn(ctx context.Context, worker int, random *rand.Rand) error {
	p := Endpoint{T: r.T, URL: r.URL(worker)}
	reply, err := p.Try(ctx, "GET", fmt.Sprintf("/messages/%s/%s?limit=%d&wait=2&ack_timeout=20", r.Topic, r.Consumer, 1+random.IntN(100)), "")
	if err != nil {
		return err
	}
	var list queued
	if reply.Status != 200 || json.Unmarshal([]byte(reply.Body), &list) != nil {
		return fmt.Errorf("receive: %d %s", reply.Status, reply.Body)
	}
	r.mu.Lock()
	for _, m := range list.Messages {
		n, err := strconv.Atoi(m.Value.String())
		if err != nil || n >= r.Records {
			r.wrong = append(r.wrong, "a record with the value "+m.Value.String())
			continue
		}
		if r.acked[n] {
			r.wrong = append(r.wrong, fmt.Sprintf("record %d was acknowledged with 204, and is delivered again", n))
		}
		if r.delivered[n]++; r.delivered[n] > 1 {
			r.again++
		}
	}
	r.mu.Unlock()
	for _, i := range random.Perm(len(list.Messages)) {
		n, _ := strconv.Atoi(list.Messages[i].Value.String())
		if random.IntN(500) == 0 {
			r.mu.Lock()
			r.forgotten++
			r.mu.Unlock()
			if u, err := url.Parse(list.Messages[i].Ack); err == nil {
				u.Path += "/release"
				_, _ = p.Try(ctx, "POST", u.RequestURI(), "") // or its time runs out
			}
			continue
		}
		r.acknowledge(ctx, worker, n, list.Messages[i].Ack)
	}
	return nil
}

// acknowledge sends the DELETE until it is answered: its effect is the same however often it comes.
func (r *QueueRun) acknowledge(ctx context.Context, worker, n int, ack string) {
	u, err := url.Parse(ack)
	if err != nil {
		r.T.Errorf("the ack URL %q: %v", ack, err)
		return
	}
	for ctx.Err() == nil {
		p := Endpoint{T: r.T, URL: r.URL(worker)}
		reply, err := p.Try(ctx, "DELETE", u.RequestURI(), "")
		switch {
		case err != nil, reply.Status >= 500, reply.Status == 429:
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		case reply.Status == 204:
			r.mu.Lock()
			if !r.acked[n] {
				r.acked[n] = true
				r.done.Add(1)
			}
			r.mu.Unlock()
		case reply.Status == 409:
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		default:
			r.T.Errorf("DELETE %s: %d %s", u.RequestURI(), reply.Status, reply.Body)
		}
		return
	}
}

// Judge reports what was lost or delivered wrongly, and what it cost.
func (r *QueueRun) Judge() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	never, open := 0, 0
	for n := range r.Records {
		if r.delivered[n] == 0 {
			never++
		}
		if !r.acked[n] {
			open++
		}
	}
	if never > 0 {
		errs = append(errs, fmt.Errorf("%d of %d records were never delivered", never, r.Records))
	}
	if open > 0 {
		errs = append(errs, fmt.Errorf("%d of %d records are not acknowledged at the end", open, r.Records))
	}
	for _, w := range r.wrong[:min(10, len(r.wrong))] {
		errs = append(errs, errors.New(w))
	}
	r.T.Logf("%d records, %d workers: %d delivered again (%d let go on purpose), %d acknowledgements refused, %d wrong deliveries",
		r.Records, r.Workers, r.again, r.forgotten, r.refused, len(r.wrong))
	return errors.Join(errs...)
}
