package suite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kafkarest/bench/load"
)

// tailsLoad is many event streams of one topic, into which records come at a steady pace. Only the proxy has such streams; it is started
// for nothing else, so that its memory is theirs.
type tailsLoad struct {
	tails  int
	pace   int // records a second
	during time.Duration

	rounds rounds
}

// Name implements Load.
func (l *tailsLoad) Name() string {
	return fmt.Sprintf("%s event streams of one topic, %d × 100 B a second for %s, fresh process", thousands(l.tails), l.pace, l.during)
}

// Begin implements Load.
func (l *tailsLoad) Begin(context.Context, *Suite) error {
	l.rounds = rounds{}
	return nil
}

// Round opens the streams, then produces. The topic is the round's own, so that its offsets begin at 0.
func (l *tailsLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if !side.isProxy() || l.rounds.enough(side, 3) {
		return nil, nil
	}
	topic := s.name("tails")
	if err := s.broker.create(ctx, topic); err != nil {
		return nil, err
	}
	fresh, err := side.fresh(ctx, s.opts.Dir)
	if err != nil {
		return nil, errors.Join(err, s.broker.remove(ctx, topic))
	}
	defer fresh.stop()
	figures, err := l.drive(ctx, s, fresh, topic)
	return figures, errors.Join(err, s.broker.remove(ctx, topic))
}

func (l *tailsLoad) drive(ctx context.Context, s *Suite, side *Side, topic string) ([]Figure, error) {
	seconds := l.during.Seconds()
	if s.opts.Quick {
		seconds /= 5
	}
	records := int(float64(l.pace) * seconds)
	deadline := time.Now().Add(l.during + time.Minute)
	tails, err := openTails(ctx, side, topic, s.scaled(l.tails), deadline)
	defer closeTails(tails)
	if err != nil {
		return nil, err
	}
	hangUp := context.AfterFunc(ctx, func() { closeTails(tails) }) // that ends their reads
	defer hangUp()
	meter, err := startMeter(side)
	if err != nil {
		return nil, err
	}
	produced := make(chan error, 1)
	go func() { produced <- s.broker.trickle(ctx, topic, records, l.pace) }()
	err = readTails(tails, records)
	used, meterErr := meter.stop()
	if err := errors.Join(err, <-produced, meterErr); err != nil {
		return nil, err
	}
	deliveries := records * len(tails)
	return append([]Figure{
		{Name: "deliveries/s", Value: float64(deliveries) / used.took.Seconds()},
		used.per("1,000,000 deliveries", 1e6, deliveries),
	}, used.memoryFigures()...), nil
}

// openTails opens them a few at a time.
func openTails(ctx context.Context, side *Side, topic string, n int, deadline time.Time) ([]*load.Tail, error) {
	tails, errs := make([]*load.Tail, n), make([]error, n)
	var all sync.WaitGroup
	const hands = 8
	for hand := range hands {
		all.Go(func() {
			for i := hand; i < n; i += hands {
				tails[i], errs[i] = load.OpenTail(ctx, side.Addr, "/messages/"+topic+"/-/latest", deadline)
			}
		})
	}
	all.Wait()
	return tails, firstOf(errs)
}

func closeTails(tails []*load.Tail) {
	for _, t := range tails {
		if t != nil {
			_ = t.Close() // what was wanted of it has come
		}
	}
}

// readTails wants every record at each tail, each once and in the order of its partition.
func readTails(tails []*load.Tail, records int) error {
	errs := make([]error, len(tails))
	var all sync.WaitGroup
	for i, t := range tails {
		all.Go(func() {
			got, err := t.Read(records)
			if err == nil && (got.Records != records || got.Gaps+got.Repeats > 0) {
				err = fmt.Errorf("a tail got %d of %d records, %d skipped, %d repeated", got.Records, records, got.Gaps, got.Repeats)
			}
			errs[i] = err
		})
	}
	all.Wait()
	return firstOf(errs)
}

// trickle writes n records to the topic, so many a second.
func (b *broker) trickle(ctx context.Context, topic string, n, pace int) error {
	var mu sync.Mutex
	var failed error
	due := time.NewTicker(time.Second / time.Duration(pace))
	defer due.Stop()
	for i := range n {
		select {
		case <-due.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.client.Produce(ctx, &kgo.Record{Topic: topic, Value: []byte(load.Value(i, 100))}, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	if err := b.client.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

// End implements Load.
func (*tailsLoad) End(context.Context, *Suite) error { return nil }
