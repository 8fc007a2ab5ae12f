package kafka

import (
	"flag"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

var updateProperties = flag.Bool("update", false, "rewrite the generated documentation")

// clientOf makes a client, which starts no connection, of what a translation gave.
func clientOf(t *testing.T, scope Scope, props map[string]string) (*kgo.Client, Translated) {
	t.Helper()
	got, err := Translate(scope, props)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(got.Opts...)
	if err != nil {
		t.Fatalf("the client refuses: %v", err)
	}
	t.Cleanup(client.Close)
	return client, got
}

// translations has, for every honoured row, a value and what it becomes: an option of the client, or a setting.
var translations = []struct {
	scope       Scope
	name, value string
	option      any // the kgo function whose value is compared; nil compares the setting
	want        any
	setting     func(Settings) any
	with        string // more properties, NAME=VALUE separated by blanks
}{
	{scope: ScopeAdmin, name: "bootstrap.servers", value: "PLAINTEXT://a:1,b:2", option: kgo.SeedBrokers, want: []string{"a:1", "b:2"}},
	{scope: ScopeAdmin, name: "client.id", value: "me", option: kgo.ClientID, want: "me"},
	{scope: ScopeAdmin, name: "request.timeout.ms", value: "7000", option: kgo.RequestTimeoutOverhead, want: 7 * time.Second},
	{scope: ScopeProducer, name: "request.timeout.ms", value: "7000", option: kgo.ProduceRequestTimeout, want: 7 * time.Second},
	{scope: ScopeAdmin, name: "retries", value: "3", option: kgo.RequestRetries, want: int64(3)},
	{scope: ScopeProducer, name: "retries", value: "2147483647", option: kgo.RecordRetries, want: int64(2147483647)},
	{scope: ScopeAdmin, name: "metadata.max.age.ms", value: "100", option: kgo.MetadataMaxAge, want: 100 * time.Millisecond},
	{scope: ScopeAdmin, name: "metadata.max.age.ms", value: "100", option: kgo.MetadataMinAge, want: 100 * time.Millisecond},
	{scope: ScopeAdmin, name: "connections.max.idle.ms", value: "540000", option: kgo.ConnIdleTimeout, want: 9 * time.Minute},
	{scope: ScopeAdmin, name: "connections.max.idle.ms", value: "-1", option: kgo.ConnIdleTimeout, want: 100 * time.Millisecond},
	{scope: ScopeAdmin, name: "socket.connection.setup.timeout.ms", value: "1500", option: kgo.DialTimeout, want: 1500 * time.Millisecond},
	{scope: ScopeAdmin, name: "enable.metrics.push", value: "false", option: kgo.DisableClientMetrics, want: true},

	{scope: ScopeProducer, name: "acks", value: "-1", option: kgo.RequiredAcks, want: kgo.AllISRAcks()},
	{scope: ScopeProducer, name: "acks", value: "1", option: kgo.RequiredAcks, want: kgo.LeaderAck()},
	{scope: ScopeProducer, name: "acks", value: "1", option: kgo.DisableIdempotentWrite, want: true},
	{scope: ScopeProducer, name: "acks", value: "0", option: kgo.RequiredAcks, want: kgo.NoAck()},
	{scope: ScopeProducer, name: "acks", value: "ALL", option: kgo.DisableIdempotentWrite, want: false},
	{scope: ScopeProducer, name: "enable.idempotence", value: "false", option: kgo.DisableIdempotentWrite, want: true},
	{scope: ScopeProducer, name: "enable.idempotence", value: "true", option: kgo.DisableIdempotentWrite, want: false},
	{scope: ScopeProducer, name: "max.in.flight.requests.per.connection", value: "3", with: "acks=1",
		option: kgo.MaxProduceRequestsInflightPerBroker, want: 3},
	{scope: ScopeProducer, name: "compression.type", value: "none", option: kgo.ProducerBatchCompression, want: []kgo.CompressionCodec{kgo.NoCompression()}},
	{scope: ScopeProducer, name: "compression.type", value: "snappy", option: kgo.ProducerBatchCompression,
		want: []kgo.CompressionCodec{kgo.SnappyCompression()}},
	{scope: ScopeProducer, name: "compression.type", value: "gzip", option: kgo.ProducerBatchCompression, want: []kgo.CompressionCodec{kgo.GzipCompression()}},
	{scope: ScopeProducer, name: "compression.gzip.level", value: "9", with: "compression.type=gzip", option: kgo.ProducerBatchCompression,
		want: []kgo.CompressionCodec{kgo.GzipCompression().WithLevel(9)}},
	{scope: ScopeProducer, name: "compression.gzip.level", value: "9", with: "compression.type=lz4", option: kgo.ProducerBatchCompression,
		want: []kgo.CompressionCodec{kgo.Lz4Compression()}},
	{scope: ScopeProducer, name: "compression.lz4.level", value: "17", with: "compression.type=lz4", option: kgo.ProducerBatchCompression,
		want: []kgo.CompressionCodec{kgo.Lz4Compression().WithLevel(1 << 17)}},
	{scope: ScopeProducer, name: "compression.zstd.level", value: "3", with: "compression.type=zstd", option: kgo.ProducerBatchCompression,
		want: []kgo.CompressionCodec{kgo.ZstdCompression().WithLevel(2)}},
	{scope: ScopeProducer, name: "linger.ms", value: "5", option: kgo.ProducerLinger, want: 5 * time.Millisecond},
	{scope: ScopeProducer, name: "delivery.timeout.ms", value: "60000", option: kgo.RecordDeliveryTimeout, want: time.Minute},
	{scope: ScopeProducer, name: "delivery.timeout.ms", value: "10", option: kgo.RecordDeliveryTimeout, want: time.Second},
	{scope: ScopeProducer, name: "max.request.size", value: "5000000", setting: func(s Settings) any { return s.MaxRequestSize }, want: 5000000},
	{scope: ScopeProducer, name: "max.request.size", value: "300000000", option: kgo.BrokerMaxWriteBytes, want: int32(1 << 30)},
	{scope: ScopeProducer, name: "max.block.ms", value: "5", setting: func(s Settings) any { return s.MaxBlock }, want: 5 * time.Millisecond},

	{scope: ScopeConsumer, name: "fetch.min.bytes", value: "10", option: kgo.FetchMinBytes, want: int32(10)},
	{scope: ScopeConsumer, name: "fetch.max.bytes", value: "200000000", option: kgo.FetchMaxBytes, want: int32(200000000)},
	{scope: ScopeConsumer, name: "fetch.max.wait.ms", value: "1", option: kgo.FetchMaxWait, want: 10 * time.Millisecond},
	{scope: ScopeConsumer, name: "max.partition.fetch.bytes", value: "1000", option: kgo.FetchMaxPartitionBytes, want: int32(1000)},
	{scope: ScopeConsumer, name: "session.timeout.ms", value: "6000", option: kgo.SessionTimeout, want: 6 * time.Second},
	{scope: ScopeConsumer, name: "session.timeout.ms", value: "6000", option: kgo.HeartbeatInterval, want: 2 * time.Second},
	{scope: ScopeConsumer, name: "heartbeat.interval.ms", value: "1000", option: kgo.HeartbeatInterval, want: time.Second},
	{scope: ScopeConsumer, name: "max.poll.interval.ms", value: "300000", option: kgo.RebalanceTimeout, want: 5 * time.Minute},
	{scope: ScopeConsumer, name: "group.protocol", value: "Consumer", option: kgo.ServerSideBalancer, want: true},
	{scope: ScopeConsumer, name: "isolation.level", value: "read_committed", option: kgo.FetchIsolationLevel, want: int8(1)},
	{scope: ScopeConsumer, name: "client.rack", value: "r1", option: kgo.Rack, want: "r1"},
	{scope: ScopeConsumer, name: "check.crcs", value: "false", option: kgo.DisableFetchCRCValidation, want: true},
	{scope: ScopeConsumer, name: "allow.auto.create.topics", value: "true", option: kgo.AllowAutoTopicCreation, want: true},
	{scope: ScopeConsumer, name: "auto.offset.reset", value: "by_duration:pt5m", setting: func(s Settings) any { return s.AutoOffsetReset },
		want: "by_duration:PT5M"},
	{scope: ScopeConsumer, name: "enable.auto.commit", value: "false", setting: func(s Settings) any { return s.EnableAutoCommit }, want: false},
	{scope: ScopeConsumer, name: "auto.commit.interval.ms", value: "900", setting: func(s Settings) any { return s.AutoCommitInterval },
		want: 900 * time.Millisecond},
	{scope: ScopeConsumer, name: "max.poll.records", value: "500", setting: func(s Settings) any { return s.MaxPollRecords }, want: 500},
}

func TestTranslations(t *testing.T) {
	for _, test := range translations {
		t.Run(test.scope.String()+" "+test.name+"="+test.value, func(t *testing.T) {
			props := map[string]string{test.name: test.value}
			for pair := range strings.FieldsSeq(test.with) {
				name, value, _ := strings.Cut(pair, "=")
				props[name] = value
			}
			client, got := clientOf(t, test.scope, props)
			var is any
			if test.setting != nil {
				is = test.setting(got.Settings)
			} else {
				is = client.OptValue(test.option)
			}
			if !reflect.DeepEqual(is, test.want) {
				t.Errorf("got %#v, want %#v (%v)", is, test.want, got.Warnings)
			}
		})
	}
}

// apart are the honoured rows that have a test of their own.
var apart = []string{"default.api.timeout.ms", "retry.backoff.ms", "retry.backoff.max.ms", "partition.assignment.strategy"}

func TestEveryRowIsExercised(t *testing.T) {
	tested := map[string]bool{}
	for _, test := range translations {
		tested[test.name] = true
	}
	for _, p := range javaProperties {
		security := strings.HasPrefix(p.name, "ssl.") || strings.HasPrefix(p.name, "sasl.") || p.name == "security.protocol"
		switch {
		case p.reason != "":
			assertIgnored(t, p)
		case !security && !tested[p.name] && !slices.Contains(apart, p.name):
			t.Errorf("no test translates %s", p.name)
		case p.doc == "" || p.scopes == 0:
			t.Errorf("%s: doc %q, scopes %v", p.name, p.doc, p.scopes)
		}
	}
}

func assertIgnored(t *testing.T, p property) {
	t.Helper()
	for _, scope := range []Scope{ScopeAdmin, ScopeProducer, ScopeConsumer} {
		if p.scopes&scope == 0 {
			continue
		}
		got, err := Translate(scope, map[string]string{p.name: "x"})
		if want := p.name + " has no effect: " + p.reason; err != nil || !slices.Contains(got.Warnings, want) {
			t.Errorf("%s: %v %v", p.name, got.Warnings, err)
		}
	}
}

// The file has the names of every property of Kafka's own clients, by client: what Java knows is known here too.
func TestTableHasEveryJavaProperty(t *testing.T) {
	data, err := os.ReadFile("testdata/java-properties.txt")
	if err != nil {
		t.Fatal(err)
	}
	letters := map[rune]Scope{'A': ScopeAdmin, 'P': ScopeProducer, 'C': ScopeConsumer}
	count := 0
	for line := range strings.Lines(string(data)) {
		name, scopes, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		count++
		p, known := propertyNamed(name)
		var want Scope
		for _, letter := range scopes {
			want |= letters[letter]
		}
		if !known || p.scopes&want != want {
			t.Errorf("%s: known %v, for %v, want %v", name, known, p.scopes, want)
		}
	}
	if count < 130 {
		t.Errorf("only %d names", count)
	}
	if len(propertyIndex) != len(javaProperties) {
		t.Error("a name is there twice")
	}
}

func TestDefaults(t *testing.T) {
	client, got := clientOf(t, ScopeProducer, nil)
	if got.Settings.Acks != "all" || !got.Settings.Idempotent || got.Warnings != nil {
		t.Error(got)
	}
	for option, want := range map[string]any{"ProducerLinger": time.Duration(0), "RecordDeliveryTimeout": 2 * time.Minute, "DisableIdempotentWrite": false} {
		if is := client.OptValue(option); is != want {
			t.Errorf("%s: %v", option, is)
		}
	}
	if is := client.OptValue(kgo.ProducerBatchCompression); !reflect.DeepEqual(is, []kgo.CompressionCodec{kgo.NoCompression()}) {
		t.Error(is)
	}
	for _, scope := range []Scope{ScopeAdmin, ScopeConsumer} {
		if _, got := clientOf(t, scope, nil); len(got.Opts) != 0 || got.Warnings != nil {
			t.Errorf("%s: %d options, %v", scope, len(got.Opts), got.Warnings)
		}
	}
}

func TestAssignors(t *testing.T) {
	for value, want := range map[string][]string{
		"range,sticky": {"range", "sticky"},
		"org.apache.kafka.clients.consumer.RangeAssignor, org.apache.kafka.clients.consumer.CooperativeStickyAssignor": {"range", "cooperative-sticky"},
		"roundrobin": {"roundrobin"},
	} {
		client, _ := clientOf(t, ScopeConsumer, map[string]string{"partition.assignment.strategy": value})
		balancers, ok := client.OptValue(kgo.Balancers).([]kgo.GroupBalancer)
		var got []string
		for _, b := range balancers {
			got = append(got, b.ProtocolName())
		}
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v", value, got)
		}
	}
}

