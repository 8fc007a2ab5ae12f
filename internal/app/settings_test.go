package app

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/config"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// inConfig are the honoured keys that the room config itself turns into listeners, with their TLS settings, and into warnings.
var inConfig = []string{"advertised.listeners", "insecure.no.auth", "listener.protocol.map", "port"}

// TestHonouredKeysAreRead looks for each key that the table calls honoured in this room's source: one that nobody reads is a promise broken.
func TestHonouredKeysAreRead(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	for _, k := range config.Table() {
		if k.Status != config.Honoured || strings.HasPrefix(k.Name, "ssl.") || slices.Contains(inConfig, k.Name) {
			continue
		}
		if !strings.Contains(source.String(), `"`+k.Name+`"`) {
			t.Errorf("%s is honoured by the table, and nobody reads it", k.Name)
		}
	}
}

// atRunTime are keys without a place in what the rooms are made from: App reads them as it goes. Where no test is named, tests over HTTP
// are about them.
var atRunTime = []string{
	"api.messages.enable", "api.v2.enable", "api.v3.enable", // TestAPIsCanBeSwitchedOff
	"api.v2.schema.latest", "null.request.body.always.publishes.empty.record", "schema.registry.listeners", "schema.registry.url", // formats
	"bootstrap.servers", "ready.timeout.ms", // TestNotReady
	"confluent.resource.name.authority",
	"connector.connection.limit", "server.connection.limit", // TestConnectionLimit
	"log.level",                                                               // TestSettings
	"response.write.timeout.ms", "shutdown.graceful.ms", "shutdown.settle.ms", // TestDrain has the last
	"callbacks.retry.ms", "callbacks.secrets", "tasks.store",
}

// another gives a value of a key that is not its default.
func another(k config.Key) string {
	special := map[string]string{
		"api.endpoints.allowlist": "api.v2.topics.list", "api.endpoints.blocklist": "api.v2.topics.list", "rate.limit.costs": "api.v2.*=7",
		"response.http.headers.config": "set X-A: b", "forwarded.trusted.addresses": "192.0.2.0/24", "response.mediatype.default": "text/plain",
		"messages.overrides.allow": "acks", "api.v2.include": "headers", "consumer.buffer.bytes": "1000", "tasks.topic": "other",
		"callbacks.allow.hosts": "example.com", "listeners": "http://127.0.0.1:1",
	}
	if v, ok := special[k.Name]; ok {
		return v
	}
	switch k.Kind {
	case config.KindBool:
		return strconv.FormatBool(k.Default != "true")
	case config.KindInt, config.KindInt64, config.KindMillis:
		n, _ := strconv.ParseInt(k.Default, 10, 64)
		if n < k.Max && n < 1000 {
			return strconv.FormatInt(n+1, 10)
		}
		return strconv.FormatInt(n-1, 10)
	default:
		return "another"
	}
}

