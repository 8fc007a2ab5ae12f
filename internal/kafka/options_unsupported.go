package kafka

// unsupportedProperties are the properties of the Java clients that have no effect, each with its reason.
func unsupportedProperties() []property {
	return joinProperties(
		without(anyScope, "a Java class cannot be loaded here", "metric.reporters", "security.providers", "ssl.engine.factory.class",
			"sasl.client.callback.handler.class", "sasl.login.class", "sasl.oauthbearer.jwt.retriever.class", "sasl.oauthbearer.jwt.validator.class"),
		without(anyScope, "tokens come by client credentials without it", "sasl.login.callback.handler.class"),
		without(ScopeProducer|ScopeConsumer, "a Java class cannot be loaded here", "interceptor.classes"),
		without(ScopeProducer, "the content type of the request says how records are encoded", "key.serializer", "value.serializer"),
		without(ScopeConsumer, "the format of the consumer instance says how records are decoded", "key.deserializer", "value.deserializer"),
		without(ScopeProducer, "the key decides the partition as in Java's default partitioner", "partitioner.class", "partitioner.ignore.keys",
			"partitioner.adaptive.partitioning.enable", "partitioner.availability.timeout.ms"),
		without(ScopeProducer, "producers are shared among requests, and a transaction would mix them", "transactional.id", "transaction.timeout.ms",
			"transaction.two.phase.commit.enable"),
		without(ScopeProducer, "batches grow while the request before them is under way, up to max.request.size", "batch.size"),
		without(ScopeProducer, "produce.buffer.bytes bounds the memory of records in flight", "buffer.memory"),
		without(ScopeProducer, "what is known of a topic is kept up to date as long as the proxy runs", "metadata.max.idle.ms"),
		without(ScopeConsumer, "the path of the request names the group", "group.id"),
		without(ScopeConsumer, "it would give every consumer instance the same identity", "group.instance.id"),
		without(ScopeConsumer, "the broker's own choice is used", "group.remote.assignor"),
		without(ScopeConsumer, "a subscription by pattern never takes internal topics", "exclude.internal.topics"),
		without(ScopeConsumer, "share groups are not served", "share.acknowledgement.mode", "share.acquire.mode"),
		without(ScopeConsumer, "internal to the Java client", "internal.throw.on.fetch.stable.offset.unsupported"),
		without(anyScope, "there is no JMX here", "auto.include.jmx.reporter", "metrics.num.samples", "metrics.recording.level", "metrics.sample.window.ms"),
		without(anyScope, "retry.backoff.ms is the wait before connecting again too", "reconnect.backoff.ms", "reconnect.backoff.max.ms"),
		without(anyScope, "socket.connection.setup.timeout.ms is the one limit; it does not grow", "socket.connection.setup.timeout.max.ms"),
		without(anyScope, "the operating system sizes the buffers of connections", "send.buffer.bytes", "receive.buffer.bytes"),
		without(anyScope, "every address of a name is tried", "client.dns.lookup"),
		without(anyScope, "the brokers of bootstrap.servers are asked again whenever no other answers", "metadata.recovery.strategy",
			"metadata.recovery.rebootstrap.trigger.ms"),
		without(ScopeAdmin, "controllers are reached through brokers", "bootstrap.controllers"),
		without(anyScope, "the proxy resolves ${file:…}, ${env:…} and ${dir:…} itself", "config.providers"),
		without(anyScope, "there is one implementation of TLS here", "ssl.protocol", "ssl.provider", "ssl.keymanager.algorithm", "ssl.trustmanager.algorithm",
			"ssl.secure.random.implementation"),
		without(anyScope, "Kerberos (GSSAPI) is not supported", "sasl.kerberos.kinit.cmd", "sasl.kerberos.min.time.before.relogin",
			"sasl.kerberos.service.name", "sasl.kerberos.ticket.renew.jitter", "sasl.kerberos.ticket.renew.window.factor"),
		without(anyScope, "a token is renewed after four fifths of its life, and its request has 10 s", "sasl.login.connect.timeout.ms",
			"sasl.login.read.timeout.ms", "sasl.login.refresh.buffer.seconds", "sasl.login.refresh.min.period.seconds",
			"sasl.login.refresh.window.factor", "sasl.login.refresh.window.jitter", "sasl.login.retry.backoff.max.ms", "sasl.login.retry.backoff.ms"),
		without(anyScope, "the broker checks the token", "sasl.oauthbearer.clock.skew.seconds", "sasl.oauthbearer.expected.audience",
			"sasl.oauthbearer.expected.issuer", "sasl.oauthbearer.jwks.endpoint.refresh.ms", "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
			"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", "sasl.oauthbearer.jwks.endpoint.url", "sasl.oauthbearer.scope.claim.name",
			"sasl.oauthbearer.sub.claim.name"),
		without(anyScope, "tokens come by client credentials, not by assertion", "sasl.oauthbearer.assertion.algorithm",
			"sasl.oauthbearer.assertion.claim.aud", "sasl.oauthbearer.assertion.claim.exp.seconds", "sasl.oauthbearer.assertion.claim.iss",
			"sasl.oauthbearer.assertion.claim.jti.include", "sasl.oauthbearer.assertion.claim.nbf.seconds", "sasl.oauthbearer.assertion.claim.sub",
			"sasl.oauthbearer.assertion.file", "sasl.oauthbearer.assertion.private.key.file", "sasl.oauthbearer.assertion.private.key.passphrase",
			"sasl.oauthbearer.assertion.template.file"),
	)
}

func without(scopes Scope, reason string, names ...string) []property {
	out := make([]property, len(names))
	for i, name := range names {
		out[i] = property{name: name, scopes: scopes, reason: reason}
	}
	return out
}
