package config

func clientGroups() []group {
	return []group{{"Security towards Kafka", clientKeys()}}
}

// clientKeys are the client.* keys that Confluent's table declares. The defaults that it declares are documentation there too: only
// what is set reaches a client, so they have none here.
func clientKeys() []Key {
	const old = "of a client that Kafka no longer has; see client.request.timeout.ms and client.default.api.timeout.ms"
	return []Key{
		passed("client.security.protocol", KindString),
		passed("client.ssl.keystore.location", KindString),
		passed("client.ssl.keystore.password", KindSecret),
		passed("client.ssl.keystore.type", KindString),
		passed("client.ssl.key.password", KindSecret),
		passed("client.ssl.truststore.location", KindString),
		passed("client.ssl.truststore.password", KindSecret),
		passed("client.ssl.truststore.type", KindString),
		passed("client.ssl.enabled.protocols", KindList),
		passed("client.ssl.cipher.suites", KindList),
		passed("client.ssl.protocol", KindString),
		passed("client.ssl.provider", KindString),
		passed("client.ssl.endpoint.identification.algorithm", KindString),
		passed("client.ssl.keymanager.algorithm", KindString),
		passed("client.ssl.trustmanager.algorithm", KindString),
		passed("client.sasl.mechanism", KindString),
		passed("client.sasl.jaas.config", KindSecret),
		passed("client.sasl.kerberos.service.name", KindString),
		passed("client.sasl.kerberos.kinit.cmd", KindString),
		passed("client.sasl.kerberos.min.time.before.relogin", KindString),
		passed("client.sasl.kerberos.ticket.renew.jitter", KindString),
		passed("client.sasl.kerberos.ticket.renew.window.factor", KindString),
		idle("client.init.timeout.ms", "60000", old),
		idle("client.timeout.ms", "500", old),
	}
}

func otherGroups() []group {
	const noJMX = "there is no JMX here"
	return []group{
		{"Metrics and logs", []Key{
			idle("metrics.jmx.prefix", "kafka.rest", noJMX),
			idle("metric.reporters", "", "a Java class cannot be loaded here"),
			idle("metrics.num.samples", "2", noJMX),
			idle("metrics.sample.window.ms", "30000", noJMX),
			idle("metrics.tag.map", "", noJMX),
			idle("metrics.latency.slo.sla.enable", "false", noJMX),
			idle("metrics.latency.slo.ms", "5", noJMX),
			idle("metrics.latency.sla.ms", "50", noJMX),
			idle("percentile.max.latency.ms", "10000", noJMX),
			idle("metrics.global.stats.request.tags.enable", "false", noJMX),
			idle("disable.response.size.metrics.collection", "false", noJMX),
			idle("request.logger.name", "io.confluent.rest-utils.requests", "the log is structured; its request lines are told by their message"),
			idle("use.custom.request.logging", "true", "see log.requests"),
		}},
		{"Providers of values", []Key{
			idle("config.providers", "", "the providers file, env and dir are built in and always on"),
		}},
	}
}
