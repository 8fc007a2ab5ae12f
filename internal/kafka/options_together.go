package kafka

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

var securityProtocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// security reads what only together says how to connect.
func (b *builder) security() {
	protocol := strings.ToUpper(b.props["security.protocol"])
	if protocol == "" {
		protocol = "PLAINTEXT"
	}
	if !slices.Contains(securityProtocols, protocol) {
		b.failf("security.protocol=%s is none of %s", protocol, strings.Join(securityProtocols, ", "))
		return
	}
	b.out.Settings.SecurityProtocol = protocol
	if strings.HasSuffix(protocol, "SSL") {
		b.tls()
	} else {
		b.warnUnused("ssl.", protocol)
	}
	if strings.HasPrefix(protocol, "SASL_") {
		b.sasl(protocol)
	} else {
		b.warnUnused("sasl.", protocol)
	}
}

func (b *builder) tls() {
	config, err := LoadTLS(b.props, false)
	if err != nil {
		b.problems = append(b.problems, err)
		return
	}
	if config.InsecureSkipVerify {
		b.warnf("SECURITY: ssl.endpoint.identification.algorithm is empty, so whoever has any certificate of a trusted authority can pose as a broker")
	}
	b.add(kgo.DialTLSConfig(config))
}

func (b *builder) sasl(protocol string) {
	mechanism, err := saslMechanism(b.props)
	if err != nil {
		b.problems = append(b.problems, err)
		return
	}
	if protocol == "SASL_PLAINTEXT" && (mechanism.Name() == "PLAIN" || mechanism.Name() == "OAUTHBEARER") {
		b.warnf("SECURITY: sasl.mechanism=%s over SASL_PLAINTEXT sends the password or token in clear text; use SASL_SSL", mechanism.Name())
	}
	b.add(kgo.SASL(mechanism))
}

func (b *builder) warnUnused(prefix, protocol string) {
	for name := range b.props {
		if strings.HasPrefix(name, prefix) {
			b.warnf("%s has no effect with security.protocol=%s", name, protocol)
		}
	}
}

// retries reads the two ends of the wait before a retry.
func (b *builder) retries() {
	first, firstSet := b.millis("retry.backoff.ms", 250*time.Millisecond)
	most, mostSet := b.millis("retry.backoff.max.ms", 5*time.Second)
	if firstSet || mostSet {
		b.add(kgo.RetryBackoffFn(func(tries int) time.Duration { return backoff(max(first, time.Millisecond), max(first, most), tries) }))
	}
}

