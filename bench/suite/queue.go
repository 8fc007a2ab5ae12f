package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"kafkarest/bench/load"
)

// queueLoad is workers that each receive one message and acknowledge it by DELETE, again and again. Only the proxy has queues.
type queueLoad struct {
	workers, messages int

	topic string
}

// Name implements Load.
func (l *queueLoad) Name() string {
	return fmt.Sprintf("%d workers receive a message and DELETE it, one at a time", l.workers)
}

// Begin fills the topic, of which every round is another consumer.
func (l *queueLoad) Begin(ctx context.Context, s *Suite) error {
	l.topic = s.name("queue")
	if err := s.broker.create(ctx, l.topic); err != nil {
		return err
	}
	return s.broker.fill(ctx, l.topic, l.count(s), func(i int) ([]byte, error) { return []byte(load.Value(i, 100)), nil })
}

func (l *queueLoad) count(s *Suite) int { return s.scaled(l.messages) }

// Round works the whole topic off. The first cycle, which waits for the group, is not timed.
func (l *queueLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if !side.isProxy() {
		return nil, nil
	}
	consumer := s.name("workers")
	path := "/messages/" + l.topic + "/" + consumer
	figures, err := l.drive(ctx, s, side, path)
	if err == nil {
		err = s.broker.acknowledged(ctx, consumer, l.topic, int64(l.count(s)))
	}
	leave := load.Request("DELETE", side.Addr, path, "", "", "")
	_, leaveErr := load.Call(ctx, side.Addr, leave, load.OK, callLimit)
	return figures, errors.Join(err, leaveErr)
}

func (l *queueLoad) drive(ctx context.Context, s *Suite, side *Side, path string) ([]Figure, error) {
	if first := load.Work(ctx, side.Addr, path, 1, 1, callLimit); first.FirstError != nil {
		return nil, first.FirstError
	}
	meter, err := startMeter(side)
	if err != nil {
		return nil, err
	}
	n := l.count(s) - 1
	got := load.Work(ctx, side.Addr, path, l.workers, n, 2*time.Minute)
	used, err := meter.stop()
	if err != nil {
		return nil, err
	}
	return append([]Figure{
		{Name: "cycles/s", Value: float64(got.Cycles) / got.Took.Seconds()},
		{Name: "p50 ms of a cycle", Value: quantile(got.Latency, 0.5), Digits: 2},
		{Name: "cycles per CPU second", Value: float64(got.Cycles) / used.cpu.Seconds()},
	}, used.memoryFigures()...), worked(got, n)
}

// worked wants each message once.
func worked(got load.Worked, want int) error {
	if got.Cycles == want && got.Twice == 0 && got.FirstError == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%d of %d messages acknowledged, %d came twice", got.Cycles, want, got.Twice), got.FirstError)
}

// acknowledged wants the consumer's commit to stand at the end of the topic, which holds n records.
func (b *broker) acknowledged(ctx context.Context, group, topic string, n int64) error {
	committed, err := b.admin.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	var sum int64
	committed.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic && o.Err == nil {
			sum += o.At
		}
	})
	if sum != n {
		return fmt.Errorf("the commit stands at %d of %d records", sum, n)
	}
	return nil
}

// End deletes the topic.
func (l *queueLoad) End(ctx context.Context, s *Suite) error { return s.broker.remove(ctx, l.topic) }
