package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// property is one row of the table of Java client properties.
type property struct {
	name   string
	scopes Scope
	def    string // what holds when it is not set
	doc    string // what becomes of it
	reason string // why it is not honoured; doc is empty then
	// apply turns a value into options and settings. Nil, on a row without a reason, means that the value is used together with others:
	// security, retries or producer read it from the builder.
	apply func(b *builder, p property, value string) error
}

// javaProperties is every property that the admin client, the producer and the consumer of Apache Kafka 4.3 have, by room.
var (
	javaProperties = joinProperties(connectionProperties(), producerProperties(), consumerProperties(), securityProperties(),
		unsupportedProperties())
	propertyIndex = indexProperties(javaProperties)
)

func joinProperties(rooms ...[]property) []property {
	var out []property
	for _, room := range rooms {
		out = append(out, room...)
	}
	return out
}

func indexProperties(all []property) map[string]int {
	out := make(map[string]int, len(all))
	for i, p := range all {
		out[p.name] = i
	}
	return out
}

func propertyNamed(name string) (property, bool) {
	i, ok := propertyIndex[name]
	if !ok {
		return property{}, false
	}
	return javaProperties[i], true
}

const ms = time.Millisecond

func connectionProperties() []property {
	return []property{
		{name: "bootstrap.servers", scopes: anyScope, doc: "brokers to start from, in place of the proxy's own `bootstrap.servers`",
			apply: bootstrap},
		{name: "client.id", scopes: anyScope, def: "kafka-rest", doc: "name of the client in the broker's logs and quotas", apply: clientID},
		{name: "request.timeout.ms", scopes: anyScope, doc: "deadline of one request to a broker; 100 ms to 15 min",
			apply: duration(100*ms, 15*time.Minute, requestTimeout)},
		{name: "default.api.timeout.ms", scopes: ScopeAdmin | ScopeConsumer, doc: "how long a request is tried again",
			apply: duration(0, maxDuration, option(kgo.RetryTimeout))},
		{name: "retries", scopes: ScopeAdmin | ScopeProducer, doc: "how often a request, or a record, is tried again",
			apply: number(0, 1<<31-1, setRetries)},
		{name: "retry.backoff.ms", scopes: anyScope, def: "250",
			doc: "wait before the first retry, doubled with each further one and spread by a fifth"},
		{name: "retry.backoff.max.ms", scopes: anyScope, def: "5000", doc: "longest wait before a retry"},
		{name: "metadata.max.age.ms", scopes: anyScope, def: "300000", doc: "age at which metadata is fetched anew; 10 ms to 1 h",
			apply: duration(10*ms, time.Hour, metadataAge)},
		{name: "connections.max.idle.ms", scopes: anyScope, def: "30000", doc: "idle time after which a connection is closed; 100 ms to 15 min",
			apply: duration(100*ms, 15*time.Minute, option(kgo.ConnIdleTimeout))},
		{name: "socket.connection.setup.timeout.ms", scopes: anyScope, doc: "how long to wait for a connection",
			apply: duration(ms, maxDuration, option(kgo.DialTimeout))},
		{name: "enable.metrics.push", scopes: anyScope, def: "false",
			doc:   "push the client's metrics to a broker that asks for them; on is off here",
			apply: boolean(metricsPush)},
	}
}

