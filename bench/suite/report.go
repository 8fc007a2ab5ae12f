package suite

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Figure is one number that a round of a load gave for one side.
type Figure struct {
	Name   string
	Value  float64
	Digits int  // after the point
	Plain  bool // of no use as a ratio to the floor
}

// cell is one figure of one side over the rounds.
type cell struct {
	figure Figure
	values []float64
}

// result is one load over the rounds: for each side its figures, and what went wrong.
type result struct {
	load   string
	names  []string // of the figures, in the order first seen
	cells  map[string]map[string]*cell
	errors map[string][]string
}

func newResult(load string) *result {
	return &result{load: load, cells: map[string]map[string]*cell{}, errors: map[string][]string{}}
}

func (r *result) add(side string, figures []Figure) {
	if r.cells[side] == nil {
		r.cells[side] = map[string]*cell{}
	}
	for _, f := range figures {
		if !r.known(f.Name) {
			r.names = append(r.names, f.Name)
		}
		c := r.cells[side][f.Name]
		if c == nil {
			c = &cell{figure: f}
			r.cells[side][f.Name] = c
		}
		c.values = append(c.values, f.Value)
	}
}

func (r *result) known(name string) bool {
	return slices.Contains(r.names, name)
}

func (r *result) fail(side string, err error) {
	r.errors[side] = append(r.errors[side], err.Error())
}

// table renders the results: a row for each figure of each load, a column for each side, and beside each but the first its ratio to
// the first, which is the floor. Errors are rows of their own, so that no figure is read without them.
func table(results []*result, sides []string) string {
	var b strings.Builder
	b.WriteString("| load | median of | " + sides[0] + " |")
	for _, side := range sides[1:] {
		b.WriteString(" " + side + " | ratio |")
	}
	b.WriteString("\n|---|---|--:|" + strings.Repeat("--:|--:|", len(sides)-1) + "\n")
	for _, r := range results {
		for _, name := range r.names {
			b.WriteString(r.row(name, sides))
		}
		b.WriteString(r.errorRow(sides))
	}
	return b.String()
}

func (r *result) row(name string, sides []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s | %s |", r.load, name, r.number(sides[0], name))
	for _, side := range sides[1:] {
		fmt.Fprintf(&b, " %s | %s |", r.number(side, name), r.ratio(side, sides[0], name))
	}
	return b.String() + "\n"
}

func (r *result) number(side, name string) string {
	c := r.cells[side][name]
	if c == nil || math.IsNaN(median(c.values)) {
		return "–"
	}
	return strconv.FormatFloat(median(c.values), 'f', c.figure.Digits, 64)
}

func (r *result) ratio(side, floor, name string) string {
	c, base := r.cells[side][name], r.cells[floor][name]
	if c == nil || base == nil || c.figure.Plain {
		return "–"
	}
	ratio := median(c.values) / median(base.values)
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return "–"
	}
	return strconv.FormatFloat(ratio, 'f', 2, 64)
}

func (r *result) errorRow(sides []string) string {
	if len(r.errors) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | **ERROR** | %s |", r.load, r.problem(sides[0]))
	for _, side := range sides[1:] {
		fmt.Fprintf(&b, " %s | – |", r.problem(side))
	}
	return b.String() + "\n"
}

// problem is the first error of a side, made fit for a table's cell, and how many more there were.
func (r *result) problem(side string) string {
	errs := r.errors[side]
	if len(errs) == 0 {
		return "none"
	}
	text := strings.NewReplacer("|", "/", "\n", " ", "\r", " ").Replace(errs[0])
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	if len(errs) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	return text
}
