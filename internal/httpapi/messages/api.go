// Package messages is the messages API: any body in, the truth out; reading from an offset or as a group; acknowledgement by DELETE; streams;
// tasks and callbacks. docs/messages.md describes it for its users.
package messages

import (
	"net/http"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"
	"kafkarest/internal/task"
)

// Config is what an operator can set of this API. Zero values stand for the defaults.
type Config struct {
	Overrides  []string      // settings that a request may choose for itself, of acks, timeout and compression; nil is none
	MaxRecords int           // of one produce request that is no stream; 0 is 10,000
	MaxDepth   int           // of the JSON of a key or value; 0 is 1,000
	MaxLine    int           // bytes of a line of a stream; 0 is 1 MiB and 64 KiB
	StreamIdle time.Duration // how long a produce stream may be silent between two messages; 0 is 5 min
	MaxWait    time.Duration // most that Prefer: wait= gets; 0 is 60 s
	Read       ReadConfig
	Forward    ForwardConfig
}

// Deps are the rooms below.
type Deps struct {
	Cluster *kafka.Cluster
	Produce *produce.Service
	Tasks   *task.Store
	Formats format.Table
	Reader  *consume.Reader // of reads from an offset
	Queues  *consume.Queues // of reads as a group
}

// API serves the messages API.
type API struct {
	cfg Config
	Deps
	later *produce.Backlog // of the tasks for whose messages nobody waits
	nodes *http.Transport  // to those that have what is not here
}

// New makes the API.
func New(cfg Config, deps Deps) *API {
	orDefault(&cfg.MaxRecords, 10_000)
	orDefault(&cfg.MaxDepth, format.MaxDepth)
	orDefault(&cfg.MaxLine, 1<<20+64<<10)
	orDefault(&cfg.StreamIdle, 5*time.Minute)
	orDefault(&cfg.MaxWait, time.Minute)
	cfg.Read.defaults()
	orDefault(&cfg.Forward.Timeout, 30*time.Second)
	a := &API{cfg: cfg, Deps: deps, nodes: newNodesClient()}
	a.later = deps.Produce.NewBacklog(func(tag produce.Tag, b *produce.Batch, release func()) { a.finishTask(task.ID(tag), b, true, release) })
	return a
}

// Close lets go of the messages of tasks that were not sent yet, and of the connections to other nodes: call it when no more time is left for
// them.
func (a *API) Close() {
	a.later.Close()
	a.nodes.CloseIdleConnections()
}

func orDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
