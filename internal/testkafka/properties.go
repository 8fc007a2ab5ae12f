package testkafka

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// nodeAddresses are the two listeners of one node.
type nodeAddresses struct {
	id                 int32
	broker, controller int // ports on loopback
}

// serverProperties is the configuration of one node: what KRaft needs, then what suits a test, then what the caller wants.
func serverProperties(cfg Config, self nodeAddresses, all []nodeAddresses, dataDir string) map[string]string {
	var controllers []string
	for _, n := range all {
		controllers = append(controllers, loopback(n.controller))
	}
	p := map[string]string{
		"process.roles":                       "broker,controller",
		"node.id":                             strconv.Itoa(int(self.id)),
		"controller.quorum.bootstrap.servers": strings.Join(controllers, ","),
		"controller.listener.names":           "CONTROLLER",
		"inter.broker.listener.name":          "PLAINTEXT",
		"listener.security.protocol.map":      "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"listeners":                           "PLAINTEXT://" + loopback(self.broker) + ",CONTROLLER://" + loopback(self.controller),
		"advertised.listeners":                "PLAINTEXT://" + loopback(self.broker),
		"log.dirs":                            dataDir,
	}
	maps.Copy(p, testProperties(cfg, len(all)))
	maps.Copy(p, cfg.Properties)
	return p
}

// testProperties keeps everything replicated as far as the nodes go, and start and memory small.
func testProperties(cfg Config, nodes int) map[string]string {
	replicas := strconv.Itoa(min(nodes, 3))
	inSync := strconv.Itoa(max(1, min(nodes, 3)-1))
	const partitions = "6" // of each internal topic; 50 by default, all to be created at first use
	p := map[string]string{
		"auto.create.topics.enable":                        strconv.FormatBool(cfg.AutoCreate),
		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 replicas,
		"offsets.topic.num.partitions":                     partitions,
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    inSync,
		"transaction.state.log.num.partitions":             partitions,
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            inSync,
		"share.coordinator.state.topic.num.partitions":     partitions,
		"group.initial.rebalance.delay.ms":                 "0",
		"log.retention.ms":                                 "-1",      // records of tests may have any timestamp, and the first clean-up comes after 30 s
		"log.cleaner.dedupe.buffer.size":                   "4194304", // 128 MiB by default, a third of this heap
	}
	if !cfg.Throughput {
		// How long a dead node stays registered, which is also how long a killed one waits to come back. Kafka's own is 9 s; busy machines
		// that run for minutes keep that.
		p["broker.session.timeout.ms"], p["broker.heartbeat.interval.ms"] = "3000", "500"
	}
	if cfg.Authorizer {
		p["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		p["allow.everyone.if.no.acl.found"] = "true"
		p["super.users"] = "User:ANONYMOUS"
	}
	return p
}

var propertyEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

// encodeProperties writes a .properties file, sorted by key. The keys are Kafka's, and so need no escapes.
func encodeProperties(p map[string]string) []byte {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, propertyEscapes.Replace(p[key]))
	}
	return []byte(b.String())
}
