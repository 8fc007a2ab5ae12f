package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says how to reach one Kafka cluster. Each option list is applied after the defaults of this package, so it wins.
type Config struct {
	Common   []kgo.Opt // seeds, dialer, TLS, SASL, client id: for every client
	Admin    []kgo.Opt
	Producer []kgo.Opt
	Consumer []kgo.Opt

	Idempotent      bool          // what Producer says of it: false makes time-outs of records in doubt
	DeliveryTimeout time.Duration // how long a record may be tried; 0 is for ever. Producer's own RecordDeliveryTimeout is not used

	RequestTimeout time.Duration // deadline of one metadata or admin request; 0 is 5 s
	LookupTimeout  time.Duration // how long produce waits for an unknown topic to appear; 0 is 1 s
	UnknownFor     time.Duration // how long it is remembered that a topic does not exist; 0 not at all
	Denied         []string      // topics that no client of the proxy may use, since they are the proxy's own: see Topics.Allowed
	Log            *slog.Logger  // nil discards
}

// Cluster is what the rooms above know of Kafka. It is safe for concurrent use.
type Cluster struct {
	cfg    Config
	admin  *kgo.Client
	adm    *kadm.Client
	topics *Topics

	mu        sync.Mutex
	producers map[Profile]*Producer
	closed    bool
	wg        sync.WaitGroup // purges under way
}

// Open readies the shared clients. It does not wait for a broker: one that is down shows in Ready and in every request.
func Open(cfg Config) (*Cluster, error) {
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = 5 * time.Second
	}
	if cfg.LookupTimeout == 0 {
		cfg.LookupTimeout = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	admin, err := kgo.NewClient(cfg.options(cfg.Admin)...)
	if err != nil {
		return nil, fmt.Errorf("admin client: %w", err)
	}
	c := &Cluster{cfg: cfg, admin: admin, adm: kadm.NewClient(admin), producers: map[Profile]*Producer{}}
	c.topics = newTopics(admin, cfg.RequestTimeout, cfg.LookupTimeout, cfg.UnknownFor)
	c.topics.denied = slices.DeleteFunc(slices.Clone(cfg.Denied), func(name string) bool { return name == "" })
	c.topics.onGone = c.forget
	return c, nil
}

// options are the defaults that every client has. Time-outs are short, since a frozen broker must not hold up what others can answer.
func (cfg *Config) options(extra []kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ClientID("kafka-rest"),
		kgo.RequestTimeoutOverhead(3 * time.Second),
		kgo.DialTimeout(3 * time.Second),
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(logger{cfg.Log}),
	}
	opts = append(opts, cfg.Common...)
	return append(opts, extra...)
}

// Admin is the shared client for metadata and admin requests. Every call on it needs a context with a deadline: see Deadline.
func (c *Cluster) Admin() *kadm.Client { return c.adm }

// Client is the client behind Admin, for requests that Admin has no method for.
func (c *Cluster) Client() *kgo.Client { return c.admin }

// Fresh has metadata requests go to a broker: without it the client answers from what it learned within the last half second.
func Fresh(ctx context.Context) context.Context { return kadm.WithAuthorizedOps(ctx) }

// Deadline bounds one metadata or admin request.
func (c *Cluster) Deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.RequestTimeout)
}

// Topics is the directory of topics that are known to exist.
func (c *Cluster) Topics() *Topics { return c.topics }

// NewConsumer makes a client for one consumer instance; the caller closes it.
func (c *Cluster) NewConsumer(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(c.cfg.options(c.cfg.Consumer), opts...)...)
}

// Ready reports whether a broker answers within ctx's deadline.
func (c *Cluster) Ready(ctx context.Context) error {
	if err := AwaitError(ctx, c.admin.Ping); err != nil {
		return Error(err)
	}
	return nil
}

// Producer gives the shared producer that the configuration describes, which is made on first use.
func (c *Cluster) Producer() (*Producer, error) { return c.ProducerFor(Profile{}) }

// forget drops a topic that no longer exists from the producers: kgo fails every record of a topic that was deleted and made again until
// then, and asks for its metadata for ever. It runs apart, since the caller may be the client's own goroutine that purging waits for.
func (c *Cluster) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for _, p := range c.producers {
		c.wg.Go(func() { p.client.PurgeTopicsFromProducing(topic) })
	}
}

// Close flushes the producers until ctx ends, then closes every client. What could not be flushed is reported.
func (c *Cluster) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	producers := c.producers
	c.producers = nil
	c.mu.Unlock()
	var errs []error
	for _, p := range producers {
		if err := p.client.Flush(ctx); err != nil {
			errs = append(errs, fmt.Errorf("flush: %d records were still under way: %w", p.client.BufferedProduceRecords(), err))
		}
		p.client.Close()
	}
	c.wg.Wait()
	c.topics.close()
	c.admin.Close()
	return errors.Join(errs...)
}

// logger passes the client's own log on, a level lower than it thinks: its retries are its business until a request fails.
type logger struct{ log *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError {
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}
