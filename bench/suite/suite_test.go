package suite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"kafkarest/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts the floor, built and run as in a bench, on a broker of the test's own. It has a port since the floor is another process.
func open(t *testing.T, rounds int) *Suite {
	t.Helper()
	return openWith(t, rounds, true)
}

// openWith also starts the proxy unless floorOnly.
func openWith(t *testing.T, rounds int, floorOnly bool) *Suite {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s, err := Open(t.Context(), Options{
		Brokers: strings.Join(cluster.ListenAddrs(), ","), Module: "../..", Dir: t.TempDir(), Rounds: rounds, Quick: true, FloorOnly: floorOnly,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestLoadsOnTheFloor(t *testing.T) {
	s := open(t, 1)
	table, err := s.Run(t.Context(), []Load{
		startLoad{},
		&produceLoad{name: "json", media: load.TypeJSON, body: load.ProduceJSON(3, 100), records: 3, conns: 4, requests: 500},
		&produceLoad{name: "binary", media: load.TypeBinary, body: load.ProduceBinary(3, 100), records: 3, conns: 4, requests: 500},
		&consumeLoad{records: 3000},
		orders("Avro", load.TypeAvro, true),
		&consumeLoad{what: "Avro", records: 300, values: avroOrders, kind: kind{format: "avro", media: load.TypeAvro, schema: load.OrderSchema, batch: 4000}},
		&idleLoad{instances: 3},
		&disturbLoad{name: "polls", disturb: longPolls},
		&disturbLoad{name: "missing", disturb: missingTopic},
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table, "ERROR") {
		t.Errorf("the table has errors:\n%s", table)
	}
	for _, want := range []string{
		"start, then idle | ms to the first 200", "json | requests/s", "binary | CPU s per 1,000,000 records",
		"consume 3,000 × 100 B JSON | records/s", "3 idle consumer instances | RSS MB", "polls | p50 disturbed / alone", "missing | p50 ms alone",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no row %q in\n%s", want, table)
		}
	}
}

// TestALossIsShown has a side that claims to have stored what it did not: the load drives a stand-in for a proxy that lies.
func TestALossIsShown(t *testing.T) {
	s := open(t, 2)
	liar := liar(t)
	s.sides = append(s.sides, &Side{Name: "liar", Addr: liar, PID: os.Getpid()})
	table, err := s.Run(t.Context(), []Load{
		&produceLoad{name: "json", media: load.TypeJSON, body: load.ProduceJSON(1, 100), records: 1, conns: 1, requests: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "| json | **ERROR** | none | 0 records landed of 10 acknowledged and 10 sent (and 1 more) | – |"; !strings.Contains(table, want) {
		t.Errorf("no row\n%s\nin\n%s", want, table)
	}
}

func TestOnlyAndErrors(t *testing.T) {
	s := open(t, 2)
	s.opts.Only = regexp.MustCompile("^b")
	failing := func(name string) Load { return failingLoad{name: name} }
	table, err := s.Run(t.Context(), []Load{failing("a"), failing("b")})
	if err != nil || strings.Contains(table, "| a |") || !strings.Contains(table, "| b | **ERROR** | not run: no topic |") {
		t.Errorf("%v\n%s", err, table)
	}
	if _, err := s.Run(t.Context(), []Load{failing("a")}); err == nil {
		t.Error("no error for a name that no load has")
	}
}

type failingLoad struct{ name string }

func (l failingLoad) Name() string                      { return l.name }
func (failingLoad) Begin(context.Context, *Suite) error { return errors.New("no topic") }
func (failingLoad) End(context.Context, *Suite) error   { return nil }
func (failingLoad) Round(context.Context, *Suite, *Side) ([]Figure, error) {
	return nil, nil
}

func TestAProgramThatEndsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ends")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho the reason\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := program{path: path, args: func(string) ([]string, error) { return nil, nil }}
	began := time.Now()
	_, err := p.start(t.Context(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "the reason") || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
