package floor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kafkarest/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, body string
		encode     func(jsontext.Value) ([]byte, error)
		want       string // key=value of each record, - for nil
	}{
		{"json as sent", `{"records":[{"value":{"a" : 1.10}},{"key":"k","value":12345678901234567890}]}`, asSent,
			`-={"a" : 1.10} "k"=12345678901234567890 `},
		{"json null", `{"records":[{"key":null,"value":null},{}]}`, asSent, `-=- -=- `},
		{"binary", `{"records":[{"value":"S2Fma2E="},{"key":"","value":null}]}`, fromBase64, `-=Kafka =- `},
		{"other members", `{"a":[1,{"records":2}],"records":[{"b":{},"value":1}],"c":null}`, asSent, `-=1 `},
	} {
		records, err := parse([]byte(c.body), "t", &side{encode: c.encode})
		if err != nil || shown(records) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, shown(records), err, c.want)
		}
	}
}

func shown(records []*kgo.Record) string {
	var b strings.Builder
	part := func(p []byte) string {
		if p == nil {
			return "-"
		}
		return string(p)
	}
	for _, r := range records {
		fmt.Fprintf(&b, "%s=%s ", part(r.Key), part(r.Value))
	}
	return b.String()
}

func TestParseRefuses(t *testing.T) {
	for _, body := range []string{``, `[]`, `{`, `{"records":1}`, `{"records":[1]}`, `{"records":[{"value":1}`, `{"records":[{"value":}]}`} {
		if records, err := parse([]byte(body), "t", &side{encode: asSent}); err == nil {
			t.Errorf("%s: %d records, no error", body, len(records))
		}
	}
	for _, value := range []string{`1`, `"%%%"`, `{}`} {
		if _, err := parse([]byte(`{"records":[{"value":`+value+`}]}`), "t", &side{encode: fromBase64}); err == nil {
			t.Errorf("binary %s: no error", value)
		}
	}
}

// start serves a Floor on a broker of its own.
func start(t *testing.T) string {
	t.Helper()
	var network kfake.VirtualNetwork
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(network.Listen), kfake.SeedTopics(3, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	f, err := New(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	server := httptest.NewServer(f.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func call(t *testing.T, method, url, media, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", media)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, got
}

func TestProduceThenConsume(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	url := start(t)
	for range 5 {
		status, body := call(t, "POST", url+"/topics/t", load.TypeJSON, load.ProduceJSON(10, 100))
		if err := load.Stored(10)(status, body); err != nil {
			t.Fatal(err)
		}
	}
	values := map[string]int{}
	for deadline := time.Now().Add(20 * time.Second); len(values) < 10 || count(values) < 50; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 50 records by the deadline", count(values))
		}
		status, body := call(t, "GET", url+"/consume?id=1&group=g&topic=t&max=20&wait=500", "", "")
		var records []struct {
			Topic string
			Value json.RawMessage
		}
		if err := json.Unmarshal(body, &records); err != nil || status != 200 || len(records) > 20 {
			t.Fatalf("status %d, %d records, %v", status, len(records), err)
		}
		for _, r := range records {
			values[string(r.Value)]++
		}
	}
	if len(values) != 10 || values[load.Value(3, 100)] != 5 {
		t.Errorf("read back %v", values)
	}
	if status, _ := call(t, "DELETE", url+"/consume?id=1", "", ""); status != 204 {
		t.Errorf("DELETE answered %d", status)
	}
	if status, body := call(t, "GET", url+"/topics", "", ""); status != 200 || !bytes.Equal(bytes.TrimSpace(body), []byte(`["t"]`)) {
		t.Errorf("topics: %d %s", status, body)
	}
}

func count(values map[string]int) (sum int) {
	for _, n := range values {
		sum += n
	}
	return sum
}

func TestRefusals(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	url := start(t)
	if status, _ := call(t, "POST", url+"/topics/t", load.TypeJSON, `{"records":[`); status != 400 {
		t.Errorf("a cut body: %d", status)
	}
}

// TestAvroRoundTrip: what the bench sends comes back as the same JSON, so the library does the whole work.
func TestAvroRoundTrip(t *testing.T) {
	var known schemas
	s := &side{encode: noSchema, schemas: &known}
	records, err := parse([]byte(load.ProduceOrders(3, true)), "t", s)
	if err != nil || len(records) != 3 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	schema, err := known.get(load.OrderSchema)
	if err != nil || len(known.known) != 1 {
		t.Fatalf("%d schemas, %v", len(known.known), err)
	}
	for i, r := range records {
		got, err := decodeAvro(schema, nil, r.Value)
		if err != nil || string(got) != load.Order(i) {
			t.Errorf("record %d: %s %v\nwant %s", i, got, err, load.Order(i))
		}
	}
	if _, err := parse([]byte(load.ProduceOrders(1, false)), "t", &side{encode: noSchema, schemas: &known}); err == nil {
		t.Error("Avro without a schema was taken")
	}
}
