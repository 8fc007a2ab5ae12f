package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// execution is a case under way.
type execution struct {
	base    *url.URL
	client  *http.Client
	timeout time.Duration
	vars    variables
}

// useClient sets the client to a copy of the given one, or to a new one, and returns what gives its connections back.
func (x *execution) useClient(given *http.Client) func() {
	release := func() {}
	if given == nil {
		given = newClient()
		release = given.CloseIdleConnections
	}
	client := *given
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	x.client = &client
	return release
}

// step runs a step, again and again for as long as it says, and returns what its last reply did wrong.
func (x *execution) step(ctx context.Context, s *Step) []string {
	if s.SleepMS > 0 {
		return failure(sleep(ctx, time.Duration(s.SleepMS)*time.Millisecond))
	}
	deadline := time.Now().Add(time.Duration(s.RetryUntilMS) * time.Millisecond)
	for {
		failures := x.attempt(ctx, s)
		if len(failures) == 0 || !time.Now().Before(deadline) {
			return failures
		}
		if err := sleep(ctx, retryInterval); err != nil {
			return append(failures, err.Error())
		}
	}
}

func (x *execution) attempt(ctx context.Context, s *Step) []string {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	got, err := send(ctx, x.client, x.base, s, x.vars)
	if err != nil {
		return failure(fmt.Errorf("no reply: %w", err))
	}
	failures := x.check(s, got)
	if len(failures) == 0 {
		failures = failure(x.vars.capture(s.Capture, got.body))
	}
	if len(failures) > 0 {
		failures = append(failures, fmt.Sprintf("the reply was %d %q", got.status, cut(string(got.body))))
	}
	return failures
}

// check lists what a reply does wrong.
func (x *execution) check(s *Step, got *reply) []string {
	var failures []string
	if len(s.Status) > 0 && !slices.Contains(s.Status, got.status) {
		failures = append(failures, fmt.Sprintf("status: expected %v, got %d", []int(s.Status), got.status))
	}
	ms := got.took.Milliseconds()
	if ms < int64(s.MinMS) {
		failures = append(failures, fmt.Sprintf("time: expected at least %d ms, got %d", s.MinMS, ms))
	}
	if s.MaxMS > 0 && ms > int64(s.MaxMS) {
		failures = append(failures, fmt.Sprintf("time: expected at most %d ms, got %d", s.MaxMS, ms))
	}
	failures = append(failures, x.checkHeaders(s, got.header)...)
	if s.ReplyBody != nil {
		failures = append(failures, x.checkValue(jsonText(*s.ReplyBody), string(got.body), true)...)
	}
	for _, e := range []struct {
		want          json.RawMessage
		exact, stream bool
	}{{s.JSONSubset, false, false}, {s.JSONExact, true, false}, {s.StreamSubset, false, true}, {s.StreamExact, true, true}} {
		if e.want != nil {
			failures = append(failures, x.checkJSON(string(e.want), got.body, e.exact, e.stream)...)
		}
	}
	return failures
}

func (x *execution) checkHeaders(s *Step, header http.Header) []string {
	var failures []string
	for _, name := range slices.Sorted(maps.Keys(s.ReplyHeaders)) {
		var got any = missing{}
		if values := header.Values(name); len(values) > 0 {
			got = strings.Join(values, ", ")
		}
		for _, f := range x.checkValue(jsonText(s.ReplyHeaders[name]), got, true) {
			failures = append(failures, "header "+name+" "+f)
		}
	}
	return failures
}

func (x *execution) checkJSON(want string, body []byte, exact, stream bool) []string {
	if stream {
		docs, err := decodeStream(body)
		if err != nil {
			return failure(fmt.Errorf("the reply is no stream of JSON: %w", err))
		}
		return x.checkValue(want, docs, exact)
	}
	doc, err := decodeJSON(body)
	if err != nil {
		return failure(fmt.Errorf("the reply is not JSON: %w", err))
	}
	return x.checkValue(want, doc, exact)
}

// checkValue compares a value to an expectation that is given as JSON text with variables.
func (x *execution) checkValue(want string, got any, exact bool) []string {
	text, err := x.vars.expandJSON(want)
	if err != nil {
		return failure(err)
	}
	v, err := decodeJSON([]byte(text))
	if err != nil {
		return failure(fmt.Errorf("the expectation is not JSON: %w", err))
	}
	return compare(v, got, exact)
}

// cleanUp runs after a case that was cancelled too. Requests whose variables were never set have nothing to remove.
func (x *execution) cleanUp(ctx context.Context, steps []Step) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for i := range steps {
		if steps[i].SleepMS > 0 {
			_ = sleep(ctx, time.Duration(steps[i].SleepMS)*time.Millisecond)
			continue
		}
		_, _ = send(ctx, x.client, x.base, &steps[i], x.vars) // whatever it answers
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(errors.New("stopped"), context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}

func failure(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}
