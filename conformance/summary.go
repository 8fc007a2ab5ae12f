package conformance

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

var outcomes = []Outcome{Pass, Fail, KnownDeviation, SkippedNeed}

// Failed reports whether a case failed that should not.
func Failed(results []Result) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return r.Outcome == Fail })
}

// PrintSummary writes a table: a line for each API and one for all, with the number of cases of each outcome.
func PrintSummary(w io.Writer, results []Result) error {
	counts := map[string]map[Outcome]int{}
	for _, r := range results {
		for _, row := range []string{r.API, "all"} {
			if counts[row] == nil {
				counts[row] = map[Outcome]int{}
			}
			counts[row][r.Outcome]++
		}
	}
	apis := slices.Sorted(maps.Keys(counts))
	apis = slices.DeleteFunc(apis, func(api string) bool { return api == "all" })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "api\tcases\t")
	for _, o := range outcomes {
		fmt.Fprintf(table, "%s\t", o)
	}
	fmt.Fprintln(table)
	for _, api := range append(apis, "all") {
		printRow(table, api, counts[api])
	}
	return table.Flush()
}

func printRow(w io.Writer, api string, counts map[Outcome]int) {
	total := 0
	for _, n := range counts {
		total += n
	}
	fmt.Fprintf(w, "%s\t%d\t", api, total)
	for _, o := range outcomes {
		fmt.Fprintf(w, "%d\t", counts[o])
	}
	fmt.Fprintln(w)
}

// PrintResult writes one line for a result, and one more for each failure.
func PrintResult(w io.Writer, r Result) {
	fmt.Fprintf(w, "%-16s %s", r.Outcome, r.ID)
	if r.Reason != "" {
		fmt.Fprintf(w, "  (%s)", r.Reason)
	}
	fmt.Fprintln(w)
	if r.Outcome != Fail {
		return
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "    %s\n", f)
	}
}
