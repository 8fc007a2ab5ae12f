package config

import "math"

const (
	noV3Produce = "the v3 produce endpoints are not served by this version"
	noExtension = "a Java class cannot be loaded here, and such classes often guard the API: serving without it would be unsafe"
	noTenant    = "tenants are a notion of Confluent Cloud; not served by this version, and serving without the limit would be unsafe"
	jettyDoS    = "a detail of the Java container's filter; requests over the limit are delayed or rejected as dos.filter.delay.ms says"
)

func apiGroups() []group {
	return []group{
		{"APIs", append(apiKeys(), ours(apiOwnKeys()...)...)},
		{"Consumers", append(consumerKeys(), ours(consumerOwnKeys()...)...)},
		{"Produce", append(produceKeys(), ours(produceOwnKeys()...)...)},
		{"Rate limit", rateKeys()},
		{"DoS filter", dosKeys()},
	}
}

func apiKeys() []Key {
	return []Key{
		boolean("api.v2.enable", true, "Serve the v2 API."),
		boolean("api.v3.enable", true, "Serve the v3 API, as far as this version has it."),
		list("api.endpoints.allowlist", "", "Names of the only endpoints that are served, `api.v2.topics.list` or `api.v2.topics.*`; empty means all."),
		list("api.endpoints.blocklist", "", "Names of endpoints that are not served; wins over the allow list."),
		list("response.mediatype.preferred", "application/json,application/vnd.kafka.v2+json", "Media types preferred for replies, best first."),
		text("response.mediatype.default", "application/json", "Media type of replies to requests without `Accept`."),
		boolean("null.request.body.always.publishes.empty.record", false,
			"v3: a key or value that is absent or null becomes a null payload, whatever its schema says."),
		refused("kafka.rest.resource.extension.class", "", noExtension),
		refused("resource.extension.classes", "", noExtension),
		refused("rest.servlet.initializor.classes", "", noExtension),
		idle("websocket.servlet.initializor.classes", "", "a Java class cannot be loaded here; nothing is served in its place"),
		idle("websocket.path.prefix", "/ws", "no websockets are served by this version"),
	}
}

func apiOwnKeys() []Key {
	return []Key{
		list("api.v2.include", "", "Members that every v2 record reply has in addition: `headers`, `timestamp`.").of("headers", "timestamp"),
		boolean("api.v2.produce.strict.status", false,
			"Answer a v2 produce request whose records all failed with the error's status, instead of 200 with errors inside."),
		boolean("api.v2.schema.latest", false,
			"v2 produce in a schema format without a schema: take the newest of the subject, instead of 422 (42201, 42202)."),
		millis("admin.timeout.ms", 5000, 100, "Deadline of a request for metadata or administration."),
	}
}

func consumerKeys() []Key {
	const dead = "unused by Confluent's proxy too"
	return []Key{
		millis("consumer.request.timeout.ms", 1000, 0, "Longest wait of one read when the instance sets none."),
		long("consumer.request.max.bytes", 64<<20, 0, math.MaxInt64, "Largest reply of one read, in bytes of keys and values."),
		millis("consumer.instance.timeout.ms", 300000, 1, "How long an idle consumer instance lives."),
		integer("fetch.min.bytes", -1, -1, 10000000, "A read waits for more bytes than this, up to its timeout; -1 means for the first record."),
		idle("consumer.iterator.timeout.ms", "1", dead),
		idle("consumer.iterator.backoff.ms", "50", "a read is woken by the first record; it does not poll"),
		idle("simpleconsumer.pool.size.max", "25", "of the v1 API's simple consumer, which neither proxy has any more"),
		idle("simpleconsumer.pool.timeout.ms", "1000", "of the v1 API's simple consumer, which neither proxy has any more"),
		idle("zookeeper.connect", "localhost:2181", "Kafka has no ZooKeeper any more; set bootstrap.servers"),
		idle("zookeeper.set.acl", "false", "Kafka has no ZooKeeper any more"),
	}
}

func consumerOwnKeys() []Key {
	return []Key{
		integer("consumer.instances.max", 5000, 1, 1000000, "Most consumer instances at once; above it 429."),
		long("consumer.buffer.bytes", 4<<20, 1, 1<<40, "Fetched and not yet delivered bytes that one instance may hold; fetching pauses above it."),
		long("consumer.buffer.total.bytes", 256<<20, 1<<20, 1<<40,
			"Fetched and not yet delivered bytes of all instances; above it those that nobody reads drop theirs and fetch again later."),
		millis("consumer.request.timeout.max.ms", 60000, 1, "Most that `timeout=` of a read may ask for where the instance sets no limit."),
		millis("consumer.commit.timeout.ms", 10000, 1, "Deadline of a commit."),
	}
}

