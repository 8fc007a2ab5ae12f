// Package suite runs the benches: it starts the floor and the proxy, each as a process of its own, drives every side in turn with
// the same loads, and makes one table of medians of it. Nothing here asserts a time.
package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kafkarest/bench/load"
)

// Options say what to run.
type Options struct {
	Brokers   string         // bootstrap servers, with commas between
	Module    string         // the folder of this module, where the sides are built
	Dir       string         // a folder of this run's own, for binaries, configuration and logs
	Rounds    int            // of each load; 0 means 5
	Quick     bool           // a tenth of the requests and shorter waits: to see that it works, not to quote
	FloorOnly bool           // leave the proxy out
	Only      *regexp.Regexp // of the loads' names; nil runs all
	Peers     []*Side        // further columns
	Progress  io.Writer      // a line for each round; nil is silent
}

// Suite is the sides, running. Close it.
type Suite struct {
	opts   Options
	broker *broker
	sides  []*Side

	registry *registry
	schemas  string // the topic of its schemas

	run    int64 // makes names of this run its own
	serial int   // makes each further name its own
}

// Load is one thing that is measured. The rounds of its sides are interleaved.
type Load interface {
	// Name is the first column of the table.
	Name() string
	// Begin makes ready, for all sides, what is not timed.
	Begin(ctx context.Context, s *Suite) error
	// Round drives one side once. Figures may come with an error: they are shown beside each other.
	Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error)
	// End clears away what Begin made.
	End(ctx context.Context, s *Suite) error
}

