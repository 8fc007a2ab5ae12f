package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"kafkarest/internal/config"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"
	"kafkarest/internal/registry"
	registryserver "kafkarest/internal/registry/embedded"

	"github.com/twmb/franz-go/pkg/kgo"
)

// registryConfig reads the schema.registry.* keys, which have the names of Confluent's registry client. No URL is no registry, and nil.
func registryConfig(cfg *config.Config) (*registry.Config, error) {
	url := cfg.String("schema.registry.url")
	if url == "" {
		return nil, nil
	}
	props := cfg.Prefixed("schema.registry.")
	out := registry.Default()
	for u := range strings.SplitSeq(url, ",") {
		out.URLs = append(out.URLs, strings.TrimSpace(u))
	}
	if err := registryAuth(cfg, props, &out); err != nil {
		return nil, err
	}
	out.AutoRegister = props["auto.register.schemas"] != "false"
	out.UseLatest = props["use.latest.version"] == "true"
	out.Normalize = props["normalize.schemas"] == "true"
	for key, strategy := range map[string]*registry.Strategy{"key.subject.name.strategy": &out.KeyStrategy, "value.subject.name.strategy": &out.ValueStrategy} {
		if props[key] == "" {
			continue
		}
		var err error
		if *strategy, err = registry.ParseStrategy(props[key]); err != nil {
			return nil, fmt.Errorf("schema.registry.%s: %w", key, err)
		}
	}
	return &out, out.Validate()
}

// registryAuth reads how the proxy shows who it is: basic.auth.credentials.source is URL (user info in the URL), USER_INFO or SASL_INHERIT.
func registryAuth(cfg *config.Config, props map[string]string, out *registry.Config) error {
	switch source := strings.ToUpper(props["basic.auth.credentials.source"]); source {
	case "", "URL":
	case "USER_INFO":
		user, password, ok := strings.Cut(props["basic.auth.user.info"], ":")
		if !ok {
			return errors.New("schema.registry.basic.auth.user.info: it must be user:password, with basic.auth.credentials.source=USER_INFO")
		}
		out.Username, out.Password = user, password
	case "SASL_INHERIT":
		user, password, err := kafka.JAASLogin(cfg.Prefixed("client.")["sasl.jaas.config"])
		if err != nil {
			return fmt.Errorf("schema.registry.basic.auth.credentials.source=SASL_INHERIT: client.sasl.jaas.config: %w", err)
		}
		out.Username, out.Password = user, password
	default:
		return fmt.Errorf("schema.registry.basic.auth.credentials.source: %q is none of URL, USER_INFO, SASL_INHERIT", source)
	}
	switch source := strings.ToUpper(props["bearer.auth.credentials.source"]); source {
	case "":
	case "STATIC_TOKEN":
		out.Bearer = props["bearer.auth.token"]
	default:
		return fmt.Errorf("schema.registry.bearer.auth.credentials.source: %q is not served: use STATIC_TOKEN", source)
	}
	secure, err := kafka.LoadTLS(props, false)
	if err != nil {
		return fmt.Errorf("schema.registry.: %w", err)
	}
	out.TLS = secure
	return nil
}

// formats are those that are served: the schema formats too, which without a registry say so in each request.
func (a *App) formats(own *localRegistry) (format.Table, error) {
	options := format.Options{
		NullIsTombstone: a.cfg.Bool("null.request.body.always.publishes.empty.record"),
		UseLatest:       a.cfg.Bool("api.v2.schema.latest"),
	}
	settings, err := registryConfig(a.cfg)
	if err != nil {
		return nil, err
	}
	if own != nil {
		if settings == nil {
			settings = new(registry.Default())
		}
		settings.URLs = []string{own.url}
	}
	if settings == nil {
		return append(format.Plain(), format.SchemaFormats(nil, options)...), nil
	}
	if a.schemas, err = registry.New(*settings); err != nil {
		return nil, err
	}
	return append(format.Plain(), format.SchemaFormats(a.schemas, options)...), nil
}

// localRegistry is the Schema Registry of `kafka-rest dev`.
type localRegistry struct {
	url      string
	registry *registryserver.Registry
	http     *http.Server
	done     chan struct{}
}

// startRegistry serves a Schema Registry whose schemas lie in the broker's _schemas topic. Its usual port may be taken by another; unless
// the operator has asked for that port, any other will do.
func startRegistry(cfg *config.Config, broker []kgo.Opt, log *slog.Logger) (*localRegistry, error) {
	r, err := registryserver.New(registryserver.Config{Kafka: broker, Canonical: format.Canonical})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	address := strings.TrimPrefix(cfg.String("schema.registry.listeners"), "http://")
	socket, err := net.Listen("tcp", address)
	if err != nil && !cfg.IsSet("schema.registry.listeners") {
		log.Warn("the Schema Registry listens on another port than its usual one", "err", err)
		socket, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("schema.registry.listeners: %w", err)
	}
	out := &localRegistry{
		url: "http://" + socket.Addr().String(), registry: r, done: make(chan struct{}),
		http: &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second},
	}
	go func() {
		defer close(out.done)
		if err := out.http.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the Schema Registry stopped", "err", err)
		}
	}()
	log.Info("Schema Registry listening", "address", out.url)
	return out, nil
}

func (r *localRegistry) close(ctx context.Context) error {
	err := r.http.Shutdown(ctx)
	<-r.done
	r.registry.Close()
	return err
}
