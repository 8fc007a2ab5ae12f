package conformance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outcome is what became of a case.
type Outcome string

// The outcomes. A known deviation that passes is a Fail: the list is out of date.
const (
	Pass           Outcome = "pass"
	Fail           Outcome = "fail"
	KnownDeviation Outcome = "known-deviation"
	SkippedNeed    Outcome = "skipped-need"
)

// Result is the outcome of one case.
type Result struct {
	ID      string
	API     string
	Outcome Outcome
	// Failures say which step failed, where, what was expected and what came. A case ends with its first step that fails.
	Failures []string
	// Reason says why a case was skipped or why it deviates.
	Reason string
}

const (
	defaultStepTimeout = 90 * time.Second // the reference itself takes 60 s to give some answers
	retryInterval      = 50 * time.Millisecond
	cleanupTimeout     = 15 * time.Second
)

// Runner runs cases against a proxy. It must not be changed while cases run; several may run at once.
type Runner struct {
	// Base is the proxy's URL, such as http://127.0.0.1:8082.
	Base string
	// Client sends the requests. nil means one for each case, which adds no headers and begins with new connections. Another one
	// must not add headers either; redirects are not followed in any case.
	Client *http.Client
	// Have is what the environment of the proxy has. A case that needs something else is skipped.
	Have []string
	// Start starts a proxy with a configuration, for cases that want one, and says how to stop it. nil skips such cases.
	Start func(config map[string]string) (base string, stop func(), err error)
	// Deviations are the cases that are expected to fail, with the reason.
	Deviations Deviations
	// StepTimeout bounds one request. 0 means 90 s.
	StepTimeout time.Duration
}

// Run runs one case.
func (r *Runner) Run(ctx context.Context, c Case) Result {
	result := Result{ID: c.ID, API: c.API}
	if result.Reason = r.lacks(&c); result.Reason != "" {
		result.Outcome = SkippedNeed
		return result
	}
	result.Failures = r.run(ctx, &c)
	reason, deviates := r.Deviations[c.ID]
	switch failed := len(result.Failures) > 0; {
	case failed && deviates:
		result.Outcome, result.Reason = KnownDeviation, reason
	case failed:
		result.Outcome = Fail
	case deviates:
		result.Outcome = Fail
		result.Failures = []string{"stale deviation: the case passes, so take it off the list; listed because: " + reason}
	default:
		result.Outcome = Pass
	}
	return result
}

// RunAll runs cases, parallel at once, and calls report for each as it ends, one call at a time. It returns the results in the order
// of the cases.
func (r *Runner) RunAll(ctx context.Context, cases []Case, parallel int, report func(Result)) []Result {
	results := make([]Result, len(cases))
	slots := make(chan struct{}, max(parallel, 1))
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i, c := range cases {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = r.Run(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if report != nil {
				report(results[i])
			}
		})
	}
	wg.Wait()
	return results
}

// lacks says what is missing for a case, or nothing.
func (r *Runner) lacks(c *Case) string {
	var lacking []string
	for _, need := range c.Needs {
		if !slices.Contains(r.Have, need) {
			lacking = append(lacking, need)
		}
	}
	if len(c.Config) > 0 && r.Start == nil {
		lacking = append(lacking, "a proxy of its own with other settings")
	}
	if len(lacking) == 0 {
		return ""
	}
	return "needs " + strings.Join(lacking, ", ")
}

func (r *Runner) run(ctx context.Context, c *Case) []string {
	address := r.Base
	if len(c.Config) > 0 {
		started, stop, err := r.Start(maps.Clone(c.Config))
		if err != nil {
			return []string{fmt.Sprintf("starting a proxy with %s: %v", show(c.Config), err)}
		}
		defer stop()
		address = started
	}
	address = strings.TrimRight(address, "/")
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		return []string{fmt.Sprintf("%q is no base URL", address)}
	}
	x := &execution{base: base, timeout: r.StepTimeout, vars: variables{"run": randomWord(), "base": address, "authority": base.Host}}
	if x.timeout == 0 {
		x.timeout = defaultStepTimeout
	}
	defer x.useClient(r.Client)()
	defer x.cleanUp(ctx, c.Cleanup)
	for i := range c.Steps {
		s := &c.Steps[i]
		if failures := x.step(ctx, s); len(failures) > 0 {
			return labelled(failures, i+1, s)
		}
	}
	return nil
}

func labelled(failures []string, number int, s *Step) []string {
	for i, f := range failures {
		failures[i] = fmt.Sprintf("step %d %s %s: %s", number, s.Method, s.Path, f)
	}
	return failures
}