func (b *builder) millis(name string, def time.Duration) (d time.Duration, set bool) {
	value, set := b.props[name]
	if !set {
		return def, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > maxDuration.Milliseconds() {
		b.failf("%s=%s is not a number of milliseconds", name, value)
		return def, false
	}
	return time.Duration(n) * time.Millisecond, true
}

// backoff doubles from first to most and spreads by a fifth either way, so that clients do not come back all at once.
func backoff(first, most time.Duration, tries int) time.Duration {
	wait := first
	for i := 1; i < tries && wait < most; i++ {
		wait *= 2
	}
	return time.Duration(float64(min(wait, most)) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // no secret
}

// producer reads what decides how records are written, and sets what Java has as default where the Go client has another.
func (b *builder) producer() {
	b.acks()
	b.compression()
	size := b.out.Settings.MaxRequestSize
	b.add(kgo.ProducerBatchMaxBytes(int32(size)), kgo.RecordDeliveryTimeout(b.out.Settings.DeliveryTimeout))
	if size > 100<<20 {
		b.add(kgo.BrokerMaxWriteBytes(1 << 30))
	}
	if _, set := b.props["linger.ms"]; !set {
		b.add(kgo.ProducerLinger(0))
	}
}

// consumer reads the times of group membership, which depend on each other.
func (b *builder) consumer() {
	const defaultSession, defaultHeartbeat = 45 * time.Second, 3 * time.Second
	session, heartbeat := cmp.Or(b.session, defaultSession), cmp.Or(b.heartbeat, defaultHeartbeat)
	if b.heartbeat == 0 {
		heartbeat = min(heartbeat, session/3)
	}
	if heartbeat >= session {
		b.failf("heartbeat.interval.ms=%d is not less than session.timeout.ms=%d", heartbeat.Milliseconds(), session.Milliseconds())
	}
	if b.session != 0 || b.heartbeat != 0 {
		b.add(kgo.SessionTimeout(session), kgo.HeartbeatInterval(heartbeat))
	}
}

func (b *builder) acks() {
	s := &b.out.Settings
	wanted, explicit := b.props["enable.idempotence"]
	if explicit {
		on, err := parseBool(wanted)
		if err != nil {
			b.failf("enable.idempotence=%s %w", wanted, err)
		}
		s.Idempotent = on
	}
	switch acks := strings.ToLower(b.props["acks"]); acks {
	case "", "all", "-1":
	case "1", "0":
		if explicit && s.Idempotent {
			b.failf("acks=%s does not go with enable.idempotence=true: idempotence needs acks=all", acks)
		}
		s.Acks, s.Idempotent = acks, false
		b.add(kgo.RequiredAcks(map[string]kgo.Acks{"1": kgo.LeaderAck(), "0": kgo.NoAck()}[acks]))
		b.warnf("acks=%s: a record that was acknowledged may be lost, and a retry may write one twice", acks)
	default:
		b.failf("acks=%s is none of all, -1, 1, 0", acks)
	}
	if !s.Idempotent {
		b.add(kgo.DisableIdempotentWrite())
		b.inFlight()
	} else if _, set := b.props["max.in.flight.requests.per.connection"]; set {
		b.warnf("max.in.flight.requests.per.connection has no effect on an idempotent producer: it has 5, in order")
	}
}

func (b *builder) inFlight() {
	value, set := b.props["max.in.flight.requests.per.connection"]
	if !set {
		return
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1 {
		b.failf("max.in.flight.requests.per.connection=%s is not a number of 1 or more", value)
		return
	}
	b.add(kgo.MaxProduceRequestsInflightPerBroker(int(n)))
}

func (b *builder) compression() {
	name := strings.ToLower(b.props["compression.type"])
	codecs := map[string]kgo.CompressionCodec{
		"": kgo.NoCompression(), "none": kgo.NoCompression(), "snappy": kgo.SnappyCompression(),
		"gzip": kgo.GzipCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[name]
	if !ok {
		b.failf("compression.type=%s is none of none, gzip, snappy, lz4, zstd", name)
		return
	}
	if name != "" {
		b.out.Settings.Compression = name
	}
	for of, bounds := range map[string][2]int{"gzip": {-1, 9}, "lz4": {1, 17}, "zstd": {-131072, 22}} {
		if level, set := b.level(of, bounds[0], bounds[1]); set && of == name {
			codec = codec.WithLevel(codecLevel(name, level))
		}
	}
	b.add(kgo.ProducerBatchCompression(codec))
}

func (b *builder) level(codec string, least, most int) (level int, set bool) {
	key := "compression." + codec + ".level"
	value, set := b.props[key]
	if !set {
		return 0, false
	}
	level, err := strconv.Atoi(value)
	if err != nil || level < least || level > most || codec == "gzip" && level == 0 {
		b.failf("%s=%s is not a level of %s", key, value, codec)
		return 0, false
	}
	return level, true
}

// codecLevel turns Java's level into the one of the Go library: lz4 counts in powers of two from 512, zstd has four.
func codecLevel(codec string, level int) int {
	switch codec {
	case "lz4":
		return 1 << (8 + min(level, 9))
	case "zstd":
		return int(zstd.EncoderLevelFromZstd(level))
	}
	return level
}
