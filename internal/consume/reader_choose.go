package consume

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lot is what there is of one partition.
type lot struct {
	partition int32
	records   []*kgo.Record
	next      int64 // after all of records
}

// choose takes records from every partition in turn, so that none starves another, until a limit; then orders them by time, as far as the
// order within partitions lets it. What was not taken is found again by the next read.
func (t *Tail) choose(lots []lot, limits Limits) *Batch {
	taken := make([]int, len(lots))
	first := t.first(lots)
	var size int64
	n := 0
	for more := true; more && n < limits.Records; {
		more = false
		for i := range lots {
			i = (first + i) % len(lots)
			if taken[i] == len(lots[i].records) || n == limits.Records {
				continue
			}
			r := lots[i].records[taken[i]]
			if bytes := int64(len(r.Key) + len(r.Value)); n == 0 || size+bytes <= limits.Bytes {
				size += bytes
				taken[i]++
				n++
				more = true
			}
		}
	}
	b := &Batch{Records: merge(lots, taken, n), Gaps: t.gaps}
	if n > 0 {
		t.gaps = nil
	}
	for i, l := range lots {
		switch k := taken[i]; {
		case k == len(l.records):
			t.advance(l.partition, l.next)
		case k > 0:
			t.advance(l.partition, l.records[k-1].Offset+1)
		}
	}
	t.at.Ahead = t.at.Ahead && t.beyond()
	b.Next = t.at.Clone()
	return b
}

// first is the lot to begin with: that whose first record is the oldest. Of several the positions choose one, so that however few records are
// taken at a time none is passed over for long, and the same cursor still reads the same.
func (t *Tail) first(lots []lot) int {
	oldest, equal := 0, 0
	for i, l := range lots {
		if len(l.records) == 0 {
			continue
		}
		if equal > 0 {
			switch l.records[0].Timestamp.Compare(lots[oldest].records[0].Timestamp) {
			case 0:
				equal++
				continue
			case 1:
				continue
			}
		}
		oldest, equal = i, 1
	}
	if equal < 2 {
		return oldest
	}
	skip := spread(t.at.Next) % equal
	for i := oldest; ; i++ {
		if len(lots[i].records) == 0 || !lots[i].records[0].Timestamp.Equal(lots[oldest].records[0].Timestamp) {
			continue
		}
		if skip == 0 {
			return i
		}
		skip--
	}
}

// spread makes a number of positions that is another one, anywhere, whenever one of them moves.
func spread(at []Position) int {
	var sum uint64
	for _, p := range at {
		sum += uint64(p.Offset)
	}
	return int(sum * 0x9E3779B97F4A7C15 >> 33) // Fibonacci hashing: offsets may go in steps that a remainder would follow
}

// rotate puts the first n, modulo their number, after the others.
func rotate(at []Position, n int) {
	n %= len(at)
	slices.Reverse(at[:n])
	slices.Reverse(at[n:])
	slices.Reverse(at)
}

// merge orders the first taken[i] records of each lot by timestamp, keeping each lot's own order.
func merge(lots []lot, taken []int, n int) []*kgo.Record {
	if n == 0 {
		return nil
	}
	out := make([]*kgo.Record, 0, n)
	at := make([]int, len(lots))
	for len(out) < n {
		first := -1
		for i := range lots {
			if at[i] < taken[i] && (first < 0 || lots[i].records[at[i]].Timestamp.Before(lots[first].records[at[first]].Timestamp)) {
				first = i
			}
		}
		out = append(out, lots[first].records[at[first]])
		at[first]++
	}
	return out
}