func produceKeys() []Key {
	return []Key{
		idle("api.v3.produce.rate.limit.enabled", "false", noV3Produce),
		idle("api.v3.produce.rate.limit.max.requests.per.sec", "10000", noV3Produce),
		idle("api.v3.produce.rate.limit.max.requests.global.per.sec", "10000", noV3Produce),
		idle("api.v3.produce.rate.limit.max.bytes.per.sec", "10000000", noV3Produce),
		idle("api.v3.produce.rate.limit.max.bytes.global.per.sec", "10000000", noV3Produce),
		idle("api.v3.produce.rate.limit.cache.expiry.ms", "3600000", noV3Produce),
		idle("api.v3.produce.batch.maximum.entries", "10", noV3Produce),
		idle("api.v3.produce.request.size.limit.max.bytes", "0", noV3Produce),
		idle("streaming.connection.max.duration.ms", "86400000", noV3Produce),
		idle("streaming.connection.max.duration.grace.period.ms", "500", noV3Produce),
	}
}

func produceOwnKeys() []Key {
	return []Key{
		millis("produce.timeout.ms", 30000, 1, "Deadline of a produce request. A record still under way then is in doubt: 504, error code 50401."),
		long("produce.buffer.bytes", 64<<20, 1, 1<<40, "Bytes of records in flight; above it 429."),
		long("produce.buffer.topic.bytes", 32<<20, 1, 1<<40, "Bytes of records in flight for one topic; above it 429."),
		millis("topic.lookup.timeout.ms", 1000, 1, "How long a produce request waits for a topic that is not known to appear."),
		millis("topic.cache.ms", 1000, 0, "How long it is remembered that a topic does not exist; 0 means not at all."),
	}
}

func rateKeys() []Key {
	return []Key{
		boolean("rate.limit.enable", false, "Limit the rate of requests; above it 429."),
		integer("rate.limit.permits.per.sec", 50, 1, math.MaxInt32, "Permits per second."),
		millis("rate.limit.timeout.ms", 0, 0, "How long a request may wait for its permits."),
		integer("rate.limit.default.cost", 1, 0, math.MaxInt32, "Permits that a request costs; 0 means it is not limited."),
		list("rate.limit.costs", "", "Permits that a request to certain endpoints costs, `api.v3.clusters.*=1,api.v3.brokers.list=2`.").checked(checkCosts),
		idle("rate.limit.backend", "guava", "there is one limiter here; it lets a second's worth of permits through at once, as resilience4j does"),
		idle("rate.limit.per.cluster.permits.per.sec", "50", "this proxy serves one cluster, so rate.limit.permits.per.sec is its limit"),
		idle("rate.limit.per.cluster.cache.expiry.ms", "3600000", "this proxy serves one cluster"),
	}
}

func dosKeys() []Key {
	return []Key{
		boolean("dos.filter.enabled", false, "Limit the rate of requests for each client address and for all."),
		integer("dos.filter.max.requests.per.sec", 25, 1, math.MaxInt32, "Requests per second from all clients."),
		integer("dos.filter.max.requests.per.connection.per.sec", 25, 1, math.MaxInt32, "Requests per second from one client address."),
		integer("dos.filter.delay.ms", 100, -1, maxMillis, "Delay of a request over the limit; -1 rejects it with 429, 0 lets it through."),
		idle("dos.filter.max.wait.ms", "50", jettyDoS),
		idle("dos.filter.throttled.requests", "5", jettyDoS),
		idle("dos.filter.throttle.ms", "30000", jettyDoS),
		idle("dos.filter.max.requests.ms", "30000", "request.timeout.ms and the deadline of each operation end a request here"),
		idle("dos.filter.max.idle.tracker.ms", "30000", jettyDoS),
		idle("dos.filter.insert.headers", "true", "the header DoSFilter is on every rejected reply"),
		idle("dos.filter.ip.whitelist", "", "the filter has no exceptions here"),
		idle("dos.filter.managed.attr", "false", "there is no JMX here"),
		refused("dos.filter.tenant.enabled", "false", noTenant),
		idle("dos.filter.tenant.max.requests.per.sec", "25", "has a meaning only with dos.filter.tenant.enabled=true, which is refused"),
		idle("dos.filter.tenant.dry.run.enabled", "false", "has a meaning only with dos.filter.tenant.enabled=true, which is refused"),
	}
}
