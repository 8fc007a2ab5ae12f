package load_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/bench/load"
)

// duplex answers each line with what outcome gives, while it reads on, and then writes end.
func duplex(t *testing.T, outcome func(i int) string, end string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		lines := bufio.NewScanner(r.Body)
		for i := 0; lines.Scan(); i++ {
			if got, want := lines.Text(), load.Value(i%3, 100); got != want {
				t.Errorf("line %d is %s", i, got)
			}
			_, _ = io.WriteString(w, outcome(i))
			_ = control.Flush()
		}
		_, _ = io.WriteString(w, end)
	})
}

func stored(partition, offset int) string {
	return fmt.Sprintf(`{"topic":"t","partition":%d,"offset":%d,"timestamp":1}`+"\n", partition, offset)
}

const done = `{"done":true,"stored":9,"failed":0,"in_doubt":0}`

func TestStreamLines(t *testing.T) {
	for _, c := range []struct {
		name                   string
		outcome                func(i int) string
		end                    string
		records, gaps, repeats int
		wrong                  string // part of the error
	}{
		{name: "all stored", outcome: func(i int) string { return stored(i%2, i/2) }, end: done + "\n", records: 9},
		{name: "skipped", outcome: func(i int) string { return stored(0, 2*i) }, end: done + "\n", records: 9, gaps: 8},
		{name: "repeated", outcome: func(int) string { return stored(0, 0) }, end: done + "\n", records: 1, repeats: 8},
		{name: "cut off", outcome: func(i int) string { return stored(0, i) }, records: 9, wrong: "cut off"},
		{
			name: "refused", wrong: "no outcome of a stored record",
			outcome: func(int) string { return `{"topic":"t","error":{"code":503}}` + "\n" }, end: done,
		},
	} {
		addr := duplex(t, c.outcome, c.end)
		got, err := load.StreamLines(t.Context(), addr, "/messages/t", load.Lines(3, 100), 3, 10*time.Second)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.Records != c.records || got.Gaps != c.gaps || got.Repeats != c.repeats || err == nil && got.Last != done {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestStreamLinesIsRefused(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such topic", http.StatusNotFound) })
	_, err := load.StreamLines(t.Context(), addr, "/messages/t", load.Lines(3, 100), 1000, 10*time.Second)
	if err == nil || !strings.Contains(err.Error(), "404: no such topic") {
		t.Error(err)
	}
}

func TestLines(t *testing.T) {
	got := load.Lines(2, 100)
	if want := load.Value(0, 100) + "\n" + load.Value(1, 100) + "\n"; string(got) != want {
		t.Errorf("%s", got)
	}
	if bytes.Count(load.Lines(500, 100), []byte{'\n'}) != 500 {
		t.Error("not 500 lines")
	}
}

func TestTail(t *testing.T) {
	event := func(offset int) string { return "id: x\ndata: " + stored(0, offset) + "\n" }
	for _, c := range []struct {
		name, events  string
		records, gaps int
		wrong         string
	}{
		{name: "all", events: "retry: 1000\n\n" + event(0) + ":\n\n" + event(1) + event(2), records: 2},
		{name: "skipped", events: event(0) + event(5), records: 2, gaps: 4},
		{name: "ended", events: event(0), records: 1, wrong: "after 1 of 2 records: unexpected EOF"},
		{name: "failed", events: event(0) + "event: error\ndata: {}\n\n", records: 1, wrong: "event: error"},
	} {
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != "text/event-stream" {
				t.Errorf("Accept is %q", r.Header.Get("Accept"))
			}
			for part := range strings.SplitAfterSeq(c.events, "\n") {
				_, _ = io.WriteString(w, part)
				w.(http.Flusher).Flush()
			}
		})
		tail, err := load.OpenTail(t.Context(), addr, "/messages/t/-/latest", soon())
		if err != nil {
			t.Fatal(err)
		}
		got, err := tail.Read(2)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.Records != c.records || got.Gaps != c.gaps {
			t.Errorf("%s: %+v", c.name, got)
		}
		if err := tail.Close(); err != nil {
			t.Error(err)
		}
	}
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "too many", http.StatusTooManyRequests) })
	if _, err := load.OpenTail(t.Context(), addr, "/", soon()); err == nil || !strings.Contains(err.Error(), "429: too many") {
		t.Error(err)
	}
}
