package v3_test

import (
	"regexp"
	"testing"

	"kafkarest/conformance"
)

// checkConformance runs the cases of what is served here.
func checkConformance(t *testing.T, p *proxy) {
	all, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	cases := conformance.Select(all, "v3", regexp.MustCompile(`^v3-(cluster|topic|neg)-`))
	if len(cases) < 25 {
		t.Fatalf("only %d cases", len(cases))
	}
	r := conformance.Runner{Base: p.url, Deviations: conformance.Deviations{
		"v3-topic-002": "reads the topic's configs, which are not served yet",
		"v3-topic-031": "a PATCH through a wrong cluster id changes nothing here",
	}}
	if !p.real {
		const lenient = "the embedded broker takes any config of a topic"
		r.Deviations["v3-topic-014"], r.Deviations["v3-topic-015"] = lenient, lenient
	}
	r.RunAll(t.Context(), cases, 4, func(result conformance.Result) {
		t.Logf("%-15s %s %s", result.Outcome, result.ID, result.Reason)
		if result.Outcome != conformance.Pass && result.Outcome != conformance.KnownDeviation {
			t.Errorf("%s: %q", result.ID, result.Failures)
		}
	})
}
