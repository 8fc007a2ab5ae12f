package tests

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"

	"kafkarest/conformance"
	"kafkarest/tests/harness"
)

// with adds settings to others.
func with(settings, more map[string]string) map[string]string {
	out := maps.Clone(settings)
	maps.Copy(out, more)
	return out
}

// TestConformance runs the cases of the contract against the proxy on each broker, with a Schema Registry beside it.
func TestConformance(t *testing.T) {
	cases, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	deviations, err := conformance.KnownDeviations()
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{"v2": true}
	eachBroker(t, func(t *testing.T, b broker) {
		have := []string{"no-auto-create", "short-max-block", "default-timeouts", "schema-registry"}
		settings := harness.RegistrySettings(t, b)
		p := startProxy(t, b, settings)
		runner := conformance.Runner{
			Base: p.URL, Deviations: deviations, Have: have,
			Start: func(wants map[string]string) (string, func(), error) {
				own, err := newProxy(b, with(settings, wants))
				if err != nil {
					return "", nil, err
				}
				return own.URL, func() {
					if err := own.stop(); err != nil {
						t.Error(err)
					}
				}, nil
			},
		}
		var selected []conformance.Case
		for _, c := range cases {
			if wanted[c.API] {
				selected = append(selected, c)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		results := runner.RunAll(ctx, selected, 8, func(conformance.Result) {})
		for _, r := range results {
			if r.Outcome == conformance.Fail {
				t.Errorf("%s: %v", r.ID, r.Failures)
			}
		}
		if err := conformance.PrintSummary(os.Stdout, results); err != nil {
			t.Error(err)
		}
	})
}
