package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest/bench/load"
)

// produceLoad posts the same body over a number of connections.
type produceLoad struct {
	name     string
	path     string // before the topic; "" is /topics/, of v2
	media    string // content type
	body     string
	records  int // in a body
	conns    int
	requests int // in a round

	topics map[*Side]string
}

// Name implements Load.
func (l *produceLoad) Name() string { return l.name }

// Begin makes a topic for each side and warms the side up with a fifth of a round.
func (l *produceLoad) Begin(ctx context.Context, s *Suite) error {
	l.topics = map[*Side]string{}
	for _, side := range s.sides {
		topic := s.name(side.Name)
		if err := s.broker.create(ctx, topic); err != nil {
			return err
		}
		l.topics[side] = topic
	}
	for _, side := range s.sides {
		fleet, err := load.Open(ctx, l.plan(side))
		if err != nil {
			s.note("warming up %s: %v", side.Name, err)
			continue
		}
		fleet.Run(ctx, s.scaled(l.requests)/5)
		fleet.Close()
	}
	return nil
}

func (l *produceLoad) plan(side *Side) load.Plan {
	path, accept := "/topics/", load.TypeV2
	if l.path != "" {
		path, accept = l.path, ""
	}
	request := load.Request("POST", side.Addr, path+l.topics[side], l.media, accept, l.body)
	return load.Plan{Addr: side.Addr, Conns: l.conns, Request: request, Check: load.Stored(l.records), Limit: time.Minute}
}

// Round drives one side. What the replies say was stored is held against what the topic holds.
func (l *produceLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	fleet, err := load.Open(ctx, l.plan(side))
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	fleet.Run(ctx, l.conns) // every connection has been served once
	before, err := s.broker.count(ctx, l.topics[side])
	if err != nil {
		return nil, err
	}
	meter, err := startMeter(side)
	if err != nil {
		return nil, err
	}
	out := fleet.Run(ctx, s.scaled(l.requests))
	used, err := meter.stop()
	if err != nil {
		return nil, err
	}
	after, err := s.broker.count(ctx, l.topics[side])
	if err != nil {
		return nil, err
	}
	return l.figures(out, used), errors.Join(failures(out), l.landed(out, after-before))
}

func (l *produceLoad) figures(out load.Outcome, used usage) []Figure {
	cost := used.per("10,000 requests", 1e4, out.OK)
	if l.records > 1 {
		cost = used.per("1,000,000 records", 1e6, out.OK*l.records)
	}
	return append([]Figure{
		{Name: "requests/s", Value: float64(out.OK) / out.Took.Seconds()},
		{Name: "p50 ms", Value: quantile(out.Latency, 0.50), Digits: 2},
		{Name: "p99 ms", Value: quantile(out.Latency, 0.99), Digits: 2},
		cost,
	}, used.memoryFigures()...)
}

func failures(out load.Outcome) error {
	if out.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d requests failed: %w", out.Failed, out.Sent, out.FirstError)
}

// landed compares what was answered with what is there. A request that failed may still have been stored, and none may be more.
func (l *produceLoad) landed(out load.Outcome, stored int64) error {
	acked, sent := int64(out.OK*l.records), int64(out.Sent*l.records)
	if stored < acked || stored > sent {
		return fmt.Errorf("%d records landed of %d acknowledged and %d sent", stored, acked, sent)
	}
	return nil
}

// End deletes the topics.
func (l *produceLoad) End(ctx context.Context, s *Suite) error {
	var errs []error
	for _, topic := range l.topics {
		errs = append(errs, s.broker.remove(ctx, topic))
	}
	return errors.Join(errs...)
}
