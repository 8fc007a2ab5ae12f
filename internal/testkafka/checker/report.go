package checker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is the way in which a promise was broken.
type Kind string

// The kinds of findings.
const (
	Lost             Kind = "lost"                 // acknowledged, and not in the log
	Phantom          Kind = "phantom"              // said to have failed, or never asked for, and in the log
	DuplicateOK      Kind = "duplicate of ok"      // acknowledged, and in the log more than once
	DuplicateUnknown Kind = "duplicate of unknown" // in doubt, and in the log more than once
	Corrupt          Kind = "corrupt"              // the value is not the one that was sent
	Misrouted        Kind = "misrouted"            // in another topic or partition, under another key, or not where the acknowledgement says
	OutOfOrder       Kind = "out of order"         // records of one key are not in the order in which they were sent
	Late             Kind = "late"                 // answered after the deadline, or never
	Skipped          Kind = "skipped"              // in the log, and never delivered to the group
	Redelivered      Kind = "redelivered"          // delivered to the group more than once
	CommitRegression Kind = "commit regression"    // a confirmed commit lies before an earlier one
	Overcommitted    Kind = "overcommitted"        // a confirmed commit covers a record that was not delivered before
	BadHistory       Kind = "bad history"          // the test itself is wrong: an id used twice, an outcome without a request
)

// Finding is one broken promise.
type Finding struct {
	Kind   Kind
	ID     string // of the record, or "" when it has none
	Detail string // in words, with topic, partition and offset where there are any
}

func (f Finding) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", f.Kind, f.ID, f.Detail))
}

// Report is the outcome of Check.
type Report struct {
	Invoked, OK, Failed, Unknown int // records asked for, by outcome; one without an outcome counts as unknown
	Stored                       int // records of this run in the log
	Foreign                      int // records of other runs in the log, which are not judged
	Deliveries, Commits          int
	MaxLatency                   time.Duration // from the request to the outcome
	Findings                     []Finding
}

func (r *Report) add(kind Kind, id, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, id, fmt.Sprintf(format, args...)})
}

// Count is the number of findings of one kind.
func (r *Report) Count(kind Kind) int {
	n := 0
	for _, f := range r.Findings {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// Err is nil when every promise was kept, and else has the text of String.
func (r *Report) Err() error {
	if len(r.Findings) == 0 {
		return nil
	}
	return errors.New(r.String())
}

// String counts everything and shows the first ten findings of each kind.
func (r *Report) String() string {
	const shown = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%d records asked for: %d ok, %d failed, %d unknown, slowest answer %v; ",
		r.Invoked, r.OK, r.Failed, r.Unknown, r.MaxLatency.Round(time.Millisecond))
	fmt.Fprintf(&b, "%d stored, %d of other runs; %d deliveries, %d commits; %d findings",
		r.Stored, r.Foreign, r.Deliveries, r.Commits, len(r.Findings))
	perKind := make(map[Kind]int)
	for _, f := range r.Findings {
		if perKind[f.Kind]++; perKind[f.Kind] <= shown {
			fmt.Fprintf(&b, "\n  %v", f)
		}
	}
	for _, kind := range r.kinds() {
		if perKind[kind] > shown {
			fmt.Fprintf(&b, "\n  %s: %d in all", kind, perKind[kind])
		}
	}
	return b.String()
}

// kinds are those that were found, in the order of the findings.
func (r *Report) kinds() []Kind {
	var out []Kind
	for _, f := range r.Findings {
		if !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	return out
}
