package checker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// run is a history with the log that belongs to it, before a fault is planted.
type run struct {
	history History
	log     Log
}

// entry finds the stored record of an id.
func (r *run) entry(id string) *Entry {
	i := slices.IndexFunc(r.log.Entries, func(e Entry) bool { return PayloadID(e.Value) == id })
	return &r.log.Entries[i]
}

// event finds the first event of that kind that concerns the id.
func (r *run) event(op Op, id string) *Event {
	i := slices.IndexFunc(r.history.Events, func(e Event) bool { return e.Op == op && e.ID == id })
	return &r.history.Events[i]
}

// drop removes the record and closes the gap, as if it had never been there.
func (r *run) drop(id string) {
	r.log.Entries = slices.DeleteFunc(r.log.Entries, func(e Entry) bool { return PayloadID(e.Value) == id })
}

// again stores a copy of the record at the end of its partition.
func (r *run) again(id string) {
	e := *r.entry(id)
	e.Offset += 100
	r.log.Entries = append(r.log.Entries, e)
}

// swapPlaces exchanges two records; what is written on them stays with their places.
func (r *run) swapPlaces(a, b string) {
	x, y := r.entry(a), r.entry(b)
	x.Key, y.Key = y.Key, x.Key
	x.Value, y.Value = y.Value, x.Value
}

// fixture is a clean run of two workers: t1 and t2 have two partitions each, and key "k" is on partition 1. Worker 1 has 12 ok records,
// w/1/1 … w/1/12; worker 2 has one failed (w/2/1), one in doubt and stored (w/2/2), one in doubt and not stored (w/2/3), one without an
// answer (w/2/4) and one more ok of key k (w/2/5). Group g has read all of t1, with one commit.
func fixture(t *testing.T) *run {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, "w")
	r := &run{}
	next := make(map[place]int64)
	store := func(rec Record, partition int32) (int32, int64) {
		at := place{rec.Topic, partition}
		offset := next[at]
		next[at]++
		r.log.Entries = append(r.log.Entries, Entry{rec.Topic, partition, offset, rec.Key, rec.Value})
		return partition, offset
	}
	one := w.Worker(1)
	for i := range 12 {
		rec, partition := one.Next(fmt.Sprintf("t%d", 1+i/6), AnyPartition, []byte("k"), 50), int32(1)
		if i%3 == 2 {
			rec, partition = newRecord(rec.ID, rec.Topic, 0, nil, 50), 0
		}
		w.Invoke(rec)
		p, o := store(rec, partition)
		w.OK(rec.ID, p, o)
	}
	two := w.Worker(2)
	for i := range 5 {
		rec := two.Next("t1", AnyPartition, []byte("k"), 10)
		w.Invoke(rec)
		switch i {
		case 0:
			w.Failed(rec.ID, "record too large")
		case 1:
			store(rec, 1)
			w.Unknown(rec.ID, "504")
		case 2:
			w.Unknown(rec.ID, "connection reset")
		case 4:
			p, o := store(rec, 1)
			w.OK(rec.ID, p, o)
		}
	}
	for _, e := range r.log.Entries {
		if e.Topic == "t1" {
			w.Delivered("g", e.Topic, e.Partition, e.Offset, PayloadID(e.Value))
		}
	}
	w.Committed("g", "t1", 1, 3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	history, err := ReadHistory(&buf)
	if err != nil {
		t.Fatal(err)
	}
	r.history = history
	return r
}

// append adds an event at the end.
func (r *run) append(e Event) {
	e.Time = r.history.Events[len(r.history.Events)-1].Time + 1
	r.history.Events = append(r.history.Events, e)
}

func TestCleanRunGivesNoFinding(t *testing.T) {
	r := fixture(t)
	report := Check(r.history, r.log, Options{Complete: true})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	got := []int{report.Invoked, report.OK, report.Failed, report.Unknown, report.Stored, report.Foreign, report.Deliveries, report.Commits}
	if want := []int{17, 13, 1, 3, 14, 0, 8, 1}; !slices.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
}

