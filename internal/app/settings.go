package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"kafkarest/internal/config"
	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
	v2 "kafkarest/internal/httpapi/v2"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"

	"github.com/twmb/franz-go/pkg/kgo"
)

// clients is what the pass-through prefixes became.
type clients struct {
	kafka              kafka.Config
	producer, consumer kafka.Settings
	warnings           []string
}

// translate turns the properties meant for Kafka clients into options (contract §5.1).
func translate(cfg *config.Config, broker []kgo.Opt) (clients, error) {
	var c clients
	scope := func(s kafka.Scope, prefix string) (kafka.Translated, error) {
		props := cfg.Prefixed("client.", prefix)
		if broker == nil {
			props["bootstrap.servers"] = cfg.String("bootstrap.servers")
		}
		out, err := kafka.Translate(s, props)
		for _, w := range out.Warnings {
			name, _, _ := strings.Cut(w, " ")
			if _, general := cfg.Prefixed("client.")[name]; !general || !strings.Contains(w, "it is a property of:") {
				c.warnings = append(c.warnings, w) // client.* is for whichever client has a use for it
			}
		}
		return out, err
	}
	admin, err := scope(kafka.ScopeAdmin, "admin.")
	if err != nil {
		return c, err
	}
	producer, err := scope(kafka.ScopeProducer, "producer.")
	if err != nil {
		return c, err
	}
	consumer, err := scope(kafka.ScopeConsumer, "consumer.")
	if err != nil {
		return c, err
	}
	c.producer, c.consumer = producer.Settings, consumer.Settings
	slices.Sort(c.warnings)
	c.warnings = slices.Compact(c.warnings)
	c.kafka = kafka.Config{
		Common: broker, Admin: admin.Opts, Producer: producer.Opts, Consumer: consumer.Opts, Idempotent: producer.Settings.Idempotent,
		DeliveryTimeout: producer.Settings.DeliveryTimeout,
		RequestTimeout:  cfg.Millis("admin.timeout.ms"),
		LookupTimeout:   min(cfg.Millis("topic.lookup.timeout.ms"), producer.Settings.MaxBlock),
		UnknownFor:      cfg.Millis("topic.cache.ms"),
	}
	return c, nil
}

func produceConfig(cfg *config.Config, c clients) produce.Config {
	return produce.Config{
		Timeout:     cfg.Millis("produce.timeout.ms"),
		Buffer:      cfg.Int64("produce.buffer.bytes"),
		TopicBuffer: cfg.Int64("produce.buffer.topic.bytes"),
		MaxRecord:   c.producer.MaxRequestSize,
	}
}

func consumeConfig(cfg *config.Config, c clients, log *slog.Logger) consume.Config {
	reset := consume.Reset(c.consumer.AutoOffsetReset)
	if reset != consume.Earliest && reset != consume.None {
		reset = consume.Latest
	}
	return consume.Config{
		ID:                 cfg.String("id"),
		InstanceTimeout:    cfg.Millis("consumer.instance.timeout.ms"),
		RequestTimeout:     cfg.Millis("consumer.request.timeout.ms"),
		MaxWait:            cfg.Millis("consumer.request.timeout.max.ms"),
		CommitTimeout:      cfg.Millis("consumer.commit.timeout.ms"),
		MaxBytes:           cfg.Int64("consumer.request.max.bytes"),
		MinBytes:           int64(cfg.Int("fetch.min.bytes")),
		MaxInstances:       cfg.Int("consumer.instances.max"),
		BufferBytes:        int32(min(cfg.Int64("consumer.buffer.bytes"), 1<<30)),
		TotalBuffer:        cfg.Int64("consumer.buffer.total.bytes"),
		AutoCommit:         c.consumer.EnableAutoCommit,
		AutoCommitInterval: c.consumer.AutoCommitInterval,
		Reset:              reset,
		ReadCommitted:      c.consumer.IsolationLevel == "read_committed",
		Log:                log,
	}
}

func v2Config(cfg *config.Config) v2.Config {
	include := cfg.List("api.v2.include")
	return v2.Config{
		IncludeHeaders:   slices.Contains(include, "headers"),
		IncludeTimestamp: slices.Contains(include, "timestamp"),
		StrictStatus:     cfg.Bool("api.v2.produce.strict.status"),
		MaxRecords:       cfg.Int("request.max.records"),
		MaxDepth:         cfg.Int("request.max.depth"),
	}
}

