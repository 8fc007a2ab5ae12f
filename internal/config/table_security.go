package config

func securityGroups() []group {
	return []group{
		{"TLS of the listeners", tlsKeys()},
		{"Authentication, CORS and headers", headerKeys()},
	}
}

func tlsKeys() []Key {
	const java = "a choice among Java providers; there is one implementation here"
	return []Key{
		text("ssl.keystore.location", "", "Store with the private key and certificate chain of https listeners: JKS, PKCS#12 or PEM file."),
		hidden("ssl.keystore.password", "Password of the key store."),
		hidden("ssl.key.password", "Password of the private key; empty means that of the key store."),
		choice("ssl.keystore.type", "JKS", "Type of the key store. JKS and PKCS12 files are told apart by their content.", "JKS", "PKCS12", "PEM"),
		boolean("ssl.keystore.reload", false, "Read the key store again when its file changes, without a restart."),
		text("ssl.truststore.location", "", "Store with the certificates that client certificates must lead to."),
		hidden("ssl.truststore.password", "Password of the trust store."),
		choice("ssl.truststore.type", "JKS", "Type of the trust store.", "JKS", "PKCS12", "PEM"),
		list("ssl.enabled.protocols", "", "TLS versions, `TLSv1.2,TLSv1.3`; empty means these two.").of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
		list("ssl.cipher.suites", "", "Cipher suites by their IANA names; empty means the secure ones."),
		choice("ssl.client.authentication", "NONE", "Whether clients show a certificate: NONE, REQUESTED (checked if there is one), REQUIRED.",
			"NONE", "REQUESTED", "REQUIRED"),
		boolean("ssl.client.auth", false, "`true` is `ssl.client.authentication=REQUIRED` (deprecated)."),
		idle("ssl.keystore.watch.location", "", "ssl.keystore.reload=true watches the key store's own file, also through symbolic links"),
		idle("ssl.keymanager.algorithm", "", java),
		idle("ssl.trustmanager.algorithm", "", java),
		idle("ssl.protocol", "TLS", "ssl.enabled.protocols says which versions are spoken"),
		idle("ssl.provider", "", java),
		idle("ssl.endpoint.identification.algorithm", "", "the name of a client's host is not compared with its certificate, which Confluent's proxy"+
			" does not do by default either"),
		refused("ssl.spire.enabled", "false", notServed),
		refused("ssl.spire.trust.only.enabled", "false", notServed),
		refused("sni.check.enabled", "false", notServed),
		idle("sni.host.check.enabled", "true", "the host that a client asks for is not compared with the certificate; the client does that"),
		refused("prefix.sni.check.enabled", "false", notServed),
		idle("prefix.sni.prefix", "", "has a meaning only with prefix.sni.check.enabled=true, which is refused"),
		refused("expected.sni.headers", "", notServed),
		refused("reject.invalid.sni.headers", "false", notServed),
	}
}

func headerKeys() []Key {
	const noAuth = "has a meaning only with authentication.method other than NONE, which is refused"
	const noCSRF = "has a meaning only with csrf.prevention.enable=true, which is refused"
	return []Key{
		list("access.control.allow.origin", "", "Origins that browsers may call from, or `*`; empty turns CORS off."),
		list("access.control.allow.methods", "", "Methods that CORS allows; empty means GET,POST,HEAD."),
		list("access.control.allow.headers", "", "Request headers that CORS allows; empty means X-Requested-With,Content-Type,Accept,Origin."),
		list("access.control.expose.headers", "", "Reply headers that CORS lets scripts read."),
		idle("access.control.skip.options", "true", "has a meaning only with authentication, which this version does not serve"),
		boolean("reject.options.request", false, "Answer OPTIONS with 403."),
		text("response.http.headers.config", "", "Headers of every reply: `ACTION NAME: VALUE` separated by commas, ACTION one of set, add, setDate,"+
			" addDate; an entry with commas stands in double quotes.").checked(checkHeaderRules),
		boolean("nosniff.prevention.enable", false, "Send `X-Content-Type-Options: nosniff`."),
		boolean("hsts.header.enable", false, "Send `Strict-Transport-Security` on https listeners."),
		refused("authentication.method", "NONE", notServed),
		idle("authentication.realm", "", noAuth),
		idle("authentication.roles", "*", noAuth),
		idle("authentication.skip.paths", "", noAuth),
		refused("csrf.prevention.enable", "false", notServed),
		idle("csrf.prevention.token.endpoint", "/csrf", noCSRF),
		idle("csrf.prevention.token.expiration.minutes", "30", noCSRF),
		idle("csrf.prevention.token.max.entries", "10000", noCSRF),
	}
}
