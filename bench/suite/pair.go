package suite

import (
	"context"
	"errors"
	"slices"
	"time"

	"kafkarest/bench/load"
)

// pairLoad posts the same value in two ways, a slice of the one and a slice of the other in turn, so that what else the machine does
// hits both. Peers are left out: they do not know the other way.
type pairLoad struct {
	name   string
	plain  *produceLoad // POST /messages/{topic}: the body is the value
	v2     *produceLoad // POST /topics/{topic}: the value in its envelope
	slices int          // of each way in a round
}

func newPair(requests int) *pairLoad {
	return &pairLoad{
		name: "produce 1 × 100 B as a plain body (POST /messages) beside v2 (POST /topics), 32 connections", slices: 12,
		plain: &produceLoad{path: "/messages/", media: "application/octet-stream", body: load.Value(0, 100), records: 1, conns: 32, requests: requests},
		v2:    &produceLoad{media: load.TypeJSON, body: load.ProduceJSON(1, 100), records: 1, conns: 32, requests: requests},
	}
}

// Name implements Load.
func (l *pairLoad) Name() string { return l.name }

// Begin makes two topics for each side and warms both ways up by a round that does not count.
func (l *pairLoad) Begin(ctx context.Context, s *Suite) error {
	if err := errors.Join(l.plain.Begin(ctx, s), l.v2.Begin(ctx, s)); err != nil {
		return err
	}
	for _, side := range s.sides {
		if _, err := l.Round(ctx, s, side); err != nil {
			s.note("warming up %s: %v", side.Name, err)
		}
	}
	return nil
}

// way is one of the two in one round.
type way struct {
	load   *produceLoad
	fleet  *load.Fleet
	before int64
	out    load.Outcome
	used   usage
}

// Round drives one side in both ways. The order turns round with each pair of slices.
func (l *pairLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if !side.hasMessages() {
		return nil, nil
	}
	ways := []*way{{load: l.plain}, {load: l.v2}}
	for _, w := range ways {
		if err := w.open(ctx, s, side); err != nil {
			return nil, err
		}
		defer w.fleet.Close()
	}
	for range l.slices {
		for _, w := range ways {
			if err := w.slice(ctx, side, s.scaled(w.load.requests)/l.slices); err != nil {
				return nil, err
			}
		}
		slices.Reverse(ways)
	}
	plain, v2 := ways[0], ways[1]
	if plain.load != l.plain {
		plain, v2 = v2, plain
	}
	return pairFigures(plain, v2), errors.Join(plain.check(ctx, s, side), v2.check(ctx, s, side))
}

func (w *way) open(ctx context.Context, s *Suite, side *Side) (err error) {
	if w.fleet, err = load.Open(ctx, w.load.plan(side)); err != nil {
		return err
	}
	w.fleet.Run(ctx, w.load.conns) // every connection has been served once
	if w.before, err = s.broker.count(ctx, w.load.topics[side]); err != nil {
		w.fleet.Close()
	}
	return err
}

func (w *way) slice(ctx context.Context, side *Side, n int) error {
	meter, err := startMeter(side)
	if err != nil {
		return err
	}
	out := w.fleet.Run(ctx, n)
	used, err := meter.stop()
	w.out.Sent += out.Sent
	w.out.OK += out.OK
	w.out.Failed += out.Failed
	w.out.Took += out.Took
	w.out.Latency = append(w.out.Latency, out.Latency...)
	if w.out.FirstError == nil {
		w.out.FirstError = out.FirstError
	}
	w.used.cpu += used.cpu
	return err
}

func (w *way) check(ctx context.Context, s *Suite, side *Side) error {
	after, err := s.broker.count(ctx, w.load.topics[side])
	if err != nil {
		return err
	}
	return errors.Join(failures(w.out), w.load.landed(w.out, after-w.before))
}

func pairFigures(plain, v2 *way) []Figure {
	cost := func(w *way, which string) Figure { return w.used.per("10,000 requests, "+which, 1e4, w.out.OK) }
	p50 := func(w *way, which string) Figure {
		return Figure{Name: "p50 ms, " + which, Value: quantile(w.out.Latency, 0.5), Digits: 2}
	}
	rate := func(w *way, which string) Figure {
		return Figure{Name: "requests/s, " + which, Value: float64(w.out.OK) / max(w.out.Took, time.Microsecond).Seconds()}
	}
	a, b := cost(plain, "plain"), cost(v2, "v2")
	return []Figure{
		rate(plain, "plain"), rate(v2, "v2"), p50(plain, "plain"), p50(v2, "v2"), a, b,
		{Name: "CPU plain body / CPU v2, same process and round", Value: a.Value / b.Value, Digits: 2, Plain: true},
	}
}

// End deletes the topics.
func (l *pairLoad) End(ctx context.Context, s *Suite) error {
	return errors.Join(l.plain.End(ctx, s), l.v2.End(ctx, s))
}