// TestPlantedFaults breaks one thing at a time: exactly the expected kinds must be found, and they must name the record.
func TestPlantedFaults(t *testing.T) {
	k1 := Event{Group: "g", Topic: "t1", Partition: 1}
	delivered := func(offset int64, id string) Event {
		e := k1
		e.Op, e.Offset, e.ID = Delivered, offset, id
		return e
	}
	committed := func(offset int64) Event {
		e := k1
		e.Op, e.Offset = Committed, offset
		return e
	}
	tests := []struct {
		name    string
		plant   func(*run)
		options Options
		want    []Kind
		id      string
	}{
		{"an acked record dropped", func(r *run) { r.drop("w/1/7") }, Options{}, []Kind{Lost}, "w/1/7"},
		{"an acked record stored twice", func(r *run) { r.again("w/1/12") }, Options{}, []Kind{DuplicateOK}, "w/1/12"},
		{"a record in doubt stored twice", func(r *run) { r.again("w/2/2") }, Options{}, []Kind{DuplicateUnknown}, "w/2/2"},
		{"topics swapped", func(r *run) {
			a, b := r.entry("w/1/6"), r.entry("w/1/12")
			a.Topic, b.Topic = b.Topic, a.Topic
		}, Options{}, []Kind{Corrupt, Misrouted, Misrouted, Misrouted, Misrouted}, "w/1/6"},
		{"the bytes of another batch", func(r *run) { r.entry("w/1/7").Value = r.entry("w/1/1").Value }, Options{},
			[]Kind{DuplicateOK, Lost, Misrouted}, "w/1/7"},
		{"partitions swapped", func(r *run) { r.swapPlaces("w/1/9", "w/1/10") }, Options{},
			[]Kind{Misrouted, Misrouted, Misrouted, OutOfOrder}, "w/1/9"},
		{"two records of a key in the wrong order", func(r *run) { r.swapPlaces("w/1/7", "w/1/8") }, Options{},
			[]Kind{Misrouted, Misrouted, OutOfOrder}, "w/1/7"},
		{"the wrong order, and the answers say so", func(r *run) {
			r.swapPlaces("w/1/7", "w/1/8")
			a, b := r.event(OK, "w/1/7"), r.event(OK, "w/1/8")
			a.Offset, b.Offset = b.Offset, a.Offset
		}, Options{}, []Kind{OutOfOrder}, "w/1/7"},
		{"the wrong order across workers", func(r *run) {
			r.swapPlaces("w/1/5", "w/2/5")
			a, b := r.event(OK, "w/1/5"), r.event(OK, "w/2/5")
			a.Offset, b.Offset = b.Offset, a.Offset
			r.history.Events = slices.DeleteFunc(r.history.Events, func(e Event) bool { return e.Op == Delivered })
		}, Options{}, []Kind{OutOfOrder}, "w/1/5"},
		{"a key on two partitions", func(r *run) {
			e := r.entry("w/1/11")
			e.Partition, e.Offset = 2, 0
			r.event(OK, "w/1/11").Partition, r.event(OK, "w/1/11").Offset = 2, 0
		}, Options{}, []Kind{OutOfOrder}, "w/1/11"},
		{"a failed record stored", func(r *run) {
			e := *r.entry("w/1/11")
			rec := newRecord("w/2/1", "t1", AnyPartition, []byte("k"), 10)
			e.Topic, e.Offset, e.Value = "t1", 50, rec.Value
			r.log.Entries = append(r.log.Entries, e)
		}, Options{}, []Kind{Phantom}, "w/2/1"},
		{"a record that nobody sent", func(r *run) {
			rec := newRecord("w/9/1", "t2", AnyPartition, []byte("k"), 10)
			r.log.Entries = append(r.log.Entries, Entry{"t2", 1, 50, rec.Key, rec.Value})
		}, Options{}, []Kind{Phantom}, "w/9/1"},
		{"one byte flipped", func(r *run) {
			e := r.entry("w/1/8")
			e.Value = bytes.Clone(e.Value)
			i := bytes.Index(e.Value, []byte(`"payload":"`)) + 15
			e.Value[i] ^= 1
		}, Options{}, []Kind{Corrupt}, "w/1/8"},
		{"no value at all", func(r *run) { r.entry("w/1/8").Value = nil }, Options{}, []Kind{Corrupt, Lost}, "w/1/8"},
		{"another key", func(r *run) { r.entry("w/1/8").Key = []byte("j") }, Options{}, []Kind{Misrouted}, "w/1/8"},
		{"the key null turned into the empty key", func(r *run) { r.entry("w/1/9").Key = []byte{} }, Options{}, []Kind{Misrouted}, "w/1/9"},
		{"acknowledged at another offset", func(r *run) { r.event(OK, "w/1/8").Offset++ }, Options{}, []Kind{Misrouted}, "w/1/8"},
		{"a late answer", func(r *run) { r.event(OK, "w/2/5").Time += time.Hour }, Options{Deadline: time.Minute}, []Kind{Late, Late}, "w/2/5"},
		{"no answer", func(*run) {}, Options{Deadline: time.Minute}, []Kind{Late}, "w/2/4"},
		{"two outcomes", func(r *run) { r.append(Event{Op: Failed, ID: "w/1/1"}) }, Options{}, []Kind{BadHistory}, "w/1/1"},
		{"an outcome of nothing", func(r *run) { r.append(Event{Op: OK, ID: "w/7/7"}) }, Options{}, []Kind{BadHistory}, "w/7/7"},
		{"an id twice", func(r *run) { r.append(Event{Op: Invoke, ID: "w/1/1"}) }, Options{}, []Kind{BadHistory}, "w/1/1"},

		{"a record skipped", func(r *run) { *r.event(Delivered, "w/1/4") = Event{Op: Failed, ID: "w/2/4"} }, Options{}, []Kind{Skipped}, "w/1/4"},
		{"the first record skipped", func(r *run) { *r.event(Delivered, "w/1/3") = Event{Op: Failed, ID: "w/2/4"} },
			Options{Complete: true}, []Kind{Skipped}, "w/1/3"},
		{"a whole partition skipped", func(r *run) {
			*r.event(Delivered, "w/1/3") = Event{Op: Failed, ID: "w/2/4"}
			r.history.Events = slices.DeleteFunc(r.history.Events, func(e Event) bool { return e.Op == Delivered && e.ID == "w/1/6" })
		}, Options{Complete: true}, []Kind{Skipped, Skipped}, "w/1/3"},
		{"a record delivered again", func(r *run) { r.append(delivered(4, "w/2/2")) }, Options{}, []Kind{Redelivered}, "w/2/2"},
		{"delivered again before a commit", func(r *run) { r.append(delivered(4, "w/2/2")) }, Options{AtLeastOnce: true}, nil, ""},
		{"delivered again after a commit", func(r *run) { r.append(delivered(2, "w/1/4")) }, Options{AtLeastOnce: true}, []Kind{Redelivered}, "w/1/4"},
		{"another record than the stored one", func(r *run) { r.event(Delivered, "w/1/4").ID = "w/1/5" }, Options{}, []Kind{Corrupt}, "w/1/5"},
		{"a delivery of nothing", func(r *run) { r.append(delivered(77, "")) }, Options{}, []Kind{Phantom}, ""},
		{"a commit that goes back", func(r *run) { r.append(committed(2)) }, Options{}, []Kind{CommitRegression}, ""},
		{"a commit of all that was delivered", func(r *run) { r.append(committed(6)) }, Options{}, nil, ""},
		{"a commit of what was never delivered", func(r *run) {
			r.history.Events = slices.DeleteFunc(r.history.Events, func(e Event) bool { return e.Op == Delivered && e.ID == "w/2/5" })
			r.append(committed(6))
		}, Options{}, []Kind{Overcommitted}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fixture(t)
			tt.plant(r)
			report := Check(r.history, r.log, tt.options)
			var kinds []Kind
			named := tt.id == ""
			for _, f := range report.Findings {
				kinds = append(kinds, f.Kind)
				named = named || f.ID == tt.id || strings.Contains(f.Detail, tt.id)
			}
			if !slices.Equal(kinds, tt.want) {
				t.Errorf("found %q, want %q\n%s", kinds, tt.want, report)
			}
			if !named {
				t.Errorf("no finding names %s\n%s", tt.id, report)
			}
			if (report.Err() == nil) != (len(tt.want) == 0) {
				t.Errorf("Err is %v", report.Err())
			}
		})
	}
}

func TestForeignAndUnstampedRecords(t *testing.T) {
	r := fixture(t)
	other := newRecord("yesterday/1/1", "t2", AnyPartition, nil, 10)
	r.log.Entries = append(r.log.Entries, Entry{"t2", 0, 50, nil, other.Value}, Entry{"t2", 0, 51, nil, []byte(`{"malformed`)})
	report := Check(r.history, r.log, Options{Unstamped: true})
	if report.Err() != nil || report.Foreign != 1 {
		t.Errorf("%d records of other runs\n%s", report.Foreign, report)
	}
	if report := Check(r.history, r.log, Options{}); report.Count(Corrupt) != 1 || len(report.Findings) != 1 {
		t.Errorf("the malformed record must be the one finding\n%s", report)
	}
}

func TestReportIsShort(t *testing.T) {
	var r Report
	for i := range 25 {
		r.add(Lost, fmt.Sprintf("w/1/%d", i), "x")
	}
	text := r.Err().Error()
	if lines := strings.Count(text, "\n"); lines != 11 || !strings.Contains(text, "lost: 25 in all") {
		t.Errorf("%d lines:\n%s", lines, text)
	}
}