func apiConfig(cfg *config.Config, log *slog.Logger, lines io.Writer) httpapi.Config {
	out := httpapi.Config{
		Log: log, Debug: cfg.Bool("debug"),
		Compression: cfg.Bool("compression.enable"),
		MaxBody:     cfg.Int64("request.max.bytes"), BodyBudget: cfg.Int64("request.buffer.bytes"),
		BodyTimeout: cfg.Millis("request.body.timeout.ms"), BodyMinRate: int64(cfg.Int("request.body.min.rate")),
		PreferTypes: cfg.List("response.mediatype.preferred"), DefaultType: cfg.String("response.mediatype.default"),
		AllowNames: cfg.List("api.endpoints.allowlist"), BlockNames: cfg.List("api.endpoints.blocklist"),
		CORS: httpapi.CORS{
			Origins: cfg.List("access.control.allow.origin"), Methods: cfg.List("access.control.allow.methods"),
			Headers: cfg.List("access.control.allow.headers"), Expose: cfg.List("access.control.expose.headers"),
		},
		HSTS: cfg.Bool("hsts.header.enable"), NoSniff: cfg.Bool("nosniff.prevention.enable"), RejectOPTION: cfg.Bool("reject.options.request"),
		RequestTimeout: cfg.Millis("request.timeout.ms"),
		Root:           rootURL(cfg),
	}
	if cfg.Bool("log.requests") && log.Enabled(context.Background(), slog.LevelInfo) {
		out.RequestLog = lines
	}
	for _, h := range cfg.HeaderRules("response.http.headers.config") {
		out.Headers = append(out.Headers, httpapi.HeaderRule(h))
	}
	if cfg.Bool("network.forwarded.request.customizer.enable") {
		out.TrustedForwarders = cfg.Networks("forwarded.trusted.addresses")
	}
	if delay := cfg.Int("dos.filter.delay.ms"); cfg.Bool("dos.filter.enabled") && delay != 0 {
		out.DoSFilter = httpapi.DoSFilter{
			Global:    float64(cfg.Int("dos.filter.max.requests.per.sec")),
			PerClient: float64(cfg.Int("dos.filter.max.requests.per.connection.per.sec")),
			Delay:     time.Duration(delay) * time.Millisecond,
		}
	}
	if cfg.Bool("rate.limit.enable") {
		out.Permits = httpapi.Permits{PerSecond: float64(cfg.Int("rate.limit.permits.per.sec")), Wait: cfg.Millis("rate.limit.timeout.ms"),
			Cost: cfg.Int("rate.limit.default.cost"), Costs: maps.Clone(cfg.Costs("rate.limit.costs"))}
	}
	return out
}

// rootURL is rule 1 and 2 of contract §4.6.
func rootURL(cfg *config.Config) httpapi.RootURL {
	root := httpapi.RootURL{HostName: cfg.String("host.name"), Advertised: map[string]string{}, Ports: map[string]string{}}
	for _, l := range slices.Backward(cfg.AdvertisedListeners()) {
		root.Advertised[l.Scheme] = l.Address // the first of a scheme wins
	}
	for _, l := range slices.Backward(cfg.Listeners()) {
		if _, port, err := net.SplitHostPort(l.Address); err == nil {
			root.Ports[l.Scheme] = port
		}
	}
	return root
}

func newHTTPServer(cfg *config.Config, handler http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cfg.Millis("request.header.timeout.ms"),
		IdleTimeout:       cfg.Millis("idle.timeout.ms"),
		MaxHeaderBytes:    max(1, cfg.Int("max.request.header.size")-4096), // net/http lets 4 KiB more through
		ConnContext:       httpapi.ConnContext,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), /* about clients' connections */
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100, SendPingTimeout: 15 * time.Second, WriteByteTimeout: 10 * time.Second},
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(cfg.Bool("http2.enabled"))
	s.Protocols.SetUnencryptedHTTP2(cfg.Bool("http2.enabled"))
	return s
}

// Banner is what `kafka-rest dev` prints: lines to paste.
func Banner(addr string) string {
	base := "http://" + strings.Replace(addr, "127.0.0.1", "localhost", 1)
	return fmt.Sprintf(`kafka-rest is ready at %[1]s with an embedded broker (for trying and tests, not for production). Try:

  curl -X POST -H "Content-Type: application/vnd.kafka.json.v2+json" --data '{"records":[{"value":{"foo":"bar"}}]}' %[1]s/topics/jsontest
  curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"name":"me","format":"json","auto.offset.reset":"earliest"}' %[1]s/consumers/mygroup
  curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"topics":["jsontest"]}' %[1]s/consumers/mygroup/instances/me/subscription
  curl -H "Accept: application/vnd.kafka.json.v2+json" %[1]s/consumers/mygroup/instances/me/records

`, base)
}

// Check does what Start would find wrong with a configuration, without connecting or listening: its Kafka client properties and its
// listeners' key stores. It returns the warnings that a start would log.
func Check(cfg *config.Config) ([]string, error) {
	c, err := translate(cfg, nil)
	warnings := append(cfg.Warnings(), c.warnings...)
	for _, l := range cfg.Listeners() {
		if l.Scheme != "https" {
			continue
		}
		if _, tlsErr := kafka.LoadTLS(l.TLS, true); tlsErr != nil {
			err = errors.Join(err, fmt.Errorf("listener %s: %w", l, tlsErr))
		}
	}
	return warnings, err
}
