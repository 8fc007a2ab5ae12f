// Command floor serves package floor: the least handler that the benches hold the proxy against.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kafkarest/bench/floor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	brokers := flag.String("brokers", "127.0.0.1:9092", "bootstrap servers, with commas between")
	listen := flag.String("listen", "127.0.0.1:8099", "address to serve on")
	flag.Parse()
	if err := run(ctx, *brokers, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, brokers, listen string) error {
	f, err := floor.New(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		return err
	}
	defer f.Close()
	server := &http.Server{Addr: listen, Handler: f.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = server.Shutdown(closing)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}