func producerProperties() []property {
	return []property{
		{name: "acks", scopes: ScopeProducer, def: "all", doc: "`all` (also `-1`), `1` or `0`; other than `all` turns idempotence off"},
		{name: "enable.idempotence", scopes: ScopeProducer, def: "true",
			doc: "a retry does not write a record twice; Confluent's proxy forces `false`"},
		{name: "max.in.flight.requests.per.connection", scopes: ScopeProducer, def: "5",
			doc: "read without idempotence only; idempotent producers have 5"},
		{name: "compression.type", scopes: ScopeProducer, def: "none", doc: "`none`, `gzip`, `snappy`, `lz4` or `zstd`"},
		{name: "compression.gzip.level", scopes: ScopeProducer, doc: "1 to 9, or -1 for the default"},
		{name: "compression.lz4.level", scopes: ScopeProducer, doc: "1 to 17; above 9 is as 9"},
		{name: "compression.zstd.level", scopes: ScopeProducer, doc: "-131072 to 22; this client has four levels, and the nearest is used"},
		{name: "linger.ms", scopes: ScopeProducer, def: "0", doc: "wait for more records before a request is sent; up to 60000",
			apply: duration(0, time.Minute, linger)},
		{name: "max.request.size", scopes: ScopeProducer, def: "1048576", doc: "largest batch, so largest record, in bytes; 512 to 1073741824",
			apply: number(512, 1<<30, maxRequestSize)},
		{name: "delivery.timeout.ms", scopes: ScopeProducer, def: "120000", doc: "how long a record is tried; 1000 or more, 0 for ever",
			apply: duration(0, maxDuration, deliveryTimeout)},
		{name: "max.block.ms", scopes: ScopeProducer, def: "60000",
			doc:   "how long a record may wait for its topic; never longer than `produce.timeout.ms`",
			apply: duration(0, maxDuration, func(b *builder, d time.Duration) { b.out.Settings.MaxBlock = d })},
	}
}

func consumerProperties() []property {
	return []property{
		{name: "fetch.min.bytes", scopes: ScopeConsumer, def: "1", doc: "bytes that a broker waits for",
			apply: number(0, 1<<30, option32(kgo.FetchMinBytes))},
		{name: "fetch.max.bytes", scopes: ScopeConsumer, def: "52428800", doc: "most bytes of one fetch; up to 1073741824",
			apply: number(0, 1<<30, fetchMaxBytes)},
		{name: "fetch.max.wait.ms", scopes: ScopeConsumer, def: "5000", doc: "how long a broker waits for `fetch.min.bytes`; 10 or more",
			apply: duration(10*ms, maxDuration, option(kgo.FetchMaxWait))},
		{name: "max.partition.fetch.bytes", scopes: ScopeConsumer, def: "1048576", doc: "most bytes of one partition in a fetch",
			apply: number(0, 1<<30, option32(kgo.FetchMaxPartitionBytes))},
		{name: "session.timeout.ms", scopes: ScopeConsumer, def: "45000",
			doc:   "a member without heartbeats for so long is taken for dead; 100 or more",
			apply: duration(100*ms, maxDuration, func(b *builder, d time.Duration) { b.session = d })},
		{name: "heartbeat.interval.ms", scopes: ScopeConsumer, def: "3000", doc: "time between heartbeats; less than `session.timeout.ms`",
			apply: duration(ms, maxDuration, func(b *builder, d time.Duration) { b.heartbeat = d })},
		{name: "max.poll.interval.ms", scopes: ScopeConsumer, def: "60000", doc: "how long a rebalance waits for this member; 100 or more",
			apply: duration(100*ms, maxDuration, option(kgo.RebalanceTimeout))},
		{name: "partition.assignment.strategy", scopes: ScopeConsumer, def: "cooperative-sticky",
			doc: "Java class names of the range, round-robin, sticky and cooperative-sticky assignors, or `range`, `roundrobin`, `sticky`," +
				" `cooperative-sticky`", apply: assignors},
		{name: "group.protocol", scopes: ScopeConsumer, def: "classic", doc: "`classic` or `consumer` (KIP-848; wants Kafka 4.3)",
			apply: oneOf(groupProtocol, "classic", "consumer")},
		{name: "isolation.level", scopes: ScopeConsumer, def: "read_uncommitted", doc: "`read_uncommitted` or `read_committed`",
			apply: oneOf(isolation, "read_uncommitted", "read_committed")},
		{name: "client.rack", scopes: ScopeConsumer, doc: "rack to read from the nearest replica", apply: stringOption(kgo.Rack)},
		{name: "check.crcs", scopes: ScopeConsumer, def: "true", doc: "check the checksum of what is read", apply: boolean(checkCRCs)},
		{name: "allow.auto.create.topics", scopes: ScopeConsumer, def: "false",
			doc:   "reading creates a topic that does not exist, where the broker allows it",
			apply: boolean(autoCreate)},
		{name: "auto.offset.reset", scopes: ScopeConsumer, def: "latest",
			doc:   "`latest`, `earliest`, `none` or `by_duration:P…`, for instances that do not say",
			apply: offsetReset},
		{name: "enable.auto.commit", scopes: ScopeConsumer, def: "true", doc: "commit what was delivered and proven, for instances that do not say",
			apply: boolean(func(b *builder, v bool) { b.out.Settings.EnableAutoCommit = v })},
		{name: "auto.commit.interval.ms", scopes: ScopeConsumer, def: "5000", doc: "time between such commits; 100 or more",
			apply: duration(100*ms, maxDuration, func(b *builder, d time.Duration) { b.out.Settings.AutoCommitInterval = d })},
		{name: "max.poll.records", scopes: ScopeConsumer, def: "30",
			doc:   "records taken from the client at once; the reply of a read is bounded by bytes",
			apply: number(1, 1<<31-1, func(b *builder, n int64) { b.out.Settings.MaxPollRecords = int(n) })},
	}
}

