package v2

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"
	"kafkarest/internal/produce"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEmbedded is the API on a broker of its own, with a topic t of three partitions and a topic one of one; the test's end closes it.
func onEmbedded(t *testing.T, cfg Config) (http.Handler, *embedded.Broker) {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Settings: map[string]string{"auto.create.topics.enable": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: b.Options(), Idempotent: true})
	if err != nil {
		t.Fatal(err)
	}
	consumers := consume.New(consume.Config{}, cluster)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, closed := range []error{consumers.Close(ctx), cluster.Close(ctx), b.Close()} {
			if closed != nil {
				t.Error(closed)
			}
		}
	})
	for name, partitions := range map[string]int32{"t": 3, "one": 1} {
		if err := b.Cluster().CreateTopic(name, partitions, nil); err != nil {
			t.Fatal(err)
		}
	}
	api := New(cfg, cluster, produce.New(produce.Config{}, cluster), consumers, format.Plain())
	server, err := httpapi.New(httpapi.Config{PreferTypes: []string{"application/json", mediaType}}, api.Endpoints())
	if err != nil {
		t.Fatal(err)
	}
	return server, b
}

// ask sends one request without a connection. headers are "Name: value".
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
