package checker

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistoryRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	w, err := Create(path, "r")
	if err != nil {
		t.Fatal(err)
	}
	rec := w.Worker(4).Next("t", 2, []byte{0, 255}, 10)
	w.Invoke(rec)
	w.OK(rec.ID, 2, 9)
	w.Failed("f", "why")
	w.Unknown("u", "no\nanswer")
	w.Delivered("g", "t", 2, 9, rec.ID)
	w.Committed("g", "t", 2, 10)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, "r"); err == nil {
		t.Error("a history was overwritten")
	}
	h, err := LoadHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Events {
		if i > 0 && h.Events[i].Time < h.Events[i-1].Time {
			t.Errorf("event %d goes back in time", i)
		}
		h.Events[i].Time = 0
	}
	want := []Event{
		{Op: Invoke, ID: "r/4/1", Topic: "t", Partition: 2, Key: []byte{0, 255}},
		{Op: OK, ID: "r/4/1", Partition: 2, Offset: 9},
		{Op: Failed, ID: "f", Reason: "why"},
		{Op: Unknown, ID: "u", Reason: "no\nanswer"},
		{Op: Delivered, ID: "r/4/1", Group: "g", Topic: "t", Partition: 2, Offset: 9},
		{Op: Committed, Group: "g", Topic: "t", Partition: 2, Offset: 10},
	}
	if diff := cmp.Diff(want, h.Events); diff != "" {
		t.Error(diff)
	}
}

func TestHistoryOfManyWorkers(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf, "r")
	const workers, each = 8, 100
	var group sync.WaitGroup
	for n := range workers {
		group.Go(func() {
			worker := w.Worker(n)
			for range each {
				rec := worker.Next("t", AnyPartition, nil, 1)
				w.Invoke(rec)
				w.Failed(rec.ID, "")
			}
		})
	}
	group.Wait()
	h, err := ReadHistory(&buf)
	if err != nil {
		t.Fatal(err)
	}
	report := Check(h, Log{}, Options{})
	if report.Err() != nil || report.Invoked != workers*each || report.Failed != workers*each {
		t.Error(report)
	}
}

func TestReadHistoryOfAKilledProcess(t *testing.T) {
	h, err := ReadHistory(strings.NewReader(`{"op":"invoke","id":"a/1/1"}` + "\n" + `{"op":"ok","id":"a/1`))
	if err != nil || len(h.Events) != 1 {
		t.Errorf("%v, %v", h, err)
	}
	if _, err := ReadHistory(strings.NewReader("nonsense\n{}\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken line gave %v", err)
	}
}

type fullDisk struct{}

var errFull = errors.New("disk full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestCloseReportsAFailedWrite(t *testing.T) {
	w := NewWriter(fullDisk{}, "r")
	w.Failed("a", "")
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close gave %v", err)
	}
}

func TestRecordValue(t *testing.T) {
	rec := newRecord("r/1/1", "t", AnyPartition, nil, 333)
	var s stamp
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Payload) != 333 || s.Key != nil || PayloadID(rec.Value) != "r/1/1" {
		t.Errorf("%+v", s)
	}
	if bytes.ContainsAny(rec.Value, " \n\\<>&") {
		t.Errorf("a JSON encoder may change these bytes on their way: %s", rec.Value)
	}
	if again := newRecord("r/1/1", "t", AnyPartition, nil, 333); !bytes.Equal(rec.Value, again.Value) {
		t.Error("the payload does not follow from the id")
	}
	if other := newRecord("r/1/2", "t", AnyPartition, nil, 333); payloadOf(other.ID, 333) == s.Payload {
		t.Error("two ids have the same payload")
	}
	if id := PayloadID([]byte("not JSON")); id != "" {
		t.Errorf("id %q of no record", id)
	}
}