// rooms is everything that the rooms are made from, as text.
func rooms(t *testing.T, set map[string]string) string {
	t.Helper()
	cfg := load(t, set)
	c, err := translate(cfg, startedOpts)
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(os.Stderr, "info") // which nobody writes to
	reader, queues := readConfig(cfg, false, nil)
	tasks, err := taskConfig(cfg, c.producer.DeliveryTimeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	api := apiConfig(cfg, log, os.Stderr)
	api.Log = nil
	logged := api.RequestLog != nil
	api.RequestLog = nil
	server := newHTTPServer(cfg, nil, log)
	consumers := consumeConfig(cfg, c, nil)
	v3 := cfg.String("confluent.resource.name.authority")
	return fmt.Sprintf("%+v\n%+v\n%+v\n%+v\n%+v %v\n%+v\n%+v\n%+v\n%+v\n%v %v %v %+v\n%s",
		[]any{c.kafka.RequestTimeout, c.kafka.LookupTimeout, c.kafka.UnknownFor}, produceConfig(cfg, c), consumers, v2Config(cfg), api, logged,
		messagesConfig(cfg), reader, queues, tasks, server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes, server.Protocols, v3)
}

var startedOpts = []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")} // a broker that is reached without bootstrap.servers

// TestEachKeyHasAnEffect sets each honoured key to another value and sees that some room is told.
func TestEachKeyHasAnEffect(t *testing.T) {
	for _, k := range config.Table() {
		if k.Status != config.Honoured || strings.HasPrefix(k.Name, "ssl.") || slices.Contains(inConfig, k.Name) || slices.Contains(atRunTime, k.Name) {
			continue
		}
		with := map[string]string{}
		switch { // what the key needs to matter
		case strings.HasPrefix(k.Name, "dos.filter.") && k.Name != "dos.filter.enabled":
			with["dos.filter.enabled"] = "true"
		case strings.HasPrefix(k.Name, "rate.limit.") && k.Name != "rate.limit.enable":
			with["rate.limit.enable"] = "true"
		case k.Name == "forwarded.trusted.addresses":
			with["network.forwarded.request.customizer.enable"] = "true"
		}
		before := rooms(t, with)
		changed := maps.Clone(with)
		changed[k.Name] = another(k)
		if after := rooms(t, changed); before == after {
			t.Errorf("%s=%s changes nothing", k.Name, changed[k.Name])
		}
	}
}

// TestSettings checks the mappings that are more than a name.
func TestSettings(t *testing.T) {
	cfg := load(t, map[string]string{
		"producer.max.request.size": "1234", "client.bootstrap.servers": "ignored:1", "consumer.auto.offset.reset": "earliest",
		"consumer.enable.auto.commit": "false", "consumer.auto.commit.interval.ms": "1500", "consumer.isolation.level": "read_committed",
		"producer.max.block.ms": "300", "topic.lookup.timeout.ms": "900", "dos.filter.enabled": "true", "dos.filter.delay.ms": "-1",
		"listeners": "http://127.0.0.1:1,https-a://127.0.0.1:2,http-b://127.0.0.1:3", "listener.protocol.map": "https-a:http,http-b:http",
		"advertised.listeners": "http://a:1,http://b:2", "host.name": "named",
	})
	c, err := translate(cfg, startedOpts)
	if err != nil {
		t.Fatal(err)
	}
	if got := produceConfig(cfg, c).MaxRecord; got != 1234 {
		t.Errorf("max.request.size: %d", got)
	}
	consumers := consumeConfig(cfg, c, nil)
	if consumers.Reset != "earliest" || consumers.AutoCommit || consumers.AutoCommitInterval != 1500*time.Millisecond || !consumers.ReadCommitted {
		t.Errorf("consumers: %+v", consumers)
	}
	if c.kafka.LookupTimeout != 300*time.Millisecond {
		t.Errorf("max.block.ms bounds the look-up: %v", c.kafka.LookupTimeout)
	}
	if dos := apiConfig(cfg, slog.New(slog.DiscardHandler), nil).DoSFilter; dos.Delay >= 0 || dos.Global != 25 {
		t.Errorf("DoS filter: %+v", dos)
	}
	root := rootURL(cfg)
	if d := cmp.Diff(map[string]string{"http": "a:1"}, root.Advertised); d != "" || root.Ports["http"] != "1" || root.HostName != "named" {
		t.Errorf("the first of a scheme wins: %s %+v", d, root)
	}
	if off := apiConfig(load(t, map[string]string{"dos.filter.enabled": "true", "dos.filter.delay.ms": "0"}), slog.New(slog.DiscardHandler), nil).DoSFilter; off.Global != 0 {
		t.Errorf("a delay of 0 is no filter: %+v", off)
	}
	if quiet := apiConfig(load(t, map[string]string{"log.level": "warn"}), newLogger(os.Stderr, "warn"), os.Stderr); quiet.RequestLog != nil {
		t.Error("requests are logged although the level is warn")
	}
}

func TestTranslateWarnsOnce(t *testing.T) {
	c, err := translate(load(t, map[string]string{"client.linger.ms": "5", "client.nonsense": "1", "producer.nonsense": "1"}), startedOpts)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(c.warnings, "\n"), "linger.ms"); n > 0 { // it is for whichever client has a use for it
		t.Errorf("%q", c.warnings)
	}
	if len(c.warnings) == 0 || len(c.warnings) != len(slices.Compact(slices.Clone(c.warnings))) {
		t.Errorf("%q", c.warnings)
	}
	if _, err := translate(load(t, map[string]string{"producer.acks": "some"}), startedOpts); err == nil {
		t.Error("a property that cannot be read is taken")
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		set  map[string]string
		text string // of the error; "" for none
	}{
		{map[string]string{"bootstrap.servers": "a:9092"}, ""},
		{map[string]string{"bootstrap.servers": "a:9092", "producer.acks": "some"}, "acks"},
		{map[string]string{"bootstrap.servers": "a:9092", "listeners": "https://127.0.0.1:1", "ssl.keystore.location": "/none/such"}, "listener https://127.0.0.1:1"},
	} {
		_, err := Check(load(t, test.set))
		if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%v: %v", test.set, err)
		}
	}
	warnings, err := Check(load(t, map[string]string{"bootstrap.servers": "a:9092", "consumer.threads": "7"}))
	if err != nil || !strings.Contains(strings.Join(warnings, "\n"), "consumer.threads") {
		t.Errorf("%q %v", warnings, err)
	}
}