// Open builds and starts the sides.
func Open(ctx context.Context, opts Options) (*Suite, error) {
	if opts.Rounds == 0 {
		opts.Rounds = 5
	}
	if opts.Progress == nil {
		opts.Progress = io.Discard
	}
	b, err := newBroker(kgo.SeedBrokers(splitList(opts.Brokers)...))
	if err != nil {
		return nil, err
	}
	s := &Suite{opts: opts, broker: b, run: time.Now().Unix()}
	s.schemas = s.name("schemas")
	s.registry, err = startRegistry(ctx, splitList(opts.Brokers), s.schemas)
	if err == nil {
		err = s.startSides(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close stops what Open started. Peers go on.
func (s *Suite) Close() {
	for _, side := range s.sides {
		side.stop()
	}
	if s.registry != nil {
		s.closeRegistry()
	}
	s.broker.close()
}

func (s *Suite) closeRegistry() {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if err := errors.Join(s.registry.close(), s.broker.remove(ctx, s.schemas)); err != nil {
		s.note("closing the Schema Registry: %v", err)
	}
}

func (s *Suite) startSides(ctx context.Context) error {
	floor, err := s.floorProgram(ctx)
	if err != nil {
		return err
	}
	if err := s.startSide(ctx, Side{Name: "floor", isFloor: true, program: floor}); err != nil {
		return err
	}
	if !s.opts.FloorOnly {
		proxy, err := s.proxyProgram(ctx)
		if err != nil {
			return err
		}
		if err := s.startSide(ctx, Side{Name: "kafka-rest", program: proxy}); err != nil {
			return err
		}
	}
	s.sides = append(s.sides, s.opts.Peers...)
	return nil
}

func (s *Suite) startSide(ctx context.Context, kind Side) error {
	side, err := kind.fresh(ctx, s.opts.Dir)
	if err == nil {
		s.sides = append(s.sides, side)
	}
	return err
}

func (s *Suite) floorProgram(ctx context.Context) (*program, error) {
	path := filepath.Join(s.opts.Dir, "floor")
	args := func(addr string) ([]string, error) {
		return []string{"-brokers", s.opts.Brokers, "-listen", addr}, nil
	}
	return &program{path: path, args: args}, goBuild(ctx, s.opts.Module, "./bench/cmd/floor", path)
}

// proxyProgram is the proxy as an operator would run it: a file with the three settings that it cannot guess.
func (s *Suite) proxyProgram(ctx context.Context) (*program, error) {
	path := filepath.Join(s.opts.Dir, "kafka-rest")
	return s.configured(path, s.opts.Brokers, ""), goBuild(ctx, s.opts.Module, "./cmd/kafka-rest", path)
}

// configured is the proxy at path with these brokers, and with more lines in its file.
func (s *Suite) configured(path, brokers, more string) *program {
	return &program{path: path, args: func(addr string) ([]string, error) {
		f, err := os.CreateTemp(s.opts.Dir, "kafka-rest-*.properties")
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintf(f, "bootstrap.servers=%s\nlisteners=http://%s\nschema.registry.url=%s\n%s", brokers, addr, s.registry.url, more)
		return []string{"serve", "--config", f.Name()}, errors.Join(err, f.Close())
	}}
}

// Run runs the loads that the options name and gives the table. An error means that nothing could be run; what goes wrong with a
// load is in the table.
func (s *Suite) Run(ctx context.Context, loads []Load) (string, error) {
	var results []*result
	s.warmBroker(ctx)
	for _, l := range loads {
		if s.opts.Only != nil && !s.opts.Only.MatchString(l.Name()) {
			continue
		}
		results = append(results, s.runLoad(ctx, l))
		if err := ctx.Err(); err != nil {
			return "", err
		}
	}
	if len(results) == 0 {
		return "", errors.New("no load of that name")
	}
	names := make([]string, len(s.sides))
	for i, side := range s.sides {
		names[i] = side.Name
	}
	return table(results, names), nil
}

// warmBroker drives the floor for a while, untimed: a broker whose code is not compiled yet answers slower, and so with other batches,
// in the first rounds than in the last.
func (s *Suite) warmBroker(ctx context.Context) {
	limit := 15 * time.Second
	if s.opts.Quick {
		limit = time.Second
	}
	l := &produceLoad{media: load.TypeJSON, body: load.ProduceJSON(1, 100), conns: 32}
	l.topics = map[*Side]string{s.sides[0]: s.name("warm")}
	if err := s.broker.create(ctx, l.topics[s.sides[0]]); err != nil {
		s.note("warming up the broker: %v", err)
		return
	}
	plan := l.plan(s.sides[0])
	plan.Limit = limit
	fleet, err := load.Open(ctx, plan)
	if err == nil {
		fleet.Run(ctx, 1<<20)
		fleet.Close()
	}
	if err := errors.Join(err, l.End(ctx, s)); err != nil {
		s.note("warming up the broker: %v", err)
	}
}

func (s *Suite) runLoad(ctx context.Context, l Load) *result {
	r := newResult(l.Name())
	if err := l.Begin(ctx, s); err != nil {
		r.fail(s.sides[0].Name, fmt.Errorf("not run: %w", err))
	} else {
		s.rounds(ctx, l, r)
	}
	if err := l.End(ctx, s); err != nil {
		s.note("%s: %v", l.Name(), err)
	}
	return r
}

// rounds runs each side once in each round. Who begins changes, so that no side always follows the same other.
func (s *Suite) rounds(ctx context.Context, l Load, r *result) {
	for round := range s.opts.Rounds {
		for i := range s.sides {
			side := s.sides[(i+round)%len(s.sides)]
			figures, err := l.Round(ctx, s, side)
			if ctx.Err() != nil {
				return
			}
			r.add(side.Name, figures)
			if err != nil {
				r.fail(side.Name, err)
			}
			s.note("%s, round %d, %s:%s", l.Name(), round+1, side.Name, describe(figures, err))
		}
	}
}

func describe(figures []Figure, err error) string {
	text := ""
	for _, f := range figures {
		text += fmt.Sprintf(" %s %.*f;", f.Name, f.Digits, f.Value)
	}
	if err != nil {
		text += " ERROR: " + err.Error()
	}
	return text
}

func (s *Suite) note(format string, args ...any) {
	fmt.Fprintf(s.opts.Progress, format+"\n", args...)
}

// name makes a topic's or a consumer's name that no other run and no other call has.
func (s *Suite) name(parts ...string) string {
	s.serial++
	return safeName(append([]string{fmt.Sprintf("bench-%d-%d", s.run, s.serial)}, parts...)...)
}

// scaled is n, or a tenth of it in a quick run.
func (s *Suite) scaled(n int) int {
	if s.opts.Quick {
		return max(1, n/10)
	}
	return n
}

// pause waits for d, or a third of it in a quick run.
func (s *Suite) pause(ctx context.Context, d time.Duration) {
	if s.opts.Quick {
		d /= 3
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// KafkaVersion is what the broker seems to be.
func (s *Suite) KafkaVersion(ctx context.Context) string { return s.broker.version(ctx) }

// ProxyBinary is the path of the proxy that was built, or "" without one.
func (s *Suite) ProxyBinary() string {
	for _, side := range s.sides {
		if side.program != nil && !side.isFloor {
			return side.program.path
		}
	}
	return ""
}
