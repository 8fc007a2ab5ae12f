package suite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest/bench/load"
)

// disturbLoad is the p50 of a single client's produce requests, alone and then while something else is going on in the same proxy
// that should not concern it.
type disturbLoad struct {
	name    string
	disturb func(ctx context.Context, s *Suite, side *Side) (*disturbance, error)

	topic string
}

// disturbance is what is going on until it is stopped.
type disturbance struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
	after  func(ctx context.Context) error // clears away
	mu     sync.Mutex
	took   []time.Duration // of its own requests, where that is of interest
}

// stop ends the disturbance and waits for it.
func (d *disturbance) stop(ctx context.Context) error {
	d.cancel()
	d.all.Wait()
	return d.after(ctx)
}

func (d *disturbance) note(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.took = append(d.took, took)
}

// Name implements Load.
func (l *disturbLoad) Name() string { return l.name }

// Begin makes the topic.
func (l *disturbLoad) Begin(ctx context.Context, s *Suite) error {
	l.topic = s.name("disturb")
	return s.broker.create(ctx, l.topic)
}

// Round measures one side twice.
func (l *disturbLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	fleet, err := load.Open(ctx, l.plan(side))
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	n := s.scaled(2000)
	fleet.Run(ctx, n/5)
	alone := fleet.Run(ctx, n)
	d, err := l.disturb(ctx, s, side)
	if err != nil {
		return nil, err
	}
	s.pause(ctx, 600*time.Millisecond)
	disturbed := fleet.Run(ctx, n)
	err = d.stop(ctx)
	return disturbFigures(alone, disturbed, d.took), errors.Join(err, failures(alone), failures(disturbed))
}

func disturbFigures(alone, disturbed load.Outcome, took []time.Duration) []Figure {
	before, during := quantile(alone.Latency, 0.5), quantile(disturbed.Latency, 0.5)
	figures := []Figure{
		{Name: "p50 ms alone", Value: before, Digits: 2},
		{Name: "p50 ms disturbed", Value: during, Digits: 2},
		{Name: "p99 ms disturbed", Value: quantile(disturbed.Latency, 0.99), Digits: 2},
		{Name: "p50 disturbed / alone", Value: during / before, Digits: 2, Plain: true},
	}
	if len(took) > 0 {
		figures = append(figures, Figure{Name: "p50 ms of the disturbing answers", Value: quantile(took, 0.5), Digits: 1, Plain: true})
	}
	return figures
}

func (l *disturbLoad) plan(side *Side) load.Plan {
	request := load.Request("POST", side.Addr, "/topics/"+l.topic, load.TypeJSON, load.TypeV2, load.ProduceJSON(1, 100))
	return load.Plan{Addr: side.Addr, Request: request, Check: load.Stored(1), Limit: 20 * time.Second}
}

// End deletes the topic.
func (l *disturbLoad) End(ctx context.Context, s *Suite) error { return s.broker.remove(ctx, l.topic) }

// longPoll is how long the idle reads wait.
const longPoll = 30 * time.Second

// longPolls opens 32 reads of a topic in which nothing is.
func longPolls(ctx context.Context, s *Suite, side *Side) (*disturbance, error) {
	topic := s.name("empty")
	if err := s.broker.create(ctx, topic); err != nil {
		return nil, err
	}
	readers := make([]*reader, 0, 32)
	remove := func(ctx context.Context) error {
		return errors.Join(closeReaders(ctx, readers), s.broker.remove(ctx, topic))
	}
	for range cap(readers) {
		r, err := side.openReader(ctx, topic, s.name("poll"), longPoll, jsonOf100)
		if err == nil {
			readers = append(readers, r)
			err = r.read(ctx, 50*time.Millisecond)
		}
		if err != nil {
			return nil, errors.Join(err, remove(ctx))
		}
	}
	within, cancel := context.WithCancel(ctx)
	var early atomic.Int64
	d := &disturbance{cancel: cancel, after: func(ctx context.Context) error {
		return errors.Join(tooEarly(early.Load()), remove(ctx))
	}}
	for _, r := range readers {
		d.all.Go(func() {
			repeat(within, side.Addr, r.request(longPoll), missingPace, func(took time.Duration) {
				if took < longPoll/2 {
					early.Add(1)
				}
			})
		})
	}
	return d, nil
}

// tooEarly allows each long-poll one answer before its time; with more they were not the idle waits that the load is about.
func tooEarly(n int64) error {
	if n <= 32 {
		return nil
	}
	return fmt.Errorf("%d reads did not wait for data: the figure is void", n)
}

// missingPace is the least time between two requests of one of the clients that produce to the missing topic: the point is what
// they do to others by waiting, not by using up the processor.
const missingPace = 50 * time.Millisecond

// missingTopic lets four clients produce to a topic that does not exist, whatever they are answered.
func missingTopic(ctx context.Context, s *Suite, side *Side) (*disturbance, error) {
	topic := s.name("missing")
	within, cancel := context.WithCancel(ctx)
	d := &disturbance{cancel: cancel, after: func(ctx context.Context) error {
		made, err := s.broker.exists(ctx, topic)
		if made {
			return errors.Join(errors.New("the missing topic was created: the figure is void"), s.broker.remove(ctx, topic))
		}
		return err
	}}
	request := load.Request("POST", side.Addr, "/topics/"+topic, load.TypeJSON, load.TypeV2, load.ProduceJSON(1, 100))
	for range 4 {
		d.all.Go(func() { repeat(within, side.Addr, request, missingPace, d.note) })
	}
	return d, nil
}

// repeat sends the request again and again, no sooner than pace after the last, until ctx ends, which also ends the one under way.
func repeat(ctx context.Context, addr string, request []byte, pace time.Duration, answered func(time.Duration)) {
	for ctx.Err() == nil {
		conn, err := load.Dial(ctx, addr)
		if err != nil {
			return
		}
		hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() }) // that ends Do
		for err == nil && ctx.Err() == nil {
			start := time.Now()
			_, _, err = conn.Do(request, start.Add(3*time.Minute))
			took := time.Since(start)
			if err == nil {
				answered(took)
			}
			wait(ctx, pace-took)
		}
		hangUp()
		_ = conn.Close() // nothing more is read from it
	}
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// thousands writes n with a comma between each three digits.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
