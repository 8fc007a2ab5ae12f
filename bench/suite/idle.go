package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"kafkarest/bench/proc"
)

// idleWindow is how long the processor time of idle consumers is watched in a round.
const idleWindow = 6 * time.Second

// openReaders makes n consumers of the topic, each in a group of its own, and lets each read once, so that it has joined. A few are
// made at a time, as clients that come one after another would.
func openReaders(ctx context.Context, s *Suite, side *Side, topic string, n int) ([]*reader, error) {
	ids := make(chan string, n)
	for range n {
		ids <- s.name("idle")
	}
	close(ids)
	var (
		mu      sync.Mutex
		readers []*reader
		errs    []error
		all     sync.WaitGroup
	)
	for range 4 {
		all.Go(func() {
			for id := range ids {
				r, err := side.openReader(ctx, topic, id, time.Second, jsonOf100)
				if err == nil {
					err = r.read(ctx, 50*time.Millisecond)
				}
				mu.Lock()
				if r != nil {
					readers = append(readers, r)
				}
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return readers, firstOf(errs)
}

// firstOf is the first error and how many there are, since a thousand consumers tend to fail for one reason.
func firstOf(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%d consumers failed, the first: %w", len(errs), errs[0])
}

// closeReaders deletes them, all at once, since a peer may keep a DELETE waiting.
func closeReaders(ctx context.Context, readers []*reader) error {
	errs := make([]error, len(readers))
	var all sync.WaitGroup
	for i, r := range readers {
		all.Go(func() { errs[i] = r.close(ctx) })
	}
	all.Wait()
	return firstOf(errs)
}

// idleLoad is a number of consumer instances that nobody uses. All sides hold theirs over all rounds, and are watched in turn.
type idleLoad struct {
	instances int

	topic   string
	readers []*reader
	failed  map[*Side]error // a side that could not make them
}

// Name implements Load.
func (l *idleLoad) Name() string {
	return thousands(l.instances) + " idle consumer instances"
}

// Begin makes the instances and lets them settle.
func (l *idleLoad) Begin(ctx context.Context, s *Suite) error {
	l.topic, l.failed = s.name("idle"), map[*Side]error{}
	if err := s.broker.create(ctx, l.topic); err != nil {
		return err
	}
	for _, side := range s.sides {
		readers, err := openReaders(ctx, s, side, l.topic, l.instances)
		l.readers = append(l.readers, readers...)
		l.failed[side] = err
	}
	s.pause(ctx, 5*time.Second)
	return nil
}

// Round watches one side for a while.
func (l *idleLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if err := l.failed[side]; err != nil {
		return nil, err
	}
	used, err := watch(ctx, s, side)
	if err != nil {
		return nil, err
	}
	return []Figure{
		cpuShare(used),
		{Name: "RSS MB", Value: megabytes(used.memory.RSS)},
	}, nil
}

func watch(ctx context.Context, s *Suite, side *Side) (usage, error) {
	meter, err := startMeter(side)
	if err != nil {
		return usage{}, err
	}
	s.pause(ctx, idleWindow)
	return meter.stop()
}

func cpuShare(used usage) Figure {
	return Figure{Name: "CPU ms per s", Value: 1000 * used.cpu.Seconds() / used.took.Seconds(), Digits: 1}
}

// End deletes the instances and the topic.
func (l *idleLoad) End(ctx context.Context, s *Suite) error {
	return errors.Join(closeReaders(ctx, l.readers), s.broker.remove(ctx, l.topic))
}

// manyLoad is idleLoad in a process that was started for nothing else, so that its memory is that of the instances. A peer is left
// out, as it is not started anew.
type manyLoad struct {
	instances int

	topic string
	done  map[*Side]int // rounds
}

// Name implements Load.
func (l *manyLoad) Name() string {
	return thousands(l.instances) + " idle consumer instances, fresh process"
}

// Begin makes the topic.
func (l *manyLoad) Begin(ctx context.Context, s *Suite) error {
	l.topic, l.done = s.name("many"), map[*Side]int{}
	return s.broker.create(ctx, l.topic)
}

// Round starts the side's program, makes the instances and watches. Three rounds are enough for a size.
func (l *manyLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	l.done[side]++
	if side.program == nil || l.done[side] > 3 {
		return nil, nil
	}
	fresh, err := side.fresh(ctx, s.opts.Dir)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	readers, err := openReaders(ctx, s, fresh, l.topic, l.instances)
	if err != nil {
		return nil, errors.Join(err, closeReaders(ctx, readers))
	}
	peak, err := proc.MemoryOf(fresh.PID)
	if err != nil {
		return nil, err
	}
	s.pause(ctx, 5*time.Second)
	used, err := watch(ctx, s, fresh)
	return []Figure{
		cpuShare(used),
		{Name: "RSS MB", Value: megabytes(used.memory.RSS)},
		{Name: "RSS MB at most, while made", Value: megabytes(peak.Peak)},
	}, errors.Join(err, closeReaders(ctx, readers))
}

// End deletes the topic.
func (l *manyLoad) End(ctx context.Context, s *Suite) error { return s.broker.remove(ctx, l.topic) }

// startLoad is the way from the start of the process to its first answer, and what it holds when nothing has been asked of it yet.
type startLoad struct{}

// Name implements Load.
func (startLoad) Name() string { return "start, then idle" }

// Begin implements Load.
func (startLoad) Begin(context.Context, *Suite) error { return nil }

// Round starts the side's program once. A peer is only weighed, so this load has to be the first.
func (startLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if side.program == nil {
		memory, err := proc.MemoryOf(side.PID)
		return []Figure{idleRSS(memory)}, err
	}
	fresh, err := side.fresh(ctx, s.opts.Dir)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	s.pause(ctx, 3*time.Second)
	memory, err := proc.MemoryOf(fresh.PID)
	return []Figure{{Name: "ms to the first 200", Value: milliseconds(fresh.run.ready)}, idleRSS(memory)}, err
}

func idleRSS(memory proc.Memory) Figure {
	return Figure{Name: "RSS MB", Value: megabytes(memory.RSS), Digits: 1}
}

// End implements Load.
func (startLoad) End(context.Context, *Suite) error { return nil }
