package v2

import (
	"bytes"
	"math"

	"kafkarest/internal/format"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

// fastParser reads the envelopes that nearly every request has, {"records":[{"key":…,"value":…,"partition":…}]}, in less than half the time of
// the general parser. Whatever is not exactly that, mistakes too, it leaves to the general one, which knows what to say.
type fastParser struct {
	data     []byte
	at       int
	maxDepth int
	base     int32 // the partition of records that name none
}

// parseFast gives the items, and false for what it leaves to the general parser.
func (a *API) parseFast(body []byte, base int32) ([]produce.Item, bool) {
	p := fastParser{data: body, maxDepth: a.cfg.MaxDepth, base: base}
	if !p.take('{') || !p.word(`"records"`) || !p.take(':') || !p.take('[') {
		return nil, false
	}
	var items []produce.Item
	for {
		if len(items) == a.cfg.MaxRecords {
			return nil, false
		}
		if len(items) == cap(items) {
			items = grow(items, len(body), p.at)
		}
		items = append(items, produce.Item{Partition: base})
		if !p.record(&items[len(items)-1]) {
			return nil, false
		}
		if !p.take(',') {
			break
		}
	}
	if !p.take(']') || !p.take('}') {
		return nil, false
	}
	p.space()
	return items, p.at == len(body)
}

func (p *fastParser) space() {
	for p.at < len(p.data) && (p.data[p.at] == ' ' || p.data[p.at] == '\n' || p.data[p.at] == '\r' || p.data[p.at] == '\t') {
		p.at++
	}
}

// take passes over white space and one mark.
func (p *fastParser) take(mark byte) bool {
	p.space()
	if p.at < len(p.data) && p.data[p.at] == mark {
		p.at++
		return true
	}
	return false
}

// word passes over white space and a word.
func (p *fastParser) word(w string) bool {
	p.space()
	if len(p.data)-p.at >= len(w) && string(p.data[p.at:p.at+len(w)]) == w {
		p.at += len(w)
		return true
	}
	return false
}

func (p *fastParser) record(item *produce.Item) bool {
	if !p.take('{') {
		return false
	}
	if p.take('}') {
		return true
	}
	seen := 0
	for {
		if !p.member(item, &seen) {
			return false
		}
		if !p.take(',') {
			return p.take('}')
		}
	}
}

func (p *fastParser) member(item *produce.Item, seen *int) bool {
	switch {
	case *seen&1 == 0 && p.word(`"value"`):
		*seen |= 1
		return p.value(&item.Value)
	case *seen&2 == 0 && p.word(`"key"`):
		*seen |= 2
		return p.value(&item.Key)
	case *seen&4 == 0 && p.word(`"partition"`):
		*seen |= 4
		return p.partition(item)
	}
	return false
}

var null = []byte("null")

func (p *fastParser) value(v *jsontext.Value) bool {
	if !p.take(':') {
		return false
	}
	p.space()
	end := format.EndOfValue(p.data, p.at, p.maxDepth)
	if end < 0 {
		return false
	}
	if text := p.data[p.at:end:end]; !bytes.Equal(text, null) {
		*v = text
	}
	p.at = end
	return true
}

// partition takes a plain number; anything else that the contract allows is the general parser's.
func (p *fastParser) partition(item *produce.Item) bool {
	if !p.take(':') {
		return false
	}
	p.space()
	from, n := p.at, int64(0)
	for p.at < len(p.data) && p.at-from < 11 && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
		n = 10*n + int64(p.data[p.at]-'0')
		p.at++
	}
	if digits := p.at - from; digits == 0 || digits > 1 && p.data[from] == '0' || n > math.MaxInt32 {
		return false
	}
	if p.at < len(p.data) && (p.data[p.at] == '.' || p.data[p.at] == 'e' || p.data[p.at] == 'E') {
		return false
	}
	item.Partition = int32(n)
	return true
}
