package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Scope is the kind of client that Java properties are for. The table's rows have several, joined with |.
type Scope int

// The scopes.
const (
	ScopeAdmin    Scope = 1 << iota // the admin client
	ScopeProducer                   // a producer
	ScopeConsumer                   // a consumer

	anyScope = ScopeAdmin | ScopeProducer | ScopeConsumer
)

func (s Scope) String() string {
	var out []string
	for _, named := range []struct {
		scope Scope
		name  string
	}{{ScopeAdmin, "admin"}, {ScopeProducer, "producer"}, {ScopeConsumer, "consumer"}} {
		if s&named.scope != 0 {
			out = append(out, named.name)
		}
	}
	return strings.Join(out, ", ")
}

// Translated is what became of a set of Java client properties.
type Translated struct {
	Opts     []kgo.Opt // for kgo.NewClient, after the caller's own defaults
	Settings Settings
	Warnings []string // sorted: properties without effect, with another effect than in Java, or unsafe
}

// Settings are the properties that mean something to this proxy rather than to the Go client. Each field holds Java's default when its
// property is not set, unless it says otherwise.
type Settings struct {
	Brokers          []string // bootstrap.servers; nil when not set
	SecurityProtocol string   // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	ClientID         string   // empty when not set

	Acks            string        // all, 1 or 0
	Idempotent      bool          // false with acks other than all, or when asked for
	Compression     string        // none, gzip, snappy, lz4 or zstd
	MaxRequestSize  int           // bytes; Java refuses a record that is larger with RecordTooLarge
	MaxBlock        time.Duration // how long a record may wait for its topic's metadata
	DeliveryTimeout time.Duration // how long a record may be tried

	AutoOffsetReset       string        // latest, earliest, none or by_duration:P…; empty when not set
	EnableAutoCommit      bool          // of consumer instances that do not say
	AutoCommitInterval    time.Duration // how often they commit
	MaxPollRecords        int           // 30, Confluent's default, when not set
	IsolationLevel        string        // read_uncommitted or read_committed
	AllowAutoCreateTopics bool          // allow.auto.create.topics; false when not set: reading creates no topic
}

func defaultSettings() Settings {
	return Settings{
		SecurityProtocol: "PLAINTEXT", Acks: "all", Idempotent: true, Compression: "none", MaxRequestSize: 1 << 20, MaxBlock: time.Minute,
		DeliveryTimeout: 2 * time.Minute, EnableAutoCommit: true, AutoCommitInterval: 5 * time.Second, MaxPollRecords: 30,
		IsolationLevel: "read_uncommitted",
	}
}

// Translate turns Java client properties, their prefix taken off, into options of the Go client. Properties that are unknown or cannot be
// honoured give a warning each, and never an error; values that Java would refuse as well are errors, all of them joined. Neither an
// error nor a warning shows the value of a secret.
func Translate(scope Scope, props map[string]string) (Translated, error) {
	b := &builder{scope: scope, props: map[string]string{}, out: Translated{Settings: defaultSettings()}}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		b.apply(name, props[name])
	}
	b.security()
	b.retries()
	switch scope {
	case ScopeProducer:
		b.producer()
	case ScopeConsumer:
		b.consumer()
	}
	if len(b.problems) > 0 {
		return Translated{}, fmt.Errorf("%s client: %w", scope, errors.Join(b.problems...))
	}
	slices.Sort(b.out.Warnings)
	b.out.Warnings = slices.Compact(b.out.Warnings)
	return b.out, nil
}

// builder collects the translation of one client's properties.
type builder struct {
	scope    Scope
	props    map[string]string // those that are honoured by this scope
	out      Translated
	problems []error

	session, heartbeat time.Duration // 0 when not set
}

func (b *builder) apply(name, value string) {
	p, known := propertyNamed(name)
	switch {
	case !known:
		b.warnf("%s has no effect: it is no property of the Kafka client that this proxy knows", name)
	case p.scopes&b.scope == 0:
		b.warnf("%s has no effect on the %s client: it is a property of: %s", name, b.scope, p.scopes)
	case p.reason != "":
		b.warnf("%s has no effect: %s", name, p.reason)
	default:
		b.props[name] = value
		if p.apply == nil {
			return
		}
		if err := p.apply(b, p, value); err != nil {
			b.failf("%s=%.100s %w", name, value, err)
		}
	}
}

func (b *builder) add(opts ...kgo.Opt) { b.out.Opts = append(b.out.Opts, opts...) }

func (b *builder) warnf(format string, args ...any) {
	b.out.Warnings = append(b.out.Warnings, fmt.Sprintf(format, args...))
}

func (b *builder) failf(format string, args ...any) {
	b.problems = append(b.problems, fmt.Errorf(format, args...))
}
