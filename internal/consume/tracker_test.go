package consume

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// TestTrackerLosesAndRepeatsNothing drives a tracker through any sequence of fetch, deliver, acknowledge, release, renew, time-out, commit,
// crash and rebalance. A crash or rebalance leaves what the last commit said: an offset and metadata, which is all that the next owner knows.
func TestTrackerLosesAndRepeatsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTrackerModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"fetch": m.fetch, "deliver": m.deliver, "acknowledge": m.acknowledge, "acknowledge up to": m.acknowledgeUpTo, "release": m.release,
			"renew": m.renew, "pass time": m.passTime, "commit": m.commit, "crash": m.crash, "": m.check,
		})
		m.finish()
	})
}

// trackerModel is the log of a partition, the tracker of its present owner, and what must be true of them.
type trackerModel struct {
	t     *rapid.T
	log   []int64 // the offsets that have records: not all do
	limit int     // of the metadata

	tr       *tracker
	now      time.Time
	fetched  int              // of the log, by this owner
	lease    uint64           // the last one given
	held     map[int64]uint64 // by offset, the lease that holds it, as the clients believe
	until    map[int64]time.Time
	delayed  map[int64]time.Time // released, and not to be handed out before
	acked    map[int64]bool      // acknowledged at this owner
	durable  map[int64]bool      // acknowledged, and in a commit: the client has its 204
	unfit    int64               // offsets that the last commit had no room for
	delivers map[int64]int

	committed int64
	metadata  string
}

func newTrackerModel(t *rapid.T) *trackerModel {
	m := &trackerModel{t: t, limit: rapid.SampledFrom([]int{4096, 4096, 60, 30, 0}).Draw(t, "limit"), delivers: map[int64]int{}, durable: map[int64]bool{},
		now: time.Unix(1e9, 0)}
	offset := int64(0)
	for range rapid.IntRange(1, 60).Draw(t, "records") {
		offset += rapid.SampledFrom([]int64{1, 1, 1, 1, 2, 7, 1000}).Draw(t, "distance")
		m.log = append(m.log, offset)
	}
	m.restart()
	return m
}

// restart is a new owner, who knows the commit alone.
func (m *trackerModel) restart() {
	m.tr = newTracker(m.committed, parseMetadata(m.metadata, m.committed))
	m.held, m.until, m.delayed = map[int64]uint64{}, map[int64]time.Time{}, map[int64]time.Time{}
	m.acked = maps.Clone(m.durable)
	m.fetched, _ = slices.BinarySearch(m.log, m.tr.next)
}

func (m *trackerModel) fetch(*rapid.T) {
	for range rapid.IntRange(0, 10).Draw(m.t, "n") {
		if m.fetched < len(m.log) {
			m.tr.add(&kgo.Record{Offset: m.log[m.fetched], Value: fmt.Appendf(nil, "%d", m.log[m.fetched])})
			m.fetched++
		}
	}
}

func (m *trackerModel) deliver(*rapid.T) {
	m.tr.expire(m.now)
	m.lease++
	e := m.tr.take(m.lease, m.now.Add(10*time.Second), nil)
	if e == nil {
		return
	}
	offset := e.record.Offset
	if m.durable[offset] {
		m.t.Fatalf("offset %d is delivered again, and its client has a 204", offset)
	}
	if m.acked[offset] {
		m.t.Fatalf("offset %d is delivered again by the owner at which it was acknowledged", offset)
	}
	if m.held[offset] != 0 && m.until[offset].After(m.now) {
		m.t.Fatalf("offset %d is delivered to a second client while the first holds it", offset)
	}
	if m.delayed[offset].After(m.now) {
		m.t.Fatalf("offset %d is delivered before the delay of its release is over", offset)
	}
	delete(m.delayed, offset)
	if string(e.record.Value) != fmt.Sprint(offset) {
		m.t.Fatalf("offset %d comes with the value %q", offset, e.record.Value)
	}
	m.held[offset], m.until[offset] = m.lease, m.now.Add(10*time.Second)
	m.delivers[offset]++
}

// someOffset is one that a client may name: delivered or not, by this owner or one before.
func (m *trackerModel) someOffset() int64 { return rapid.SampledFrom(m.log).Draw(m.t, "offset") }

func (m *trackerModel) acknowledge(*rapid.T) {
	offset := m.someOffset()
	lease := m.held[offset]
	if rapid.Bool().Draw(m.t, "stale lease") {
		lease = 1 << 60
	}
	switch m.tr.check(offset, lease) {
	case lost:
		if lease == m.held[offset] {
			m.t.Fatalf("the last client of offset %d is told that another has it", offset)
		}
		return
	case settled:
		if !m.acked[offset] {
			m.t.Fatalf("offset %d is not acknowledged, and said to be", offset)
		}
	case unheard:
		if m.delivers[offset] == 0 {
			return
		}
	case stands, noLonger:
		if lease == 1<<60 && m.held[offset] != 0 {
			m.t.Fatalf("a stale lease stands for offset %d, which was given to another client since", offset)
		}
	}
	m.tr.acknowledge(offset)
	m.acked[offset] = true
}

func (m *trackerModel) acknowledgeUpTo(*rapid.T) {
	offset := m.someOffset()
	m.tr.acknowledgeUpTo(offset)
	for _, o := range m.log[:m.fetched] {
		if o <= offset {
			m.acked[o] = true
		}
	}
}

