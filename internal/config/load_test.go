package config

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated documentation")

func load(t *testing.T, file string, env ...string) *Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.properties")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{File: name, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every file in testdata/bad breaks one rule; its first line holds the text that the error must have.
func TestBadFixtures(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			want, ok := strings.CutPrefix(first, "# want: ")
			if !ok {
				t.Fatal("the first line is not '# want: TEXT'")
			}
			c, err := Load(Source{File: name})
			if err == nil || c != nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if n := strings.Count(err.Error(), "\n"); n != 0 {
				t.Errorf("%d problems, want one:\n%v", n+1, err)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Load(Source{
		Set:     map[string]string{"port": "x", "debug": "y", "nope": "z", "ssl.spire.enabled": "true"},
		Require: []string{"bootstrap.servers"},
	})
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		t.Fatalf("not joined: %v", err)
	}
	var keys []string
	for _, e := range joined.Unwrap() {
		var p *Problem
		if !errors.As(e, &p) || p.Limit == "" || p.Remedy == "" {
			t.Errorf("not a whole Problem: %#v", e)
			continue
		}
		keys = append(keys, p.Key)
	}
	if want := []string{"bootstrap.servers", "debug", "nope", "port", "ssl.spire.enabled"}; !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
	if !strings.Contains(err.Error(), "bootstrap.servers is required: set it in the file, as KAFKA_REST_BOOTSTRAP_SERVERS or by a flag") {
		t.Error(err)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(Source{File: filepath.Join(t.TempDir(), "none.properties")}); err == nil || !strings.Contains(err.Error(), "cannot be used") {
		t.Error(err)
	}
}

func TestOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.properties")
	if err := os.WriteFile(name, []byte("id=file\nhost.name=file\nport=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{File: name, Env: []string{"KAFKA_REST_ID=env", "KAFKA_REST_HOST_NAME=env"}, Set: map[string]string{"id": "flag"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.String("id") != "flag" || c.String("host.name") != "env" || c.Int("port") != 1 || c.Millis("idle.timeout.ms") != 30*time.Second {
		t.Error(c.Redacted())
	}
	if !c.IsSet("port") || c.IsSet("idle.timeout.ms") || c.IsSet("producer.acks") {
		t.Error("IsSet")
	}
	got := c.Redacted()
	for _, want := range []string{"id=flag (flag)", "host.name=env (environment KAFKA_REST_HOST_NAME)", "port=1 (file)", "idle.timeout.ms=30000 (default)"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	if !slices.IsSorted(got) {
		t.Error("not sorted")
	}
}

func TestGetters(t *testing.T) {
	c := load(t, "ssl.client.authentication=required\ndebug=TRUE\nrequest.max.bytes=+5\nport= 7 \napi.v2.include= Headers,,timestamp \n"+
		"forwarded.trusted.addresses=10.1.2.3/8,::1\nrate.limit.costs=a.*=1, b=2\n"+
		`response.http.headers.config="add Cache-Control: no-cache, no-store", set X-Y: 1; mode=block,setDate Expires: 0`)
	if c.String("ssl.client.authentication") != "REQUIRED" || !c.Bool("debug") || c.Int64("request.max.bytes") != 5 || c.Int64("port") != 7 {
		t.Error("wrong values")
	}
	if got := c.List("api.v2.include"); !slices.Equal(got, []string{"headers", "timestamp"}) {
		t.Error(got)
	}
	if got := c.Networks("forwarded.trusted.addresses"); len(got) != 2 || got[0].String() != "10.0.0.0/8" || got[1].String() != "::1/128" {
		t.Error(got)
	}
	if got := c.Costs("rate.limit.costs"); !maps.Equal(got, map[string]int{"a.*": 1, "b": 2}) {
		t.Error(got)
	}
	want := []HeaderRule{{"add", "Cache-Control", "no-cache, no-store"}, {"set", "X-Y", "1; mode=block"}, {"setDate", "Expires", "0"}}
	if diff := cmp.Diff(want, c.HeaderRules("response.http.headers.config")); diff != "" {
		t.Error(diff)
	}
	for name, read := range map[string]func(){
		"unknown": func() { c.String("nope") }, "kind": func() { c.Int("id") }, "IsSet": func() { c.IsSet("nope") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			read()
		}()
	}
}

func TestPropertiesAsJava(t *testing.T) {
	c := load(t, "\ufeff# comment\n! comment\nid : a\\\n   b\nhost.name caf\\u00e9\nclient.x=${user}\nclient.y=\xe9\nclient.z=a=b:c#d \nclient.w=")
	want := map[string]string{"x": "${user}", "y": "é", "z": "a=b:c#d", "w": ""}
	if diff := cmp.Diff(want, c.Prefixed("client.")); diff != "" {
		t.Error(diff)
	}
	if c.String("id") != "ab" || c.String("host.name") != "café" {
		t.Error(c.String("id"), c.String("host.name"))
	}
}

func TestYAML(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.yml")
	text := "listeners: [http://127.0.0.1:1, http://127.0.0.1:2]\nclient:\n  sasl.jaas.config: x\n  sasl: {mechanism: PLAIN}\nport: 8083\nid: 007\n" +
		"host.name: ~\ndebug: true\nproducer.acks: \"1\"\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"sasl.jaas.config": "x", "sasl.mechanism": "PLAIN", "acks": "1"}, c.Prefixed("client.", "producer.")); diff != "" {
		t.Error(diff)
	}
	if len(c.Listeners()) != 2 || c.Int("port") != 8083 || c.String("id") != "007" || c.String("host.name") != "" || !c.Bool("debug") {
		t.Error(c.Redacted())
	}
}

func TestEmptyYAML(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "~"} {
		if got, err := parseYAML([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

func TestEnvKey(t *testing.T) {
	for name, want := range map[string]string{
		"HOST_NAME": "host.name", "A__B": "a_b", "A___B": "a-b", "A____B": "a____b", "A_": "a.", "A": "a", "_A": ".a", "": "",
		"API_V2_ENABLE": "api.v2.enable",
	} {
		if got := envKey(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for _, k := range table {
		if got := envKey(strings.TrimPrefix(envName(k.Name), envPrefix)); got != k.Name {
			t.Errorf("%s comes back as %s", k.Name, got)
		}
	}
}

func TestIgnoredEnv(t *testing.T) {
	c := load(t, "", "KAFKA_REST_HEAP_OPTS=-Xmx1g", "KAFKA_REST_JVM_PERFORMANCE_OPTS=x", "KAFKA_REST_OPTS=x", "KAFKA_REST_LOG4J_ROOT_LOGLEVEL=INFO",
		"KAFKA_REST_JMX_PORT=1", "KAFKA_REST_CUB_KAFKA_TIMEOUT=1", "KAFKA_REST_GC_LOG_OPTS=x", "KAFKA_REST_SERVICE_HOST=10.0.0.1",
		"KAFKA_REST_SERVICE_PORT=8082", "KAFKA_REST_PORT=tcp://10.0.0.1:8082", "KAFKA_REST_PORT_8082_TCP_ADDR=10.0.0.1", "KAFKA_REST_=x", "PATH=/")
	if len(c.values) != 0 {
		t.Error(c.values)
	}
	if c := load(t, "", "KAFKA_REST_PORT=9"); c.Int("port") != 9 {
		t.Error("a port that is a number is one")
	}
	if _, err := Load(Source{Env: []string{"KAFKA_REST_LISTNERS=x"}}); err == nil ||
		!strings.Contains(err.Error(), "(environment KAFKA_REST_LISTNERS) is not a known key: remove it, did you mean listeners?") {
		t.Error(err)
	}
}

func TestPrefixed(t *testing.T) {
	c := load(t, "client.id=c\nproducer.id=p\nproducer.acks=1\nproducer.threads=3\nconsumer.request.timeout.ms=5\nconsumer.threads=1\n"+
		"consumer.isolation.level=read_committed\nclient.timeout.ms=3\nclient.security.protocol=SSL\nschema.registry.url=u\nschema.registry.ssl.x=y")
	for prefixes, want := range map[string]map[string]string{
		"client.,producer.": {"id": "p", "acks": "1", "security.protocol": "SSL"},
		"producer.,client.": {"id": "c", "acks": "1", "security.protocol": "SSL"},
		"consumer.":         {"isolation.level": "read_committed"},
		"schema.registry.":  {"ssl.x": "y"},
		"admin.":            {},
	} {
		if diff := cmp.Diff(want, c.Prefixed(strings.Split(prefixes, ",")...)); diff != "" {
			t.Errorf("%s: %s", prefixes, diff)
		}
	}
}

// The file that Confluent's package ships, and the variables of its image, load without a word.
func TestConfluentDefaults(t *testing.T) {
	c := load(t, "#id=kafka-rest-test-server\n#schema.registry.url=http://localhost:8081\nbootstrap.servers=PLAINTEXT://localhost:9092\n")
	if c.String("bootstrap.servers") != "PLAINTEXT://localhost:9092" || c.Warnings() != nil {
		t.Error(c.Warnings())
	}
	c = load(t, "", "KAFKA_REST_HOST_NAME=rest", "KAFKA_REST_BOOTSTRAP_SERVERS=b:1", "KAFKA_REST_LISTENERS=http://127.0.0.1:8082",
		"KAFKA_REST_CLIENT_SECURITY_PROTOCOL=SSL", "KAFKA_REST_CONSUMER_REQUEST_TIMEOUT_MS=5")
	if c.Warnings() != nil || c.Prefixed("client.")["security.protocol"] != "SSL" || c.Millis("consumer.request.timeout.ms") != 5*time.Millisecond {
		t.Error(c.Warnings(), c.Redacted())
	}
}
