package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"kafkarest/internal/config"
	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/httpapi/messages"
	"kafkarest/internal/produce"
	"kafkarest/internal/task"
)

// messaging is what the messages API has of its own. The zero value is one that is switched off.
type messaging struct {
	tasks  *task.Store
	reader *consume.Reader
	queues *consume.Queues
	api    *messages.API
}

// open wires the rooms of the messages API.
func (m *messaging) open(a *App, c clients, produced *produce.Service, formats format.Table) ([]httpapi.Endpoint, error) {
	settings, err := taskConfig(a.cfg, c.producer.DeliveryTimeout, a.log)
	if err != nil {
		return nil, err
	}
	if m.tasks, err = task.New(settings, a.cluster); err != nil {
		return nil, err
	}
	reader, queues := readConfig(a.cfg, c.consumer.IsolationLevel == "read_committed", a.log)
	queues.ClientID = c.consumer.ClientID
	m.reader, m.queues = consume.NewReader(reader, a.cluster), consume.NewQueues(queues, a.cluster)
	m.api = messages.New(messagesConfig(a.cfg), messages.Deps{
		Cluster: a.cluster, Produce: produced, Tasks: m.tasks, Formats: formats, Reader: m.reader, Queues: m.queues})
	return m.api.Endpoints(), nil
}

// drain ends what waits, so that requests finish soon.
func (m *messaging) drain() {
	if m.reader != nil {
		m.reader.Drain()
		m.queues.Drain()
	}
}

// close ends the rooms, once no request is under way any more, and reports what could not be finished.
func (m *messaging) close(ctx context.Context) (err error) {
	if m.queues != nil {
		leave, cancel := context.WithTimeout(ctx, leaveTimeout)
		err = m.queues.Close(leave)
		cancel()
		m.reader.Close()
	}
	if m.tasks != nil {
		settle, cancel := context.WithTimeout(ctx, leaveTimeout)
		m.tasks.Close(settle)
		cancel()
		m.api.Close()
	}
	return err
}

func messagesConfig(cfg *config.Config) messages.Config {
	return messages.Config{
		Overrides:  cfg.List("messages.overrides.allow"),
		MaxRecords: cfg.Int("request.max.records"),
		MaxDepth:   cfg.Int("request.max.depth"),
		StreamIdle: cfg.Millis("messages.stream.idle.timeout.ms"),
		MaxWait:    cfg.Millis("messages.wait.max.ms"),
		Read: messages.ReadConfig{
			MaxWait:       cfg.Millis("messages.wait.max.ms"),
			MaxLimit:      cfg.Int("messages.read.limit.max"),
			MaxBytes:      cfg.Int64("messages.read.max.bytes"),
			MaxAckTimeout: cfg.Millis("messages.ack.timeout.max.ms"),
			Heartbeat:     cfg.Millis("messages.heartbeat.ms"),
		},
		Forward: messages.ForwardConfig{
			Reach:   reach(cfg.Listeners()),
			Timeout: cfg.Millis("consumer.commit.timeout.ms") + 15*time.Second, // the owner may be waiting for the group, then for the commit
		},
	}
}

// reach chooses the listener at which other nodes reach this one: one that is open to them before one of loopback, then http before https. The
// first of the best wins. Port 0, which is any free one, is left for the requests to tell.
func reach(listeners []config.Listener) (best consume.Reach) {
	most := -1
	for _, l := range listeners {
		_, text, err := net.SplitHostPort(l.Address)
		port, convErr := strconv.ParseUint(text, 10, 16)
		if err != nil || convErr != nil {
			continue
		}
		fitness := 0
		if !l.Loopback() {
			fitness += 2
		}
		if l.Scheme == "http" {
			fitness++
		}
		if fitness > most {
			best, most = consume.Reach{Scheme: l.Scheme, Port: uint16(port)}, fitness
		}
	}
	return best
}

// readConfig is of the rooms that the reading half stands on.
func readConfig(cfg *config.Config, committed bool, log *slog.Logger) (consume.ReaderConfig, consume.QueueConfig) {
	return consume.ReaderConfig{
			Buffer:        cfg.Int64("messages.read.buffer.bytes"),
			TailBuffer:    cfg.Int64("messages.tail.buffer.bytes"),
			MaxTails:      cfg.Int("messages.streams.max"),
			ReadCommitted: committed,
			Log:           log,
		}, consume.QueueConfig{
			MaxQueues:      cfg.Int("messages.queues.max"),
			IdleTimeout:    cfg.Millis("messages.queue.idle.timeout.ms"),
			Window:         cfg.Int("messages.queue.window.records"),
			WindowBytes:    cfg.Int64("messages.queue.window.bytes"),
			TotalBytes:     cfg.Int64("messages.queue.buffer.bytes"),
			SessionTimeout: cfg.Millis("messages.queue.session.timeout.ms"),
			CommitTimeout:  cfg.Millis("consumer.commit.timeout.ms"),
			Log:            log,
		}
}

// orphaned is after what time a pending task of another node is unknown: not while its node may still be at it. A task waits for its turn for
// delivery.timeout.ms at the most, and is then tried for as long.
func orphaned(deliveryTimeout time.Duration) time.Duration {
	if deliveryTimeout == 0 { // for ever
		return 24 * time.Hour
	}
	return max(2*deliveryTimeout+time.Minute, 5*time.Minute)
}

func taskConfig(cfg *config.Config, deliveryTimeout time.Duration, log *slog.Logger) (task.Config, error) {
	out := task.Config{
		Node: nodeName(cfg), Topic: cfg.String("tasks.topic"), InMemory: cfg.String("tasks.store") == "memory",
		Partitions: int32(cfg.Int("tasks.topic.partitions")), Replicas: int16(cfg.Int("tasks.topic.replication.factor")),
		Max: cfg.Int("tasks.max"), Bytes: cfg.Int64("tasks.bytes"), Retention: cfg.Millis("tasks.retention.ms"),
		Orphaned: orphaned(deliveryTimeout), Log: log,
		Callbacks: task.Callbacks{AllowHosts: cfg.List("callbacks.allow.hosts"), AllowPrivate: cfg.Bool("callbacks.allow.private"),
			Timeout: cfg.Millis("callbacks.timeout.ms")},
	}
	for text := range strings.SplitSeq(cfg.String("callbacks.secrets"), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		secret, err := task.ParseSecret(text)
		if err != nil {
			return out, fmt.Errorf("callbacks.secrets: %w", err)
		}
		out.Callbacks.Secrets = append(out.Callbacks.Secrets, secret)
	}
	for _, text := range cfg.List("callbacks.retry.ms") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return out, fmt.Errorf("callbacks.retry.ms: %w", err)
		}
		out.Callbacks.Retries = append(out.Callbacks.Retries, time.Duration(n)*time.Millisecond)
	}
	return out, nil
}

// nodeName tells this proxy from others of the cluster, and is the same after a restart: the id, else the host with the listeners.
func nodeName(cfg *config.Config) string {
	if id := cfg.String("id"); id != "" {
		return id
	}
	host, err := os.Hostname()
	if err != nil {
		return "" // a name of this process only
	}
	return host + " " + strings.Join(cfg.List("listeners"), ",")
}