func TestRetryBackoff(t *testing.T) {
	client, _ := clientOf(t, ScopeAdmin, map[string]string{"retry.backoff.ms": "100", "retry.backoff.max.ms": "1000"})
	wait, ok := client.OptValue(kgo.RetryBackoffFn).(func(int) time.Duration)
	if !ok {
		t.Fatal("no function")
	}
	for tries, middle := range map[int]time.Duration{1: 100 * ms, 2: 200 * ms, 4: 800 * ms, 5: time.Second, 1000: time.Second} {
		if got := wait(tries); got < middle*8/10 || got > middle*12/10 {
			t.Errorf("try %d: %v", tries, got)
		}
	}
}

func TestAPITimeout(t *testing.T) {
	client, _ := clientOf(t, ScopeConsumer, map[string]string{"default.api.timeout.ms": "9000"})
	limit, ok := client.OptValue(kgo.RetryTimeoutFn).(func(int16) time.Duration)
	if !ok || limit(3) != 9*time.Second {
		t.Error(runtime.FuncForPC(reflect.ValueOf(limit).Pointer()))
	}
}

func TestTranslateErrors(t *testing.T) {
	for _, test := range []struct {
		scope Scope
		props map[string]string
		want  string
	}{
		{ScopeProducer, map[string]string{"acks": "2"}, "acks=2 is none of"},
		{ScopeProducer, map[string]string{"acks": "1", "enable.idempotence": "true"}, "idempotence needs acks=all"},
		{ScopeProducer, map[string]string{"enable.idempotence": "maybe"}, "enable.idempotence=maybe is neither true nor false"},
		{ScopeProducer, map[string]string{"acks": "1", "max.in.flight.requests.per.connection": "0"}, "is not a number of 1 or more"},
		{ScopeProducer, map[string]string{"linger.ms": "soon"}, "linger.ms=soon is not a whole number"},
		{ScopeProducer, map[string]string{"compression.type": "brotli"}, "compression.type=brotli is none of"},
		{ScopeProducer, map[string]string{"compression.gzip.level": "10"}, "is not a level of gzip"},
		{ScopeConsumer, map[string]string{"isolation.level": "none"}, "isolation.level=none is none of"},
		{ScopeConsumer, map[string]string{"auto.offset.reset": "by_duration:P"}, "is none of latest"},
		{ScopeConsumer, map[string]string{"partition.assignment.strategy": "io.example.Mine"}, `has "io.example.Mine"`},
		{ScopeConsumer, map[string]string{"partition.assignment.strategy": ","}, "names no assignor"},
		{ScopeConsumer, map[string]string{"heartbeat.interval.ms": "45000"}, "is not less than session.timeout.ms=45000"},
		{ScopeConsumer, map[string]string{"check.crcs": "0"}, "is neither true nor false"},
		{ScopeAdmin, map[string]string{"retry.backoff.ms": "-1"}, "retry.backoff.ms=-1 is not a number of milliseconds"},
		{ScopeAdmin, map[string]string{"client.id": strings.Repeat("x", 257)}, "more than 256"},
		{ScopeAdmin, map[string]string{"bootstrap.servers": "a"}, `bootstrap.servers: "a" is not host:port`},
		{ScopeAdmin, map[string]string{"security.protocol": "TLS"}, "security.protocol=TLS is none of"},
		{ScopeAdmin, map[string]string{"security.protocol": "SSL", "ssl.truststore.location": "/nonexistent/x"}, "no such file"},
		{ScopeAdmin, map[string]string{"security.protocol": "SASL_SSL"}, "sasl.mechanism=GSSAPI is not supported"},
	} {
		_, err := Translate(test.scope, test.props)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), test.scope.String()+" client: ") {
			t.Errorf("%v: got %v, want %s", test.props, err, test.want)
		}
	}
	_, err := Translate(ScopeProducer, map[string]string{"acks": "x", "linger.ms": "y", "security.protocol": "z"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all three problems: %v", err)
	}
}

