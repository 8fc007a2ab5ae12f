// Package app is the only room that knows all others: it turns a configuration into rooms, wires them, and starts and stops them.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kafkarest/internal/config"
	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
	v2 "kafkarest/internal/httpapi/v2"
	v3 "kafkarest/internal/httpapi/v3"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"
	"kafkarest/internal/produce"
	"kafkarest/internal/registry"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options are what a program is made from.
type Options struct {
	Config   *config.Config
	Embedded *embedded.Config // a broker in this process instead of bootstrap.servers; nil for a real Kafka
	Broker   *embedded.Broker // one that the caller has started and will close; wins over Embedded
	Registry bool             // a Schema Registry in this process, on the broker above; not with a real Kafka
	LogTo    io.Writer        // nil discards
}

// App is the program as a value: New, Start, Addr, Stop.
type App struct {
	cfg       *config.Config
	log       *slog.Logger
	logTo     *logWriter
	broker    *embedded.Broker // owned; nil when it is the caller's or there is none
	local     *localRegistry   // nil when there is none in this process
	schemas   *registry.Client // nil when no registry is configured
	cluster   *kafka.Cluster
	consumers *consume.Manager
	messages  messaging
	api       *httpapi.Server
	http      *http.Server
	health    *health
	unused    unusedConns

	listeners []*httpapi.Listener
	serving   sync.WaitGroup
	beside    sync.WaitGroup     // what runs beside the listeners
	stopped   context.CancelFunc // ends it; nil before Start
	failed    chan error
}

// New wires the rooms. Nothing is listened on and no broker is waited for. Errors: settings that no room can work with.
func New(opts Options) (*App, error) {
	tuneHeap()
	a := &App{cfg: opts.Config, failed: make(chan error, 1)}
	a.logTo = newLogWriter(opts.LogTo)
	a.log = newLogger(a.logTo, a.cfg.String("log.level"))
	if err := a.wire(opts); err != nil {
		return nil, errors.Join(err, a.close(context.Background()))
	}
	return a, nil
}

func (a *App) wire(opts Options) error {
	brokerOpts, err := a.startBroker(opts)
	if err != nil {
		return err
	}
	clients, err := translate(a.cfg, brokerOpts)
	if err != nil {
		return err
	}
	for _, w := range append(a.cfg.Warnings(), clients.warnings...) {
		a.log.Warn(w)
	}
	clients.kafka.Log = a.log
	clients.kafka.Denied = []string{a.cfg.String("tasks.topic")} // in memory too: other nodes may keep theirs in it
	if a.cluster, err = kafka.Open(clients.kafka); err != nil {
		return err
	}
	if opts.Registry && !a.cfg.IsSet("schema.registry.url") {
		if a.local, err = startRegistry(a.cfg, brokerOpts, a.log); err != nil {
			return fmt.Errorf("embedded Schema Registry: %w", err)
		}
	}
	formats, err := a.formats(a.local)
	if err != nil {
		return err
	}
	produced := produce.New(produceConfig(a.cfg, clients), a.cluster)
	a.consumers = consume.New(consumeConfig(a.cfg, clients, a.log), a.cluster)
	a.health = &health{cluster: a.cluster, timeout: a.cfg.Millis("ready.timeout.ms")}
	apis := [][]httpapi.Endpoint{a.health.endpoints()}
	if a.cfg.Bool("api.v2.enable") {
		apis = append(apis, v2.New(v2Config(a.cfg), a.cluster, produced, a.consumers, formats).Endpoints())
	}
	if a.cfg.Bool("api.v3.enable") {
		apis = append(apis, v3.New(v3.Config{Authority: a.cfg.String("confluent.resource.name.authority")}, a.cluster).Endpoints())
	}
	if a.cfg.Bool("api.messages.enable") {
		endpoints, err := a.messages.open(a, clients, produced, formats)
		if err != nil {
			return err
		}
		apis = append(apis, endpoints)
	}
	if a.api, err = httpapi.New(apiConfig(a.cfg, a.log, a.logTo), apis...); err != nil {
		return err
	}
	a.http = newHTTPServer(a.cfg, a.api, a.log)
	a.http.ConnState = a.unused.note
	return nil
}

