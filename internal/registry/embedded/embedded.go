// Package embedded is a small Schema Registry: the HTTP API that Schema Registry clients speak, over a compacted topic of a Kafka broker.
// It is for development and tests. It does what the API promises with one process at a time; it does not replicate, and several of it
// must not share a topic.
//
// Compatibility is checked for Avro. For JSON Schema and Protobuf there is no maintained Go library that checks it: a change of such a
// schema is only checked to be a valid schema of the same type, and the verbose compatibility answer says so.
package embedded

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// Config of a Registry.
type Config struct {
	// Kafka are the options of the client that reads and writes the topic: at least the brokers.
	Kafka []kgo.Opt
	// Topic holds the schemas, in the record form of Confluent's registry; default "_schemas". It is made if it is missing.
	Topic string
	// Timeout of each write to the topic, and of start-up; default 10 s.
	Timeout time.Duration
	// Canonical checks a schema and gives the text to keep, and an identity that is equal for schemas that differ in their spelling
	// only. names and texts are what the schema refers to, what is referred to first. It does no I/O. Needed.
	Canonical func(ctx context.Context, typ sr.SchemaType, text string, names, texts []string) (canonical, identity string, err error)
}

// Registry is a running or startable registry.
type Registry struct {
	config Config
	store  *store

	writing sync.Mutex // held from reading what a write depends on until the write is done
	mu      sync.RWMutex
	state   *state
}

// New makes a registry that answers after Start.
func New(c Config) (*Registry, error) {
	if c.Canonical == nil {
		return nil, errors.New("embedded registry: Canonical is needed")
	}
	if c.Topic == "" {
		c.Topic = "_schemas"
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	return &Registry{config: c, state: newState()}, nil
}

// Start connects, makes the topic if it is missing and reads it to its end.
func (r *Registry) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	s, err := openStore(ctx, r.config)
	if err != nil {
		return err
	}
	if err := s.replay(ctx, r.state.apply); err != nil {
		s.close()
		return err
	}
	r.store = s
	return nil
}

// Close closes the client of the topic. What Handler answers afterwards is an error for every write.
func (r *Registry) Close() {
	if r.store != nil {
		r.store.close()
	}
}

// Handler serves the API at the root. Requests that a browser sends from another site's page are refused unless they only read.
func (r *Registry) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range r.endpoints() {
		mux.Handle(pattern, answer(h))
	}
	mux.Handle("/", answer(func(*http.Request) (any, error) { return nil, errNoEndpoint }))
	return http.NewCrossOriginProtection().Handler(mux)
}

// write appends a record to the topic and applies it to the state. r.writing is held.
func (r *Registry) write(ctx context.Context, rec record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Timeout)
	defer cancel()
	if r.store == nil {
		return errStore
	}
	if err := r.store.append(ctx, rec); err != nil {
		return errStore
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.apply(rec)
	return nil
}
