package config

import "math"

const (
	noJetty   = "a setting of the Java container; this server has no such part"
	noPool    = "there is no pool of threads to size here: a request costs a goroutine"
	notServed = "not served by this version, and serving without the protection that it asks for would be unsafe"
)

func serverGroups() []group {
	return []group{
		{"Identity and addresses", identityKeys()},
		{"Server and limits", append(serverKeys(), ours(serverOwnKeys()...)...)},
		{"Start and stop", append(lifeKeys(), ours(lifeOwnKeys()...)...)},
		{"Container settings", containerKeys()},
	}
}

func identityKeys() []Key {
	return []Key{
		text("bootstrap.servers", "", "Brokers to start from, `host:port` separated by commas; `PROTOCOL://` before a host is ignored."+
			" Needed by `serve`, not by `dev`.").checked(checkBootstrap),
		text("id", "", "Name of this proxy; goes into generated consumer instance names."),
		list("listeners", "", "Addresses to listen on, `scheme://host:port` or `NAME://host:port` with `listener.protocol.map`."+
			" Empty means `http://127.0.0.1:PORT`, loopback only; use `http://0.0.0.0:8082` for every address, as Confluent's proxy has it."),
		list("listener.protocol.map", "", "Scheme of named listeners, `NAME:http` or `NAME:https`."),
		integer("port", 8082, 0, 65535, "Port to listen on when `listeners` is empty (deprecated)."),
		text("host.name", "", "Host in the URLs that replies contain (deprecated, see `advertised.listeners`)."),
		list("advertised.listeners", "", "Addresses in the URLs that replies contain: the first one with the request's scheme is used."),
		text("schema.registry.url", "http://localhost:8081", "Schema Registry URLs, separated by commas; empty turns schema formats off."),
		text("confluent.resource.name.authority", "", "Authority of the `crn://` names in v3 replies; empty gives names without one."),
	}
}

func serverKeys() []Key {
	return []Key{
		millis("idle.timeout.ms", 30000, 0, "How long an idle connection stays open; 0 means for ever."),
		millis("request.timeout.ms", 0, 0, "Deadline of a whole request, answered 504; 0 means none."),
		integer("server.connection.limit", 10000, 0, math.MaxInt32, "Connections over all listeners; 0 means no limit, which is Confluent's default."),
		integer("connector.connection.limit", 0, 0, math.MaxInt32, "Connections of one listener; 0 means no limit."),
		boolean("compression.enable", true, "Compress replies for clients that ask for it."),
		boolean("http2.enabled", true, "Serve HTTP/2: over TLS by ALPN, in plain text (h2c) by prior knowledge."),
		integer("max.request.header.size", 8192, 256, 1<<24, "Bytes of a request line and its headers."),
		boolean("network.forwarded.request.customizer.enable", false,
			"Take scheme and host of the URLs in replies from `Forwarded` and `X-Forwarded-*`, when the sender is in `forwarded.trusted.addresses`."),
	}
}

func serverOwnKeys() []Key {
	return []Key{
		list("forwarded.trusted.addresses",
			"127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10",
			"Networks whose `Forwarded` and `X-Forwarded-*` headers are believed.").checked(checkCIDRs),
		text("schema.registry.listeners", "http://127.0.0.1:8081", "`dev` only: where the embedded Schema Registry listens."),
		boolean("insecure.no.auth", false, "Silence the warning about a listener that other machines reach without authentication."),
		long("request.max.bytes", 16<<20, 1, 1<<31, "Largest request body, after decompression; above it 413."),
		long("request.buffer.bytes", 256<<20, 1<<20, 1<<40, "Bytes of request bodies in memory at once; above it 429."),
		integer("request.max.records", 10000, 1, math.MaxInt32, "Most records in one produce request; above it 413."),
		integer("request.max.depth", 1000, 2, 10000, "Deepest nesting of the JSON of a key or value; above it 400."),
		millis("request.header.timeout.ms", 10000, 1, "How long a client may take to send the headers."),
		millis("request.body.timeout.ms", 10000, 1, "How long a body may take before `request.body.min.rate` is asked of it; too slow gives 408."),
		integer("request.body.min.rate", 1024, 1, math.MaxInt32, "Bytes per second that a body must come with once `request.body.timeout.ms` is over."),
		millis("response.write.timeout.ms", 10000, 1, "How long one write to a slow reader may take before the connection is closed."),
	}
}

func lifeKeys() []Key {
	return []Key{
		millis("shutdown.graceful.ms", 5000, 0, "How long requests under way may go on after SIGTERM."),
		boolean("debug", false, "Name the class of the error in the message of HTTP-level errors. There are no Java stack traces to add."),
	}
}

func lifeOwnKeys() []Key {
	return []Key{
		millis("shutdown.settle.ms", 1000, 0, "How long the listeners stay open after `/readyz` went false, so that load balancers notice."),
		millis("ready.timeout.ms", 1000, 1, "Deadline of the broker look-up behind `/readyz`."),
		choice("log.level", "info", "Least level of the log.", "debug", "info", "warn", "error"),
		boolean("log.requests", true, "Log one line for each request."),
	}
}

func containerKeys() []Key {
	return []Key{
		idle("consumer.threads", "50", noPool),
		idle("producer.threads", "5", noPool),
		idle("thread.pool.min", "8", noPool),
		idle("thread.pool.max", "200", noPool),
		idle("api.v3.produce.response.thread.pool.size", "", noPool),
		idle("request.queue.capacity", "2147483647", noPool),
		idle("request.queue.capacity.init", "128", noPool),
		idle("request.queue.capacity.growby", "64", noPool),
		idle("request.timeout.interrupt.enable", "false", "there is no thread to interrupt; a request's work always stops with its context"),
		idle("max.response.header.size", "8192", "the headers of replies are this proxy's own and small"),
		idle("jetty.legacy.uri.compliance", "false", noJetty),
		idle("suppress.stack.trace.response", "true", "a stack trace is never shown to a caller"),
		idle("return.429.instead.of.500.for.jetty.response.errors", "false", noJetty),
		refused("proxy.protocol.enabled", "false", notServed),
		idle("proxy.protocol.accepted.ip.range", "", "has a meaning only with proxy.protocol.enabled=true, which is refused"),
		refused("network.traffic.rate.limit.enable", "false", notServed),
		idle("network.traffic.rate.limit.backend", "guava", "has a meaning only with network.traffic.rate.limit.enable=true, which is refused"),
		idle("network.traffic.rate.limit.bytes.per.sec", "20971520",
			"has a meaning only with network.traffic.rate.limit.enable=true, which is refused"),
	}
}
