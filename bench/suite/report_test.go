package suite

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	r := newResult("produce")
	for _, v := range []float64{2, 1, 3} {
		r.add("floor", []Figure{{Name: "p50 ms", Value: v, Digits: 2}, {Name: "reads", Value: 7, Plain: true}})
		r.add("ours", []Figure{{Name: "p50 ms", Value: 1.25 * v, Digits: 2}, {Name: "reads", Value: 8, Plain: true}})
	}
	r.add("peer", []Figure{{Name: "p50 ms", Value: math.NaN(), Digits: 2}})
	r.fail("ours", errors.New("a|b\nc"))
	r.fail("ours", errors.New("second"))
	got := table([]*result{r}, []string{"floor", "ours", "peer"})
	want := `| load | median of | floor | ours | ratio | peer | ratio |
|---|---|--:|--:|--:|--:|--:|
| produce | p50 ms | 2.00 | 2.50 | 1.25 | – | – |
| produce | reads | 7 | 8 | – | – | – |
| produce | **ERROR** | none | a/b c (and 1 more) | – | none | – |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableOfTheFloorAlone(t *testing.T) {
	r := newResult("x")
	r.add("floor", []Figure{{Name: "n", Value: 1}})
	if got, want := table([]*result{r}, []string{"floor"}), "| load | median of | floor |\n|---|---|--:|\n| x | n | 1 |\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	r := newResult("x")
	r.fail("floor", errors.New(strings.Repeat("é", 1000)))
	if got := r.problem("floor"); len(got) > 310 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
