package suite

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"kafkarest/bench/load"
)

// messagesLoads are those of the messages API, tiny.
func messagesLoads() []Load {
	return []Load{
		newPair(4000),
		&streamLoad{records: 10_000},
		&tailsLoad{tails: 50, pace: 100, during: time.Second},
		&queueLoad{workers: 4, messages: 500},
		&tasksLoad{tasks: 3000},
	}
}

// TestMessagesLoads runs them against the floor, the proxy, and a peer that knows nothing of messages.
func TestMessagesLoads(t *testing.T) {
	s := openWith(t, 1, false)
	s.sides = append(s.sides, &Side{Name: "peer", Addr: liar(t), PID: os.Getpid()})
	table, err := s.Run(t.Context(), messagesLoads())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table, "ERROR") {
		t.Errorf("the table has errors:\n%s", table)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | ")
		if len(cells) < 3 {
			continue // the rule below the head
		}
		rows[strings.TrimPrefix(cells[0], "| ")+" | "+cells[1]] = cells[2:]
	}
	const none = "–"
	for _, c := range []struct {
		row   string
		floor bool // has a figure
	}{
		{"produce 1 × 100 B as a plain body (POST /messages) beside v2 (POST /topics), 32 connections | CPU plain body / CPU v2, same process and round", true},
		{"stream 10,000 × 100 B NDJSON in one request, fresh process | CPU s per 1,000,000 records", true},
		{"stream 10,000 × 100 B NDJSON in one request, fresh process | MB by which RSS grew at most, meanwhile", true},
		{"50 event streams of one topic, 100 × 100 B a second for 1s, fresh process | CPU s per 1,000,000 deliveries", false},
		{"4 workers receive a message and DELETE it, one at a time | cycles per CPU second", false},
		{"3,000 pending tasks of 100 B, fresh process | RSS MB with all pending", false},
	} {
		cells := rows[c.row]
		if len(cells) != 5 || (cells[0] != none) != c.floor || cells[1] == none || cells[3] != none {
			t.Errorf("row %q: %q in\n%s", c.row, cells, table)
		}
	}
}

func TestWithoutTheProxy(t *testing.T) {
	s := open(t, 1)
	table, err := s.Run(t.Context(), []Load{&tailsLoad{tails: 3}, &queueLoad{messages: 10}, &tasksLoad{tasks: 10}})
	if err != nil || strings.Count(table, "\n") != 2 {
		t.Errorf("%v\n%s", err, table)
	}
}

func TestARefusingBrokerRefusesUntilItIsTold(t *testing.T) {
	r, err := startRefusing(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	if err := r.broker.create(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	value := func(int) ([]byte, error) { return []byte("x"), nil }
	if err := r.broker.fill(t.Context(), "other", 3, value); err != nil {
		t.Error(err)
	}
	filled := make(chan error, 1)
	go func() { filled <- r.broker.fill(t.Context(), "t", 3, value) }()
	if err := errors.Join(r.fault.Wait(t.Context(), 1), r.holds(t.Context(), 0)); err != nil {
		t.Error(err)
	}
	r.fault.Remove()
	if err := errors.Join(<-filled, r.holds(t.Context(), 3)); err != nil {
		t.Error(err)
	}
	if err := r.holds(t.Context(), 4); err == nil {
		t.Error("3 records pass for 4")
	}
}

func TestStreamedAndWorked(t *testing.T) {
	const done = `{"done":true,"stored":10,"failed":0,"in_doubt":0}`
	good := load.Streamed{Reading: load.Reading{Records: 10}, Last: done}
	for i, c := range []struct {
		change func(*load.Streamed)
		stored int64
		good   bool
	}{
		{func(*load.Streamed) {}, 10, true},
		{func(*load.Streamed) {}, 11, false},
		{func(g *load.Streamed) { g.Records = 9 }, 10, false},
		{func(g *load.Streamed) { g.Gaps = 1 }, 10, false},
		{func(g *load.Streamed) { g.Repeats = 1 }, 10, false},
		{func(g *load.Streamed) { g.Last = strings.Replace(done, "10", "9", 1) }, 10, false},
	} {
		got := good
		c.change(&got)
		if err := streamed(got, c.stored, 10); (err == nil) != c.good {
			t.Errorf("%d: %v", i, err)
		}
	}
	for i, c := range []struct {
		got  load.Worked
		good bool
	}{
		{load.Worked{Cycles: 10}, true}, {load.Worked{Cycles: 9}, false}, {load.Worked{Cycles: 10, Twice: 1}, false},
		{load.Worked{Cycles: 10, FirstError: errors.New("x")}, false},
	} {
		if err := worked(c.got, 10); (err == nil) != c.good {
			t.Errorf("%d: %v", i, err)
		}
	}
}
