package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/internal/app"
	"kafkarest/internal/config"
	"kafkarest/internal/kafka/embedded"
	"kafkarest/internal/testkafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shared is the real Kafka of this test run, started by the first test that needs it.
var shared struct {
	once    sync.Once
	cluster *testkafka.Cluster
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close Kafka:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// broker is where a proxy under test gets its records from.
type broker struct {
	name      string
	embedded  *embedded.Broker
	bootstrap string
	client    []kgo.Opt // for a client of the test's own
}

// eachBroker runs a test body on every broker.
func eachBroker(t *testing.T, body func(t *testing.T, b broker)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { body(t, embeddedBroker(t)) })
	t.Run("kafka", func(t *testing.T) { body(t, realBroker(t)) })
}

func embeddedBroker(t *testing.T) broker {
	t.Helper()
	b, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker{name: "embedded", embedded: b, client: b.Options()}
}

func realBroker(t *testing.T) broker {
	t.Helper()
	testkafka.Require(t)
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		shared.cluster, shared.err = testkafka.Start(ctx, testkafka.Config{Authorizer: true})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	seeds := shared.cluster.Bootstrap()
	return broker{name: "kafka", bootstrap: seeds, client: []kgo.Opt{kgo.SeedBrokers(strings.Split(seeds, ",")...)}}
}

// proxy is a program under test.
type proxy struct {
	t   testing.TB
	app *app.App
	URL string
}

// startProxy starts the program on a free port; the test's end stops it.
func startProxy(t testing.TB, b broker, settings map[string]string) *proxy {
	t.Helper()
	p, err := newProxy(b, settings)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop the proxy: %v", err)
		}
	})
	return p
}

func newProxy(b broker, settings map[string]string) (*proxy, error) {
	set := map[string]string{"listeners": "http://127.0.0.1:0", "shutdown.settle.ms": "0", "log.level": "error"}
	if b.embedded == nil {
		set["bootstrap.servers"] = b.bootstrap
	}
	for k, v := range settings {
		set[k] = v
	}
	cfg, err := config.Load(config.Source{Set: set})
	if err != nil {
		return nil, err
	}
	a, err := app.New(app.Options{Config: cfg, Broker: b.embedded, LogTo: os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := a.Start(); err != nil {
		return nil, err
	}
	return &proxy{app: a, URL: "http://" + a.Addr()}, nil
}

func (p *proxy) stop() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return p.app.Stop(ctx)
}

// reply is what a request got.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// code is the error_code of the body, 0 if there is none.
func (r reply) code() int {
	var body struct {
		Code int `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(r.Body), &body)
	return body.Code
}

const (
	v2Type     = "application/vnd.kafka.v2+json"
	jsonType   = "application/vnd.kafka.json.v2+json"
	binaryType = "application/vnd.kafka.binary.v2+json"
	textType   = "application/vnd.kafka.text.v2+json"
)

// do sends a request. Headers are pairs of name and value.
func (p *proxy) do(method, path, body string, headers ...string) reply {
	p.t.Helper()
	r, err := p.try(context.Background(), method, path, body, headers...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

var client = &http.Client{Timeout: 90 * time.Second, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}

func (p *proxy) try(ctx context.Context, method, path, body string, headers ...string) (reply, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, reader)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(data)}, err
}

// produce sends records and wants 200 with every record stored.
func (p *proxy) produce(topic, contentType, body string) reply {
	p.t.Helper()
	r := p.do("POST", "/topics/"+topic, body, "Content-Type", contentType)
	if r.Status != 200 || strings.Contains(r.Body, `"offset":null`) {
		p.t.Fatalf("produce to %s: %d %s", topic, r.Status, r.Body)
	}
	return r
}

// createTopic makes a topic through a client of the test's own.
func createTopic(t testing.TB, b broker, partitions int, configs ...string) string {
	t.Helper()
	return createNamed(t, b, freshName("t"), partitions, configs...)
}

var fresh struct {
	sync.Mutex
	n int
}

// freshName is a name that no other test uses.
func freshName(prefix string) string {
	fresh.Lock()
	defer fresh.Unlock()
	fresh.n++
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), fresh.n)
}

// records reads the JSON array of a reply.
func records(t testing.TB, r reply) []map[string]any {
	t.Helper()
	if r.Status != 200 {
		t.Fatalf("read: %d %s", r.Status, r.Body)
	}
	var list []map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(r.Body)))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		t.Fatalf("read: %v in %s", err, r.Body)
	}
	return list
}

// instance creates a consumer instance and gives its path.
func (p *proxy) instance(group, settings string) string {
	p.t.Helper()
	r := p.do("POST", "/consumers/"+group, settings, "Content-Type", v2Type)
	var created struct {
		ID string `json:"instance_id"`
	}
	if r.Status != 200 || json.Unmarshal([]byte(r.Body), &created) != nil {
		p.t.Fatalf("create an instance: %d %s", r.Status, r.Body)
	}
	return "/consumers/" + group + "/instances/" + created.ID
}

// subscribe subscribes an instance to topics.
func (p *proxy) subscribe(instance string, topics ...string) {
	p.t.Helper()
	body, _ := json.Marshal(map[string]any{"topics": topics})
	if r := p.do("POST", instance+"/subscription", string(body), "Content-Type", v2Type); r.Status != 204 {
		p.t.Fatalf("subscribe: %d %s", r.Status, r.Body)
	}
}

// readSome reads until there is something, for at most 30 s.
func (p *proxy) readSome(instance, accept, query string) []map[string]any {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if list := records(p.t, p.do("GET", instance+"/records"+query, "", "Accept", accept)); len(list) > 0 {
			return list
		}
	}
	p.t.Fatal("nothing to read within 30 s")
	return nil
}
