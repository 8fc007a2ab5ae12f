package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest/bench/load"
)

// consumeLoad reads a whole topic through one consumer, from its creation to the last record.
type consumeLoad struct {
	what    string // the records; "" for 100 B JSON
	records int
	kind    kind                                                                                   // the zero value is jsonOf100
	values  func(ctx context.Context, s *Suite, topic string) (func(i int) ([]byte, error), error) // nil for 100 B JSON

	topic string
}

// Name implements Load.
func (l *consumeLoad) Name() string {
	return fmt.Sprintf("consume %s × %s", thousands(l.records), cmp.Or(l.what, "100 B JSON"))
}

// Begin fills the topic that all sides read.
func (l *consumeLoad) Begin(ctx context.Context, s *Suite) error {
	l.topic = s.name("consume")
	if err := s.broker.create(ctx, l.topic); err != nil {
		return err
	}
	if err := l.fill(ctx, s); err != nil {
		return err
	}
	for _, side := range s.sides {
		if _, err := l.Round(ctx, s, side); err != nil {
			s.note("warming up %s: %v", side.Name, err)
		}
	}
	return nil
}

func (l *consumeLoad) fill(ctx context.Context, s *Suite) error {
	value := func(i int) ([]byte, error) { return []byte(load.Value(i, 100)), nil }
	if l.values != nil {
		var err error
		if value, err = l.values(ctx, s, l.topic); err != nil {
			return err
		}
	}
	return s.broker.fill(ctx, l.topic, l.records, value)
}

// Round reads everything once, in a new group.
func (l *consumeLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	meter, err := startMeter(side)
	if err != nil {
		return nil, err
	}
	r, err := side.openReader(ctx, l.topic, s.name("reader"), time.Second, l.kindOr())
	if err != nil {
		return nil, err
	}
	got, err := load.ReadAll(ctx, side.Addr, r.request(time.Second), l.records, 2*time.Minute)
	if err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	used, err := meter.stop()
	if err != nil {
		return nil, err
	}
	return l.figures(got, used), errors.Join(l.complete(got), r.close(ctx))
}

func (l *consumeLoad) kindOr() kind { return cmp.Or(l.kind, jsonOf100) }

func (l *consumeLoad) figures(got load.Reading, used usage) []Figure {
	return append([]Figure{
		{Name: "records/s", Value: float64(got.Records) / used.took.Seconds()},
		{Name: "reads", Value: float64(got.Reads), Plain: true},
		{Name: "p50 ms of a read", Value: quantile(got.Latency, 0.50), Digits: 2},
		used.per("1,000,000 records", 1e6, got.Records),
	}, used.memoryFigures()...)
}

// complete wants every record, each once.
func (l *consumeLoad) complete(got load.Reading) error {
	if got.Records == l.records && got.Gaps == 0 && got.Repeats == 0 && got.FirstError == nil {
		return nil
	}
	err := fmt.Errorf("%d of %d records read, %d skipped, %d repeated", got.Records, l.records, got.Gaps, got.Repeats)
	return errors.Join(err, got.FirstError)
}

// End deletes the topic.
func (l *consumeLoad) End(ctx context.Context, s *Suite) error { return s.broker.remove(ctx, l.topic) }