// release also comes for what was released before, with or without a delay: the last one counts.
func (m *trackerModel) release(*rapid.T) {
	offset := m.someOffset()
	if s := m.tr.check(offset, m.held[offset]); s != stands && s != noLonger {
		return
	}
	e := m.tr.open[offset]
	waits := !e.until.IsZero()
	from := time.Time{}
	if rapid.Bool().Draw(m.t, "delay") {
		from = m.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(m.t, "delay in seconds")) * time.Second)
	}
	m.tr.release(offset, from)
	if e.held {
		m.t.Fatalf("offset %d is released, and held", offset)
	}
	if waits && !e.until.Equal(from) {
		m.t.Fatalf("offset %d is released until %v, and waits until %v", offset, from, e.until)
	}
	if waits {
		m.delayed[offset] = from
	}
	m.until[offset] = m.now
}

func (m *trackerModel) renew(*rapid.T) {
	offset := m.someOffset()
	if m.tr.check(offset, m.held[offset]) != stands {
		return
	}
	m.until[offset] = m.now.Add(20 * time.Second)
	m.tr.renew(offset, m.until[offset])
}

func (m *trackerModel) passTime(*rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 15).Draw(m.t, "seconds")) * time.Second)
}

func (m *trackerModel) commit(*rapid.T) {
	m.committed = m.tr.low()
	m.metadata, m.unfit = m.tr.acknowledged().metadata(m.committed, m.limit)
	if len(m.metadata) > m.limit {
		m.t.Fatalf("%d characters of metadata, %d are allowed", len(m.metadata), m.limit)
	}
	kept := parseMetadata(m.metadata, m.committed)
	m.durable = map[int64]bool{}
	for o := range m.acked {
		if o < m.committed || kept.has(o) {
			m.durable[o] = true
		} else if m.unfit == 0 {
			m.t.Fatalf("offset %d is acknowledged, and neither the commit nor the count of what did not fit has it", o)
		}
	}
}

func (m *trackerModel) crash(*rapid.T) { m.restart() }

// check holds after each step: what is neither acknowledged nor ahead of the fetch is there to be handed out.
func (m *trackerModel) check(*rapid.T) {
	low := m.tr.low()
	settledAbove := m.tr.acknowledged()
	for i, o := range m.log {
		unsettled := o >= low && !settledAbove.has(o)
		if !m.acked[o] && !unsettled {
			m.t.Fatalf("offset %d is lost: it counts as acknowledged, and is not", o)
		}
		if m.acked[o] && unsettled {
			m.t.Fatalf("offset %d is acknowledged, and does not count as such", o)
		}
		if i < m.fetched && !m.acked[o] && m.tr.open[o] == nil {
			m.t.Fatalf("offset %d was fetched and is not there", o)
		}
	}
}

// finish lets every hold end and takes what is left: all of it must come, once.
func (m *trackerModel) finish() {
	for _, o := range m.log[m.fetched:] {
		m.tr.add(&kgo.Record{Offset: o})
	}
	m.tr.expire(m.now.Add(time.Hour))
	left := map[int64]bool{}
	for e := m.tr.take(1<<50, m.now.Add(2*time.Hour), nil); e != nil; e = m.tr.take(1<<50, m.now.Add(2*time.Hour), nil) {
		if left[e.record.Offset] || m.acked[e.record.Offset] {
			m.t.Fatalf("offset %d comes again at the end", e.record.Offset)
		}
		left[e.record.Offset] = true
	}
	for _, o := range m.log {
		if !m.acked[o] && !left[o] {
			m.t.Fatalf("offset %d is lost", o)
		}
		m.tr.acknowledge(o)
	}
	if want := m.log[len(m.log)-1] + 1; m.tr.low() != want || m.tr.bytes != 0 || len(m.tr.acknowledged()) != 0 {
		m.t.Fatalf("all is acknowledged, and low is %d (want %d), %d bytes are held, spans are %v", m.tr.low(), want, m.tr.bytes, m.tr.acknowledged())
	}
}

func TestMetadataHoldsTheWindow(t *testing.T) {
	// The worst that a window without gaps can be: every second record of it acknowledged.
	var s spans
	for o := int64(1); o < 20_000; o += 2 {
		s.add(1_000_000+o, 1_000_000+o+1)
	}
	text, unfit := s.metadata(1_000_000, metadataMost)
	if unfit != 0 || len(text) > metadataMost {
		t.Errorf("%d characters, %d do not fit", len(text), unfit)
	}
	if got := parseMetadata(text, 1_000_000); !slices.Equal(got, s) {
		t.Errorf("reads back as %d spans of %d", len(got), len(s))
	}
}

func TestForeignMetadata(t *testing.T) {
	good, _ := spans{{11, 12}, {15, 20}}.metadata(10, metadataMost)
	if got := parseMetadata(good, 10); len(got) != 2 {
		t.Fatalf("%q reads as %v", good, got)
	}
	for name, text := range map[string]string{
		"none": "", "Java": "committed by me", "another version": "kr2." + good[4:], "cut": good[:len(good)-3], "prefix": metadataPrefix,
		"changed": good[:8] + string(good[8]+1) + good[9:],
	} {
		if got := parseMetadata(text, 10); got != nil {
			t.Errorf("%s: %q reads as %v", name, text, got)
		}
	}
	if got := parseMetadata(good, 11); got != nil {
		t.Errorf("metadata of another commit is believed: %v", got)
	}
}

func FuzzParseMetadata(f *testing.F) {
	good, _ := spans{{11, 12}, {15, 20}}.metadata(10, metadataMost)
	f.Add(good, int64(10))
	f.Add("kr1.cgoAAA", int64(10))
	f.Fuzz(func(t *testing.T, text string, committed int64) {
		s := parseMetadata(text, committed)
		at := committed - 1
		for _, x := range s {
			if x.from <= at || x.to <= x.from {
				t.Fatalf("%q gives %v", text, s)
			}
			at = x.to
		}
	})
}
