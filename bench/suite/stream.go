package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest/bench/load"
	"kafkarest/bench/proc"
)

// linesInLot is how many lines go out in one write: about 50 kB, as a client does that copies a file.
const linesInLot = 500

// streamLoad posts one endless-looking request of NDJSON and reads its outcomes meanwhile, in a process that was started for nothing else:
// what its memory grows by is the stream's. Peers are left out.
type streamLoad struct {
	records int

	rounds rounds
}

// Name implements Load.
func (l *streamLoad) Name() string {
	return fmt.Sprintf("stream %s × 100 B NDJSON in one request, fresh process", thousands(l.records))
}

// Begin warms the broker up by way of the floor.
func (l *streamLoad) Begin(ctx context.Context, s *Suite) error {
	l.rounds = rounds{}
	topic := s.name("stream")
	if err := s.broker.create(ctx, topic); err != nil {
		return err
	}
	if _, err := l.post(ctx, s, s.sides[0], topic); err != nil {
		s.note("warming up the broker: %v", err)
	}
	return s.broker.remove(ctx, topic)
}

// post sends one stream. A quick one has a tenth of the records.
func (l *streamLoad) post(ctx context.Context, s *Suite, side *Side, topic string) (load.Streamed, error) {
	return load.StreamLines(ctx, side.Addr, "/messages/"+topic, load.Lines(linesInLot, 100), l.lots(s), 2*time.Minute)
}

func (l *streamLoad) lots(s *Suite) int { return max(1, s.scaled(l.records)/linesInLot) }

// Round starts the side's program and sends it one request. The topic is the round's own, so that its offsets begin at 0.
func (l *streamLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if !side.hasMessages() || l.rounds.enough(side, 3) {
		return nil, nil
	}
	topic := s.name("stream")
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

func (l *streamLoad) drive(ctx context.Context, s *Suite, side *Side, topic string) ([]Figure, error) {
	s.pause(ctx, time.Second) // the process has started and is idle
	before, err := proc.MemoryOf(side.PID)
	if err != nil {
		return nil, err
	}
	meter, err := startMeter(side)
	if err != nil {
		return nil, err
	}
	got, err := l.post(ctx, s, side, topic)
	used, meterErr := meter.stop()
	stored, countErr := s.broker.count(ctx, topic)
	if err := errors.Join(err, meterErr, countErr); err != nil {
		return nil, err
	}
	return []Figure{
		{Name: "records/s", Value: float64(got.Records) / used.took.Seconds()},
		used.per("1,000,000 records", 1e6, got.Records),
		{Name: "RSS MB before", Value: megabytes(before.RSS)},
		{Name: "MB by which RSS grew at most, meanwhile", Value: megabytes(used.memory.Peak - before.RSS), Digits: 1},
	}, streamed(got, stored, l.lots(s)*linesInLot)
}

// streamed wants an outcome for each line, in order, and as many records in the log.
func streamed(got load.Streamed, stored int64, want int) error {
	summary := fmt.Sprintf(`{"done":true,"stored":%d,"failed":0,"in_doubt":0}`, want)
	if got.Records == want && got.Gaps == 0 && got.Repeats == 0 && stored == int64(want) && got.Last == summary {
		return nil
	}
	return fmt.Errorf("%d lines: %d outcomes, %d offsets skipped, %d repeated; %d landed; the summary says %s",
		want, got.Records, got.Gaps, got.Repeats, stored, got.Last)
}

// End implements Load.
func (*streamLoad) End(context.Context, *Suite) error { return nil }

// rounds counts the rounds of each side: a few are enough for a load that starts a process for each.
type rounds map[*Side]int

// enough counts one more, and reports whether that is more than so many.
func (r rounds) enough(side *Side, most int) bool {
	r[side]++
	return r[side] > most
}
