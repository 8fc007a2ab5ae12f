// Command kafka-up runs real Apache Kafka on loopback until it gets SIGTERM or SIGINT. Once the cluster serves it prints
//
//	bootstrap=127.0.0.1:19092
//	pid=4711
//
// to standard output, one pid line for each node, and removes all data at the end.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kafkarest/internal/testkafka"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kafka-up:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	cfg := testkafka.Config{Throughput: true}
	flags := flag.NewFlagSet("kafka-up", flag.ContinueOnError)
	flags.IntVar(&cfg.Nodes, "nodes", 1, "number of `nodes`")
	flags.IntVar(&cfg.Port, "port", 0, "`port` of the first broker, the next ones follow; 0 means any free ports")
	flags.BoolVar(&cfg.AutoCreate, "auto-create", false, "create topics at first use")
	flags.BoolVar(&cfg.Authorizer, "authorizer", false, "enforce ACLs; ANONYMOUS is a super user")
	if err := flags.Parse(args); err != nil {
		return err
	}
	begin := time.Now()
	cluster, err := testkafka.Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Apache Kafka %s, %d nodes, ready after %v\n", cluster.Version(), cfg.Nodes, time.Since(begin).Round(time.Millisecond))
	fmt.Fprintf(out, "bootstrap=%s\n", cluster.Bootstrap())
	for _, n := range cluster.Nodes() {
		fmt.Fprintf(out, "pid=%d\n", n.PID())
	}
	<-ctx.Done()
	return cluster.Close()
}
