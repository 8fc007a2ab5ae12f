package suite

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"time"

	"kafkarest/bench/load"
	"kafkarest/internal/format"
	"kafkarest/internal/registry/embedded"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// registry is a Schema Registry in the bench's own process, so that its work is no side's. Its schemas lie in a topic of this run.
type registry struct {
	url    string
	inner  *embedded.Registry
	server *http.Server
	done   chan struct{}
}

func startRegistry(ctx context.Context, brokers []string, topic string) (*registry, error) {
	inner, err := embedded.New(embedded.Config{Kafka: []kgo.Opt{kgo.SeedBrokers(brokers...)}, Topic: topic, Canonical: format.Canonical})
	if err != nil {
		return nil, err
	}
	if err := inner.Start(ctx); err != nil {
		return nil, err
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		inner.Close()
		return nil, err
	}
	r := &registry{
		url: "http://" + socket.Addr().String(), inner: inner, done: make(chan struct{}),
		server: &http.Server{Handler: inner.Handler(), ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(socket) // until it is closed: the sides notice when it ends before
	}()
	return r, nil
}

func (r *registry) close() error {
	err := r.server.Close()
	<-r.done
	r.inner.Close()
	return err
}

// orders registers the schema of the orders under a subject and gives what encodes them as Java's serializer does.
func (r *registry) orders(ctx context.Context, subject string) (func(i int) ([]byte, error), error) {
	client, err := sr.NewClient(sr.URLs(r.url))
	if err != nil {
		return nil, err
	}
	registered, err := client.CreateSchema(ctx, subject, sr.Schema{Schema: load.OrderSchema})
	if err != nil {
		return nil, err
	}
	schema, err := avro.Parse(load.OrderSchema)
	if err != nil {
		return nil, err
	}
	header := binary.BigEndian.AppendUint32([]byte{0}, uint32(registered.ID))
	return func(i int) ([]byte, error) {
		var value any
		if err := schema.DecodeJSON([]byte(load.Order(i)), &value); err != nil {
			return nil, fmt.Errorf("order %d: %w", i, err)
		}
		return schema.AppendEncode(append([]byte(nil), header...), value)
	}, nil
}
