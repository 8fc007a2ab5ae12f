// Command conform runs the conformance cases against a proxy that is already up, prints the cases that fail and a summary, and exits
// with 1 if any failed, 2 if it could not run.
//
//	go run ./conformance/cmd/conform -base http://127.0.0.1:8082 -api v2 -have no-auto-create
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"kafkarest/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are the command's flags.
type settings struct {
	base, api, ids, have, deviations, cases string
	parallel                                int
	timeout                                 time.Duration
	verbose                                 bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("conform", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.base, "base", "http://127.0.0.1:8082", "URL of the proxy")
	flags.StringVar(&s.api, "api", "", "run the cases of one API only: v2 or v3")
	flags.StringVar(&s.ids, "ids", "", "run the cases whose id matches this regular expression")
	flags.StringVar(&s.have, "have", "", "what the proxy's environment has, separated by commas: schema-registry, authorizer, "+
		"no-auto-create, short-max-block, default-timeouts; cases that need something else are skipped")
	flags.StringVar(&s.deviations, "deviations", "known", "cases expected to fail: known (this project's list), none, or a file")
	flags.StringVar(&s.cases, "cases", "", "a file of cases instead of the built-in ones")
	flags.IntVar(&s.parallel, "parallel", 1, "number of cases to run at once")
	flags.DurationVar(&s.timeout, "timeout", 90*time.Second, "limit for one request")
	flags.BoolVar(&s.verbose, "v", false, "print every case, not the failing ones only")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	results, err := s.runCases(ctx, stdout)
	if err == nil {
		err = conformance.PrintSummary(stdout, results)
	}
	if err != nil {
		fmt.Fprintln(stderr, "conform:", err)
		return 2
	}
	if conformance.Failed(results) {
		return 1
	}
	return 0
}

func (s *settings) runCases(ctx context.Context, stdout io.Writer) ([]conformance.Result, error) {
	cases, err := s.load()
	if err != nil {
		return nil, err
	}
	runner := &conformance.Runner{Base: s.base, StepTimeout: s.timeout}
	if runner.Deviations, err = s.loadDeviations(); err != nil {
		return nil, err
	}
	if s.have != "" {
		runner.Have = strings.Split(s.have, ",")
	}
	results := runner.RunAll(ctx, cases, s.parallel, func(r conformance.Result) {
		if s.verbose || r.Outcome == conformance.Fail {
			conformance.PrintResult(stdout, r)
		}
	})
	return results, ctx.Err()
}

func (s *settings) load() ([]conformance.Case, error) {
	ids, err := regexp.Compile(s.ids)
	if err != nil {
		return nil, fmt.Errorf("-ids: %w", err)
	}
	var cases []conformance.Case
	if s.cases != "" {
		cases, err = fromFile(s.cases, conformance.Load)
	} else {
		cases, err = conformance.Cases()
	}
	if err != nil {
		return nil, err
	}
	selected := conformance.Select(cases, s.api, ids)
	if len(selected) == 0 {
		return nil, errors.New("no case is selected")
	}
	return selected, nil
}

func (s *settings) loadDeviations() (conformance.Deviations, error) {
	switch s.deviations {
	case "known":
		return conformance.KnownDeviations()
	case "none", "":
		return nil, nil
	}
	return fromFile(s.deviations, conformance.LoadDeviations)
}

func fromFile[T any](path string, load func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	v, err := load(f)
	if err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}