func TestTranslateWarnings(t *testing.T) {
	for _, test := range []struct {
		scope Scope
		props map[string]string
		want  string
	}{
		{ScopeAdmin, map[string]string{"made.up": "x"}, "made.up has no effect: it is no property"},
		{ScopeConsumer, map[string]string{"acks": "all"}, "acks has no effect on the consumer client: it is a property of: producer"},
		{ScopeProducer, map[string]string{"acks": "1"}, "acks=1: a record that was acknowledged may be lost"},
		{ScopeProducer, map[string]string{"max.in.flight.requests.per.connection": "1"}, "has no effect on an idempotent producer"},
		{ScopeProducer, map[string]string{"linger.ms": "70000"}, "linger.ms=70000 is outside of what this client takes: 60000 is used"},
		{ScopeAdmin, map[string]string{"enable.metrics.push": "true"}, "pushes no metrics"},
		{ScopeConsumer, map[string]string{"group.protocol": "consumer"}, "wants Kafka 4.3"},
		{ScopeAdmin, map[string]string{"sasl.mechanism": "PLAIN"}, "sasl.mechanism has no effect with security.protocol=PLAINTEXT"},
		{ScopeAdmin, map[string]string{"ssl.keystore.location": "/k"}, "ssl.keystore.location has no effect with security.protocol=PLAINTEXT"},
		{ScopeAdmin, map[string]string{"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": ""}, "SECURITY: ssl.endpoint"},
		{ScopeAdmin, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": plainLogin},
			"SECURITY: sasl.mechanism=PLAIN over SASL_PLAINTEXT"},
	} {
		got, err := Translate(test.scope, test.props)
		if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], test.want) {
			t.Errorf("%v: %v %v, want %s", test.props, got.Warnings, err, test.want)
		}
	}
}