func securityProperties() []property {
	rows := []property{
		{name: "security.protocol", def: "PLAINTEXT", doc: "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"},
		{name: "sasl.mechanism", def: "GSSAPI, which is an error", doc: "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`"},
		{name: "sasl.jaas.config", doc: "`PlainLoginModule`, `ScramLoginModule` (also with `tokenauth`) or `OAuthBearerLoginModule`"},
		{name: "sasl.oauthbearer.token.endpoint.url", doc: "where tokens come from, by client credentials"},
		{name: "sasl.oauthbearer.client.credentials.client.id", doc: "in place of `clientId` in `sasl.jaas.config`"},
		{name: "sasl.oauthbearer.client.credentials.client.secret", doc: "in place of `clientSecret` in `sasl.jaas.config`"},
		{name: "sasl.oauthbearer.scope", doc: "in place of `scope` in `sasl.jaas.config`"},
		{name: "sasl.oauthbearer.header.urlencode", def: "false", doc: "encode id and secret as RFC 6749 asks"},
		{name: "ssl.keystore.location", doc: "JKS, PKCS#12 or PEM file with the client's key and certificates"},
		{name: "ssl.keystore.password", doc: "password of the key store"},
		{name: "ssl.keystore.type", doc: "`JKS`, `PKCS12` or `PEM`; the content decides"},
		{name: "ssl.keystore.key", doc: "the key as PEM text (PKCS#8)"},
		{name: "ssl.keystore.certificate.chain", doc: "its certificates as PEM text"},
		{name: "ssl.key.password", def: "that of the store", doc: "password of the key"},
		{name: "ssl.truststore.location", def: "the system's authorities", doc: "JKS, PKCS#12 or PEM file with the authorities to trust"},
		{name: "ssl.truststore.password", doc: "password of the trust store; a JKS store opens without"},
		{name: "ssl.truststore.type", doc: "`JKS`, `PKCS12` or `PEM`; the content decides"},
		{name: "ssl.truststore.certificates", doc: "the authorities as PEM text"},
		{name: "ssl.endpoint.identification.algorithm", def: "https", doc: "empty: a broker's certificate may be for any host (a warning)"},
		{name: "ssl.enabled.protocols", def: "TLSv1.2,TLSv1.3", doc: "versions of TLS, without a hole in between"},
		{name: "ssl.cipher.suites", def: "the secure ones", doc: "IANA names; the suites of TLS 1.3 cannot be chosen among"},
	}
	for i := range rows {
		rows[i].scopes = anyScope
	}
	return rows
}
