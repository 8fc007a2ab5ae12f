package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// decodeJSON decodes exactly one JSON document. Numbers keep their text.
func decodeJSON(data []byte) (any, error) {
	docs, err := decodeStream(data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, fmt.Errorf("%d JSON documents, want one", len(docs))
	}
	return docs[0], nil
}

// decodeStream decodes JSON documents that follow each other, with or without space between them.
func decodeStream(data []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	docs := []any{}
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, fmt.Errorf("JSON document %d: %w", len(docs)+1, err)
		}
		docs = append(docs, v)
	}
}

// comparison compares a reply to what is expected of it. exact refuses members that are not expected.
type comparison struct {
	exact      bool
	mismatches []string
}

// compare lists what is different between want, an expectation, and got, a reply.
func compare(want, got any, exact bool) []string {
	c := &comparison{exact: exact}
	c.value("$", want, got)
	return c.mismatches
}

func (c *comparison) miss(at string, want, got any) {
	c.mismatches = append(c.mismatches, fmt.Sprintf("%s: expected %s, got %s", at, show(want), show(got)))
}

func (c *comparison) value(at string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		if isArrayMatcher(w) {
			c.arrayMatcher(at, w, got)
		} else if g, ok := got.(map[string]any); ok {
			c.object(at, w, g)
		} else {
			c.miss(at, want, got)
		}
	case []any:
		c.array(at, w, got)
	default:
		if !c.scalar(want, got) {
			c.miss(at, want, got)
		}
	}
}

func (c *comparison) object(at string, want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[key]
		if !ok {
			g = missing{}
		}
		c.value(at+"."+key, want[key], g)
	}
	if !c.exact {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			c.miss(at+"."+key, missing{}, got[key])
		}
	}
}

func (c *comparison) array(at string, want []any, got any) {
	g, ok := got.([]any)
	if !ok || len(g) != len(want) {
		c.miss(at, want, got)
		return
	}
	for i := range want {
		c.value(at+"["+strconv.Itoa(i)+"]", want[i], g[i])
	}
}

func (c *comparison) arrayMatcher(at string, want map[string]any, got any) {
	g, ok := got.([]any)
	if !ok {
		c.miss(at, want, got)
		return
	}
	for key, v := range want {
		name, _, _ := parseMatcher(key)
		if !c.arrayIs(name, v, g) {
			c.miss(at, want, got)
		}
	}
}

func (c *comparison) arrayIs(name string, want any, got []any) bool {
	if name == "array_len" {
		n, ok := want.(json.Number)
		return ok && sameNumber(n, json.Number(strconv.Itoa(len(got))))
	}
	items, ok := want.([]any)
	if !ok {
		return false
	}
	found := func(item any) bool {
		return slices.ContainsFunc(got, func(g any) bool { return c.matches(item, g) })
	}
	switch name {
	case "array_contains":
		return !slices.ContainsFunc(items, func(item any) bool { return !found(item) })
	case "array_lacks":
		return !slices.ContainsFunc(items, found)
	case "array_unordered":
		return len(items) == len(got) && c.pair(items, got)
	}
	return false
}

// pair reports whether each item can have an element of its own. An element may fit several items, so it goes back when it must.
func (c *comparison) pair(items, got []any) bool {
	if len(items) == 0 {
		return true
	}
	for i, g := range got {
		if c.matches(items[0], g) && c.pair(items[1:], slices.Delete(slices.Clone(got), i, i+1)) {
			return true
		}
	}
	return false
}

func (c *comparison) matches(want, got any) bool { return len(compare(want, got, c.exact)) == 0 }

func (c *comparison) scalar(want, got any) bool {
	switch w := want.(type) {
	case string:
		if name, argument, ok := parseMatcher(w); ok {
			match := stringMatchers[name]
			return match != nil && match(argument, got)
		}
		return w == got
	case json.Number:
		g, ok := got.(json.Number)
		return ok && sameNumber(w, g)
	default: // bool and nil
		return want == got
	}
}

// sameNumber compares by value: 1 is 1.0, and 9007199254740993 is not 9007199254740992. A number with a huge exponent, which would
// take as much memory as it has digits, is compared as text.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okX := rational(a.String())
	y, okY := rational(b.String())
	return okX && okY && x.Cmp(y) == 0
}

func rational(s string) (*big.Rat, bool) {
	if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > 400 || n < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

// show is a value as JSON, cut to a length that can be read.
func show(v any) string {
	if v == (missing{}) {
		return "nothing"
	}
	return cut(jsonText(v))
}

// jsonText is a value as JSON.
func jsonText(v any) string {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v) // cannot be: v came from JSON
	}
	return strings.TrimSpace(text.String())
}

func cut(s string) string {
	const most = 600
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf("… (%d bytes)", len(s))
}
