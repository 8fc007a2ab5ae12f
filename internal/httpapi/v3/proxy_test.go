package v3_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kafkarest/internal/httpapi"
	v3 "kafkarest/internal/httpapi/v3"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"
	"kafkarest/internal/testkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxy is v3 before a broker, with what a test needs to look behind it.
type proxy struct {
	url     string
	id      string // of the Kafka cluster
	cluster *kafka.Cluster
	options []kgo.Opt
	real    bool
}

// onEmbedded starts three brokers in this process.
func onEmbedded(t *testing.T) (*proxy, *embedded.Broker) {
	t.Helper()
	return onEmbeddedNodes(t, 3)
}

func onEmbeddedNodes(t *testing.T, n int) (*proxy, *embedded.Broker) {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Nodes: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, v3.Config{}, b.Options()), b
}

// onKafka starts three nodes of Apache Kafka: one alone has nothing to be behind of.
func onKafka(t *testing.T) *proxy {
	t.Helper()
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	k, err := testkafka.Start(ctx, testkafka.Config{Nodes: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	p := serve(t, v3.Config{}, []kgo.Opt{kgo.SeedBrokers(k.Addrs()...)})
	p.real = true
	return p
}

func serve(t *testing.T, cfg v3.Config, options []kgo.Opt) *proxy {
	t.Helper()
	p := mount(t, cfg, kafka.Config{Common: options})
	p.options = options
	var list struct {
		Data []struct {
			ID string `json:"cluster_id"`
		}
	}
	p.do(t, "GET", "/v3/clusters", nil).into(t, &list)
	if len(list.Data) != 1 || list.Data[0].ID == "" {
		t.Fatalf("the list of clusters is %+v", list)
	}
	p.id = list.Data[0].ID
	return p
}

func mount(t *testing.T, cfg v3.Config, to kafka.Config) *proxy {
	t.Helper()
	cluster, err := kafka.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(httpapi.Config{}, v3.New(cfg, cluster).Endpoints(), []httpapi.Endpoint{topicOfV2(cluster)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := cluster.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &proxy{url: server.URL, cluster: cluster}
}

// topicOfV2 stands for GET /topics/{topic}, with which clients make sure that a topic is there. It asks what v2 asks.
func topicOfV2(cluster *kafka.Cluster) httpapi.Endpoint {
	return httpapi.Endpoint{Name: "api.v2.topics.get", Method: "GET", Path: "/topics/{topic}", Produces: []string{"application/vnd.kafka.v2+json"},
		Handle: func(c *httpapi.Call) error {
			ctx, cancel := cluster.Deadline(c.R.Context())
			defer cancel()
			name := c.Param("topic")
			topics, err := cluster.Admin().ListTopicsWithInternal(ctx, name)
			if err != nil {
				return kafka.Error(err)
			}
			if err := topics[name].Err; err != nil {
				return kafka.ForTopic(name, err)
			}
			configs, err := cluster.Admin().DescribeTopicConfigs(ctx, name)
			if err != nil {
				return kafka.Error(err)
			}
			if _, err := configs.On(name, nil); err != nil {
				return kafka.ForTopic(name, err)
			}
			body, err := json.Marshal(map[string]string{"name": name})
			if err != nil {
				return err
			}
			return c.Reply(http.StatusOK, body)
		}}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request. A string is a body as it is, anything else is sent as JSON, nil is no body.
func (p *proxy) do(t *testing.T, method, path string, body any) reply {
	t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, content)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, got}
}

func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v in %d %s", err, r.status, r.body)
	}
}

func (r reply) wants(t *testing.T, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status is %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// is compares the whole body. want is JSON in which $U stands for the URL of the cluster and $C for its id.
func (r reply) is(t *testing.T, p *proxy, status int, want string) {
	t.Helper()
	r.wants(t, status)
	var got, wanted any
	r.into(t, &got)
	want = strings.NewReplacer("$U", p.url+"/v3/clusters/"+p.id, "$C", p.id).Replace(want)
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%v in the expectation %s", err, want)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Fatalf("the body differs (-want +got):\n%s", diff)
	}
}

// fails compares an error reply; an empty message is any.
func (r reply) fails(t *testing.T, code int, message string) {
	t.Helper()
	var e struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	r.into(t, &e)
	status := code
	for status > 999 {
		status /= 10
	}
	if r.status != status || e.Code != code || e.Message == "" || message != "" && e.Message != message {
		t.Fatalf("the reply is %d %s, want code %d %q", r.status, r.body, code, message)
	}
}

// path is below the cluster.
func (p *proxy) path(rest string) string { return "/v3/clusters/" + p.id + rest }

func (p *proxy) create(t *testing.T, body string) reply {
	t.Helper()
	return p.do(t, "POST", p.path("/topics"), body).wants(t, http.StatusCreated)
}

// count is the number of partitions that a topic has now.
func (p *proxy) count(t *testing.T, topic string) int {
	t.Helper()
	var got struct {
		Count int `json:"partitions_count"`
	}
	p.do(t, "GET", p.path("/topics/"+topic), nil).wants(t, http.StatusOK).into(t, &got)
	return got.Count
}
