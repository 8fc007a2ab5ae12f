// Command bench drives the floor, the proxy and any peers with the same loads against a real Kafka and prints one table of medians.
//
//	go run ./bench/cmd/bench                                        everything, five rounds
//	go run ./bench/cmd/bench -quick -only 'produce 1 '              a look at some
//	PEERS="confluent=http://127.0.0.1:8082@4711" go run ./bench/cmd/bench
//	BENCH_BOOTSTRAP=127.0.0.1:9092 go run ./bench/cmd/bench         a broker that runs already
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"kafkarest/bench/suite"
	"kafkarest/internal/testkafka"
)

// settings are the flags and what of the environment matters.
type settings struct {
	options   suite.Options
	only      string
	peers     string
	out       string
	bootstrap string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseFlags()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags() settings {
	s := settings{bootstrap: os.Getenv("BENCH_BOOTSTRAP")}
	flag.IntVar(&s.options.Rounds, "rounds", 5, "rounds of each load, interleaved")
	flag.BoolVar(&s.options.Quick, "quick", false, "a tenth of the requests: to see that it works, not to quote")
	flag.BoolVar(&s.options.FloorOnly, "floor-only", false, "leave the proxy out")
	flag.StringVar(&s.only, "only", "", "regular expression: only loads of such a name")
	flag.StringVar(&s.peers, "peers", os.Getenv("PEERS"), `further columns, "name=URL@PID name2=URL@PID"; default is $PEERS`)
	flag.StringVar(&s.out, "out", "", "file to write the table to, with machine, versions and command")
	flag.Parse()
	return s
}

func run(ctx context.Context, s settings) error {
	if err := s.complete(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kafka-rest-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder that stays does no harm
	s.options.Dir = dir
	kafka, closeKafka, err := s.broker(ctx)
	if err != nil {
		return err
	}
	defer closeKafka()
	opened, err := suite.Open(ctx, s.options)
	if err != nil {
		return err
	}
	defer opened.Close()
	if kafka == "" {
		kafka = opened.KafkaVersion(ctx) + " (as its API versions tell), was running already"
	}
	about := describe(ctx, kafka, opened.ProxyBinary(), s.options)
	table, err := opened.Run(ctx, suite.Loads())
	if err != nil {
		return err
	}
	fmt.Print(table)
	if s.out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.out, []byte(document(about, table)), 0o644)
}

// complete turns the flags' texts into options.
func (s *settings) complete() (err error) {
	s.options.Progress = os.Stderr
	if s.only != "" {
		if s.options.Only, err = regexp.Compile(s.only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if s.options.Peers, err = suite.ParsePeers(s.peers); err != nil {
		return err
	}
	s.options.Module, err = moduleFolder()
	return err
}

// broker is the running one, or one that is booted for this run. The missing-topic load needs it not to make topics by itself.
func (s *settings) broker(ctx context.Context) (version string, closeIt func(), err error) {
	if s.bootstrap != "" {
		s.options.Brokers = s.bootstrap
		return "", func() {}, nil
	}
	cluster, err := testkafka.Start(ctx, testkafka.Config{Nodes: 1, AutoCreate: false, Throughput: !s.options.Quick})
	if err != nil {
		return "", nil, fmt.Errorf("boot Kafka (or set BENCH_BOOTSTRAP): %w", err)
	}
	s.options.Brokers = cluster.Bootstrap()
	return "Apache Kafka " + testkafka.Version() + ", one node, booted for the run", func() { _ = cluster.Close() }, nil
}

// moduleFolder is the nearest folder upwards with this module's go.mod.
func moduleFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module kafkarest\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not inside the module: run it from the repository")
		}
		dir = up
	}
}
