package registrytest

import (
	"context"
	"strings"
	"testing"
	"time"
)

// Differences maps the name of a check to what the registry does instead, and why that is borne.
type Differences map[string]string

// check is one promise. The probe gathers what breaks it.
type check struct {
	name string
	run  func(*probe)
}

// Run holds a registry's HTTP API to its promises. It uses subjects of its own, so the registry may be shared and need not be empty.
func Run(t *testing.T, url string, differs Differences) {
	t.Helper()
	runAll(t, apiChecks, url, differs)
}

// RunRooms writes and reads records in each format, over the client, over the registry.
func RunRooms(t *testing.T, url string, differs Differences) {
	t.Helper()
	runAll(t, roomChecks, url, differs)
}

func runAll(t *testing.T, checks []check, url string, differs Differences) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range checks {
		known[c.name] = true
		t.Run(c.name, func(t *testing.T) { judge(t, c, url, differs[c.name]) })
	}
	for name := range differs {
		if !known[name] {
			t.Errorf("there is no check %q", name)
		}
	}
}

func judge(t *testing.T, c check, url, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := newProbe(ctx, url)
	defer p.close()
	c.run(p)
	switch {
	case reason == "":
		for _, problem := range p.problems {
			t.Error(problem)
		}
	case len(p.problems) == 0:
		t.Errorf("stale difference: the check passes, so take it off the list; listed because: %s", reason)
	default:
		t.Logf("known difference: %s\n%s", reason, strings.Join(p.problems, "\n"))
	}
}