// startBroker gives the client options of the embedded broker, none for a real Kafka.
func (a *App) startBroker(opts Options) ([]kgo.Opt, error) {
	switch {
	case opts.Broker != nil:
		return opts.Broker.Options(), nil
	case opts.Embedded == nil:
		return nil, nil
	}
	cfg := *opts.Embedded
	cfg.Log = a.log
	broker, err := embedded.Start(cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	a.broker = broker
	return broker.Options(), nil
}

// Start listens and serves. Errors: an address that cannot be listened on, a key store that cannot be read.
func (a *App) Start() error {
	running, stopped := context.WithCancel(context.Background())
	a.stopped = stopped
	a.beside.Go(func() { returnMemory(running) })
	var slots chan struct{}
	if n := a.cfg.Int("server.connection.limit"); n > 0 {
		slots = make(chan struct{}, n)
	}
	for _, l := range a.cfg.Listeners() {
		if err := a.listen(l, slots); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) listen(l config.Listener, slots chan struct{}) error {
	var secure *tls.Config
	if l.Scheme == "https" {
		var err error
		if secure, err = kafka.LoadTLS(l.TLS, true); err != nil {
			return fmt.Errorf("listener %s: %w", l, err)
		}
		if a.cfg.Bool("http2.enabled") {
			secure.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	socket, err := net.Listen("tcp", l.Address)
	if err != nil {
		return fmt.Errorf("listener %s: %w", l, err)
	}
	if n := a.cfg.Int("connector.connection.limit"); n > 0 {
		slots = make(chan struct{}, n)
	}
	wrapped := httpapi.NewListener(socket, a.cfg.Millis("response.write.timeout.ms"), slots)
	a.listeners = append(a.listeners, wrapped)
	a.serving.Go(func() {
		var err error
		if secure != nil {
			err = a.http.Serve(tls.NewListener(wrapped, secure))
		} else {
			err = a.http.Serve(wrapped)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			select {
			case a.failed <- fmt.Errorf("listener %s: %w", l, err):
			default: // one is enough to end the program, and Stop waits for this goroutine
			}
		}
	})
	a.log.Info("listening", "address", l.Scheme+"://"+socket.Addr().String())
	return nil
}

// Addr is the address of the first listener, host:port, once Start has returned.
func (a *App) Addr() string { return a.listeners[0].Addr().String() }

// Failed gives the error of a listener that stopped by itself.
func (a *App) Failed() <-chan error { return a.failed }

// stopTimeout is how long Stop takes at the most.
const stopTimeout = 29 * time.Second

// leaveTimeout is how long consumer instances may take to commit and to leave their groups.
const leaveTimeout = 10 * time.Second

// Stop ends the program without losing anything: readiness goes false, the listeners stay open for the settle time while replies ask
// clients to go elsewhere, requests under way finish, producers flush and consumers leave their groups. It takes 30 s at the most; ctx
// ends the settle time early. What could not be finished is reported.
func (a *App) Stop(ctx context.Context) error {
	deadline, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	a.log.Info("stopping")
	a.health.draining.Store(true)
	a.api.Drain()
	settle := time.NewTimer(a.cfg.Millis("shutdown.settle.ms"))
	defer settle.Stop()
	select {
	case <-settle.C:
	case <-ctx.Done():
	}
	a.consumers.Drain()
	a.messages.drain()
	return a.close(deadline)
}

// close ends what was begun, last in, first out.
func (a *App) close(ctx context.Context) error {
	var errs []error
	if a.stopped != nil {
		a.stopped()
		a.beside.Wait()
	}
	if a.http != nil {
		grace := a.cfg.Millis("shutdown.graceful.ms")
		graceful, cancel := context.WithTimeout(ctx, grace)
		unused := time.AfterFunc(min(time.Second, grace/2), a.unused.close)
		if err := a.http.Shutdown(graceful); err != nil {
			errs = append(errs, fmt.Errorf("requests were still under way: %w", err), a.http.Close())
		}
		cancel()
		unused.Stop()
		a.serving.Wait()
		for _, l := range a.listeners {
			l.Wait()
		}
	}
	if a.consumers != nil {
		leave, cancel := context.WithTimeout(ctx, leaveTimeout)
		errs = append(errs, a.consumers.Close(leave))
		cancel()
	}
	errs = append(errs, a.messages.close(ctx))
	if a.schemas != nil {
		a.schemas.Close()
	}
	if a.local != nil {
		errs = append(errs, a.local.close(ctx))
	}
	if a.cluster != nil {
		errs = append(errs, a.cluster.Close(ctx))
	}
	if a.broker != nil {
		errs = append(errs, a.broker.Close())
	}
	err := errors.Join(errs...)
	if err != nil {
		a.log.Error("stopped", "err", err)
	} else {
		a.log.Info("stopped")
	}
	a.logTo.close()
	return err
}