func TestParseBootstrap(t *testing.T) {
	for in, want := range map[string][]string{
		"a:1":                              {"a:1"},
		" PLAINTEXT://a:1 , SSL://[::1]:2": {"a:1", "[::1]:2"},
		"a:1,a:1,":                         {"a:1"},
		"":                                 nil,
		",":                                nil,
		"a":                                nil,
		":1":                               nil,
		"a:x":                              nil,
		"a:65536":                          nil,
		"::1:2":                            nil,
	} {
		got, err := ParseBootstrap(in)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
}

func TestPropertiesDocumentation(t *testing.T) {
	const name = "../../docs/client-properties.md"
	if *updateProperties {
		if err := os.WriteFile(name, []byte(PropertiesMarkdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != PropertiesMarkdown() {
		t.Errorf("%s is not what the table says (%v); run: go test ./internal/kafka -run PropertiesDocumentation -update", name, err)
	}
}

// Whatever the values: an error or options that the client takes.
func FuzzTranslate(f *testing.F) {
	for _, test := range translations {
		f.Add(int(test.scope), test.name, test.value, "retries", "1")
	}
	f.Fuzz(func(t *testing.T, scope int, name1, value1, name2, value2 string) {
		if strings.HasSuffix(name1, ".location") || strings.HasSuffix(name2, ".location") || scope != 1 && scope != 2 && scope != 4 {
			return // no files of the machine
		}
		got, err := Translate(Scope(scope), maps.Clone(map[string]string{name1: value1, name2: value2}))
		if err != nil {
			return
		}
		client, err := kgo.NewClient(got.Opts...)
		if err != nil {
			t.Fatalf("the client refuses what was translated: %v", err)
		}
		client.Close()
	})
}
