package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testkafka"
	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// messageOutcome is one outcome in a reply of the messages API.
type messageOutcome struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Error     *struct {
		Code      int    `json:"code"`
		Name      string `json:"name"`
		Message   string `json:"message"`
		Retriable bool   `json:"retriable"`
		Outcome   string `json:"outcome"`
		Topic     string `json:"topic"`      // of the error that ends a stream
		RequestID string `json:"request_id"` // as well
	} `json:"error"`
}

func messageOutcomes(t testing.TB, r harness.Reply) []messageOutcome {
	t.Helper()
	var body struct {
		Offsets []messageOutcome `json:"offsets"`
	}
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		t.Fatalf("%v in %d %s", err, r.Status, r.Body)
	}
	return body.Offsets
}

// putMessage sends a message and wants it stored.
func putMessage(t testing.TB, p *proxy, method, path, body string, headers ...string) messageOutcome {
	t.Helper()
	r := p.Do(method, path, body, headers...)
	list := messageOutcomes(t, r)
	if r.Status != 200 || len(list) != 1 || list[0].Offset == nil || r.Header.Get("Kafka-Failed-Records") != "" {
		t.Fatalf("%s %s: %d %s", method, path, r.Status, r.Body)
	}
	return list[0]
}

func headersOf(r *kgo.Record) string {
	var out []string
	for _, h := range r.Headers {
		out = append(out, h.Key+"="+string(h.Value))
	}
	return strings.Join(out, " ")
}

// Any body is one message, byte for byte; everything else about it can be said by a header or by a query parameter.
func TestMessagesRawBody(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 2)
		path := "/messages/" + topic
		bytesOf := string([]byte{0, 1, 2, 255, '\n', 0xc3, 0x28})
		at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
		for _, test := range []struct {
			name, method, query, body string
			headers                   []string
			partition                 int32 // -1: any
			key, value                []byte
			time                      time.Time
			recordHeaders             string
		}{
			{"bytes", "PUT", "", bytesOf, nil, -1, nil, []byte(bytesOf), time.Time{}, ""},
			{"type", "POST", "", "<a/>", []string{"Content-Type", "application/xml; a=b"}, -1, nil, []byte("<a/>"), time.Time{}, "content-type=application/xml; a=b"},
			{"json", "POST", "", `{"records": [1.10]}`, []string{"Content-Type", "application/json"}, -1, nil, []byte(`{"records": [1.10]}`), time.Time{}, "content-type=application/json"},
			{"empty", "PUT", "?partition=1", "", nil, 1, nil, []byte{}, time.Time{}, ""},
			{"tombstone", "PUT", "", "", []string{"Kafka-Tombstone", "true", "Kafka-Key", "k", "Kafka-Partition", "1"}, 1, []byte("k"), nil, time.Time{}, ""},
			{"tombstone by query", "PUT", "?tombstone=true&key=k&partition=1", "", nil, 1, []byte("k"), nil, time.Time{}, ""},
			{"fields", "PUT", "", "v", []string{"Kafka-Key-Base64", "AAH/", "Kafka-Timestamp", "1714979289123", "Kafka-Header-B", "2", "Kafka-Header-A", "1", "Authorization", "x", "X-Kafka-Key", "no"},
				-1, []byte{0, 1, 255}, []byte("v"), at, "a=1 b=2"},
			{"fields by query", "PUT", "?key_base64=AAH%2F&timestamp=2024-05-06T07:08:09.123Z&header=B:2&header=A:1:3", "v", nil, -1, []byte{0, 1, 255}, []byte("v"), at, "B=2 A=1:3"},
			{"empty key", "PUT", "?key=", "v", nil, -1, []byte{}, []byte("v"), time.Time{}, ""},
			{"own type", "PUT", "", "v", []string{"Content-Type", "a/b", "Kafka-Header-Content-Type", "c/d"}, -1, nil, []byte("v"), time.Time{}, "content-type=c/d"},
		} {
			got := putMessage(t, p, test.method, path+test.query, test.body, test.headers...)
			r := recordAt(t, b, topic, got.Partition, *got.Offset)
			if test.partition >= 0 && got.Partition != test.partition || got.Topic != topic {
				t.Errorf("%s: %+v", test.name, got)
			}
			if !bytes.Equal(r.Key, test.key) || (r.Key == nil) != (test.key == nil) || !bytes.Equal(r.Value, test.value) || (r.Value == nil) != (test.value == nil) {
				t.Errorf("%s: key %q value %q", test.name, r.Key, r.Value)
			}
			if headersOf(r) != test.recordHeaders {
				t.Errorf("%s: headers %s", test.name, headersOf(r))
			}
			if r.Timestamp.UnixMilli() != got.Timestamp || !test.time.IsZero() && !r.Timestamp.Equal(test.time) {
				t.Errorf("%s: stored at %v, answered %d", test.name, r.Timestamp, got.Timestamp)
			}
		}
	})
}

// recordAt reads one record from the broker itself.
func recordAt(t testing.TB, b broker, topic string, partition int32, offset int64) *kgo.Record {
	t.Helper()
	for _, r := range harness.ReadLog(t, b, topic) {
		if r.Partition == partition && r.Offset == offset {
			return r
		}
	}
	t.Fatalf("%s has no record %d/%d", topic, partition, offset)
	return nil
}

// The status of a reply tells the truth about what is stored, and each failure says what Kafka calls it.
func TestMessagesStatus(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"request.max.bytes": "3000000"})
		topic := harness.CreateTopic(t, b, 1)
		const lines = "application/x-ndjson"
		for _, test := range []struct {
			name, path, body string
			headers          []string
			status, failed   int
			codes            []int // of the outcomes; 0 is stored
		}{
			{"stored", topic, "x", nil, 200, 0, []int{0}},
			{"all of a set", topic, `{"records":[{"value":1},{"value":2}]}`, []string{"Content-Type", harness.JSON}, 200, 0, []int{0, 0}},
			{"some of a set", topic, `{"records":[{"value":1},{"value":2,"partition":9}]}`, []string{"Content-Type", harness.JSON}, 207, 1, []int{0, 40402}},
			{"bad data does not stop its neighbours", topic, `{"records":[{"value":"AA=="},{"value":"?"}]}`, []string{"Content-Type", harness.Binary}, 207, 1, []int{0, 400}},
			{"no such partition", topic + "?partition=9", "x", nil, 404, 1, []int{40402}},
			{"no such topic", harness.FreshName("no"), "x", nil, 404, 1, []int{40401}},
			{"illegal topic", "a%20b", "x", nil, 400, 1, []int{40002}},
			{"too large", topic, strings.Repeat("x", 1_100_000), nil, 413, 1, []int{413}},
			{"one cause for all", topic, `{"records":[{"value":1,"partition":8},{"value":2,"partition":9}]}`, []string{"Content-Type", harness.JSON}, 404, 2, []int{40402, 40402}},
			{"several causes", topic, `{"records":[{"value":"AA==","partition":8},{"value":"?"}]}`, []string{"Content-Type", harness.Binary}, 422, 2, []int{40402, 400}},
			{"lines", topic, "1\n2\n", []string{"Content-Type", lines, "Accept", "application/json"}, 200, 0, []int{0, 0}},
			{"some lines", topic, "1\nno\n2", []string{"Content-Type", lines, "Accept", "application/json"}, 207, 1, []int{0, 400, 0}},
		} {
			r := p.Do("POST", "/messages/"+test.path, test.body, test.headers...)
			list := messageOutcomes(t, r)
			var codes []int
			for _, o := range list {
				code := 0
				if o.Error != nil {
					code = o.Error.Code
					if o.Error.Name == "" || o.Error.Message == "" || o.Offset != nil {
						t.Errorf("%s: %s", test.name, r.Body)
					}
				}
				codes = append(codes, code)
			}
			failed := ""
			if test.failed > 0 {
				failed = fmt.Sprint(test.failed)
			}
			if r.Status != test.status || !slices.Equal(codes, test.codes) || r.Header.Get("Kafka-Failed-Records") != failed {
				t.Errorf("%s: %d %s, Kafka-Failed-Records %q", test.name, r.Status, r.Body, r.Header.Get("Kafka-Failed-Records"))
			}
			if r.Status >= 400 && (r.Code()/100 != r.Status && r.Code() != r.Status) {
				t.Errorf("%s: status %d and code %d", test.name, r.Status, r.Code())
			}
		}
	})
}

// What a request says and nobody knows is refused, and stores nothing.
func TestMessagesRefusals(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"messages.overrides.allow": "timeout,compression", "request.max.records": "3"})
		topic := harness.CreateTopic(t, b, 1)
		for _, test := range []struct {
			path, body string
			headers    []string
			status     int
			text       string
		}{
			{"?keyy=a", "x", nil, 422, "keyy"},
			{"", "x", []string{"Kafka-Keyy", "a"}, 422, "Kafka-Keyy"},
			{"?key=a", "x", []string{"Kafka-Key", "a"}, 422, "twice"},
			{"?key=a&key_base64=YQ", "x", nil, 422, "twice"},
			{"?key=a&key=b", "x", nil, 422, "twice"},
			{"", "x", []string{"Kafka-Key-Base64", "?"}, 422, "base64"},
			{"?partition=-1", "x", nil, 422, "partition"},
			{"?partition=99999999999", "x", nil, 422, "partition"},
			{"?timestamp=-1", "x", nil, 422, "1970"},
			{"?timestamp=yesterday", "x", nil, 422, "1970"},
			{"?timestamp=9223372036855", "x", nil, 422, "2262"},
			{"", "x", []string{"Kafka-Timestamp", "9999-12-31T23:59:59Z"}, 422, "2262"},
			{"", `{"records":[{"value":1,"timestamp":9223372036855}]}`, []string{"Content-Type", harness.JSON}, 422, "2262"},
			{"?tombstone=true", "x", nil, 422, "empty"},
			{"?tombstone=maybe", "x", nil, 422, "true or false"},
			{"?header=x", "x", nil, 422, "name:value"},
			{"?acks=1", "x", nil, 422, "acks"},
			{"?timeout=0", "x", nil, 422, "timeout"},
			{"?timeout=x", "x", nil, 422, "timeout"},
			{"?compression=rar", "x", nil, 422, "compression"},
			{"?linger=1", "x", nil, 422, "linger"},
			{"?value_format=raw", `{"records":[{"value":1}]}`, []string{"Content-Type", harness.JSON}, 422, "raw"},
			{"?key_format=raw", `{"records":[{"value":1}]}`, []string{"Content-Type", harness.JSON}, 422, "raw"},
			{"?key_base64=AA==", `{"records":[{"value":1}]}`, []string{"Content-Type", harness.JSON}, 422, "base64"},
			{"?value_format=xml", "x", nil, 422, "xml"},
			{"?value_schema_id=1", "x", nil, 422, "value_schema_id"},
			{"?value_format=json", "{", nil, 400, "JSON"},
			{"?value_format=text", "\xff", nil, 400, "UTF-8"},
			{"?value_format=binary", "\xff", nil, 400, "UTF-8"},
			{"?callback=https://example.com/", "x", nil, 422, "Callbacks are off"},
			{"", "", []string{"Content-Type", "application/x-ndjson"}, 422, "no messages"},
			{"", "1\n2\n3\n4", []string{"Content-Type", "application/x-ndjson", "Accept", "application/json"}, 413, "3"},
			{"", "x", []string{"Content-Type", "multipart/mixed"}, 400, "boundary"},
			{"", "x", []string{"Content-Type", "multipart/mixed; boundary=b"}, 422, "no parts"},
			{"", "--b\r\n\r\nx", []string{"Content-Type", "multipart/mixed; boundary=b"}, 400, "multipart"},
			{"", "--b--\r\n", []string{"Content-Type", "multipart/mixed; boundary=b"}, 422, "no parts"},
			{"", "--b\r\nKafka-Key: a", []string{"Content-Type", "multipart/mixed; boundary=b"}, 400, "multipart"},
			{"", "--b\r\n", []string{"Content-Type", "multipart/mixed; boundary=b"}, 400, "multipart"},
			{"", "{}", []string{"Content-Type", "application/vnd.kafka.xml.v2+json"}, 415, "format"},
			{"", "{}", []string{"Content-Type", harness.JSON}, 422, "records"},
			{"", `{"records":[{"value":1,"x":2}]}`, []string{"Content-Type", harness.JSON}, 422, "x"},
			{"", `{"records":[{"value":1,"value":2}]}`, []string{"Content-Type", harness.JSON}, 400, "value"},
			{"", `{"records":[{"value":1}]} x`, []string{"Content-Type", harness.JSON}, 400, ""},
			{"", `{"records":[{"value":1,"topic":"other"}]}`, []string{"Content-Type", harness.JSON}, 422, "another topic"},
			{"", `{"records":[1]}`, []string{"Content-Type", harness.JSON}, 400, "records[0]"},
			{"", "x", []string{"Idempotency-Key", strings.Repeat("k", 300)}, 422, "Idempotency-Key"},
		} {
			r := p.Do("POST", "/messages/"+topic+test.path, test.body, test.headers...)
			var body map[string]any
			_ = json.Unmarshal([]byte(r.Body), &body)
			if r.Status != test.status || !strings.Contains(fmt.Sprint(body["message"]), test.text) || body["name"] == "" || body["topic"] != topic || body["request_id"] == "" || body["retriable"] != false {
				t.Errorf("%s %v: %d %s", test.path, test.headers, r.Status, r.Body)
			}
		}
		if r := p.Do("POST", "/messages", `{"records":[{"value":1}]}`, "Content-Type", "application/json"); r.Status != 422 || !strings.Contains(r.Body, "topic") {
			t.Errorf("a set without topic: %d %s", r.Status, r.Body)
		}
		if r := p.Do("POST", "/messages", `x`, "Content-Type", "text/plain"); r.Status != 415 {
			t.Errorf("a set that is none: %d %s", r.Status, r.Body)
		}
		if r := p.Do("PUT", "/messages/_kafka_rest_tasks", `x`); r.Status != 403 {
			t.Errorf("the proxy's own topic: %d %s", r.Status, r.Body)
		}
		if log := harness.ReadLog(t, b, topic); len(log) != 0 {
			t.Errorf("%d records are stored", len(log))
		}
		for _, query := range []string{"?timeout=5000", "?compression=zstd", "?compression=none&timeout=600000"} {
			putMessage(t, p, "POST", "/messages/"+topic+query, "x")
		}
	})
}

// problem+json has the same facts.
func TestMessagesProblem(t *testing.T) {
	p := startProxy(t, harness.EmbeddedBroker(t), nil)
	for _, accept := range []string{"application/problem+json", "application/json, application/problem+json;q=0.5"} {
		r := p.Do("POST", "/messages/"+harness.FreshName("no")+"?partition=3", "x", "Accept", accept, "X-Request-Id", "r-1")
		var body map[string]any
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
			t.Fatal(err, r.Body)
		}
		want := map[string]any{"type": "about:blank", "title": "Not Found", "status": 404., "error_code": 40401., "name": "UNKNOWN_TOPIC_OR_PARTITION",
			"retriable": false, "partition": 3., "request_id": "r-1"}
		for name, value := range want {
			if body[name] != value {
				t.Errorf("%s: %v, want %v", name, body[name], value)
			}
		}
		if r.Status != 404 || r.Header.Get("Content-Type") != "application/problem+json" || body["detail"] == "" || len(messageOutcomes(t, r)) != 1 {
			t.Errorf("%d %s %s", r.Status, r.Header, slices.Sorted(maps.Keys(body)))
		}
	}
	if r := p.Do("POST", "/messages/"+harness.FreshName("t")+"?x=1", "x", "Accept", "application/problem+json"); r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

// Several topics in one request, each record with its own outcome.
func TestMessagesSeveralTopics(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		one, two := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 2)
		body := fmt.Sprintf(`{"records":[{"topic":%q,"key":"k","value":{"a": 1}},{"topic":%q,"partition":1,"value":"x","headers":[{"key":"h","value":"aGk="},{"key":"n","value":null}],"timestamp":7},
			{"topic":"no-such-topic-here","value":1},{"topic":%[1]q,"value":null}]}`, one, two)
		r := p.Do("POST", "/messages", body, "Content-Type", "application/json")
		list := messageOutcomes(t, r)
		if r.Status != 207 || len(list) != 4 || list[0].Topic != one || list[1].Topic != two || list[1].Partition != 1 || list[2].Error == nil || *list[3].Offset != 1 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		first := harness.ReadLog(t, b, one)
		if len(first) != 2 || string(first[0].Value) != `{"a":1}` || string(first[0].Key) != `"k"` || first[1].Value != nil {
			t.Errorf("%s", dump(first...))
		}
		second := harness.ReadLog(t, b, two)
		if len(second) != 1 || string(second[0].Value) != `"x"` || second[0].Timestamp.UnixMilli() != 7 || headersOf(second[0]) != "h=hi n=" || second[0].Headers[1].Value != nil {
			t.Errorf("%s", dump(second...))
		}
	})
}

// Key and value have formats of their own, also in the one-message form.
func TestMessagesFormats(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	for _, test := range []struct {
		query, body string
		headers     []string
		key, value  string
	}{
		{"?value_format=json", ` {"a" : 1.10} `, nil, "", `{"a":1.10}`},
		{"?value_format=text", `"a"`, nil, "", `"a"`},
		{"?value_format=binary", "aGk=\n", nil, "", "hi"},
		{"?value_format=binary", `"aGk="`, nil, "", "hi"},
		{"?value_format=raw&key_format=json&key=abc", "x", nil, `"abc"`, "x"},
		{"?key_format=json", "x", []string{"Kafka-Key", `{"a": 1}`}, `{"a":1}`, "x"},
		{"?key_format=binary&key=aGk%3D", "x", nil, "hi", "x"},
		{"?key_format=text&key=5", "x", nil, "5", "x"},
		{"", `{"records":[{"value":1}]}`, []string{"Content-Type", harness.JSON, "Kafka-Key", "abc"}, `"abc"`, "1"},
		{"?key=abc", `{"records":[{"value":"v"}]}`, []string{"Content-Type", "application/vnd.kafka.text.v2+json"}, "abc", "v"},
		{"?key=aGk%3D", `{"records":[{"value":"aGk="}]}`, []string{"Content-Type", harness.Binary}, "hi", "hi"},
		{"?key_format=text", `{"records":[{"key":"k","value":[1, 2]}]}`, []string{"Content-Type", harness.JSON}, "k", "[1,2]"},
		{"?value_format=binary", `{"records":[{"key":"k","value":"aGk="}]}`, []string{"Content-Type", harness.JSON}, `"k"`, "hi"},
		{"?value_format=text", `"a\n"`, []string{"Content-Type", "application/x-ndjson"}, "", "a\n"},
		{"?key_format=json", `1`, []string{"Content-Type", "application/x-ndjson", "Kafka-Key", `{"a": 1}`}, `{"a":1}`, "1"},
	} {
		topic := harness.CreateTopic(t, b, 1)
		r := p.Do("POST", "/messages/"+topic+test.query, test.body, test.headers...)
		log := harness.ReadLog(t, b, topic)
		if r.Status != 200 || len(log) != 1 || string(log[0].Key) != test.key || string(log[0].Value) != test.value {
			t.Errorf("%s %s: %d %s, stored %s", test.query, test.body, r.Status, r.Body, dump(log...))
		}
	}
}

// Parts are messages, each with its own fields.
func TestMessagesMultipart(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, other := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		add := func(value string, headers ...string) {
			h := textproto.MIMEHeader{}
			for i := 0; i < len(headers); i += 2 {
				h.Set(headers[i], headers[i+1])
			}
			part, err := w.CreatePart(h)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write([]byte(value))
		}
		add("a\x00b", "Content-Type", "image/png", "Kafka-Key", "k1", "Kafka-Header-X", "1", "Kafka-Timestamp", "9")
		add("", "Kafka-Tombstone", "true", "Kafka-Key", "k2")
		add("")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r := p.Do("POST", "/messages/"+topic, body.String(), "Content-Type", "multipart/mixed; boundary="+w.Boundary(), "Kafka-Header-All", "y")
		log := harness.ReadLog(t, b, topic)
		if r.Status != 200 || len(log) != 3 {
			t.Fatalf("%d %s, stored %s", r.Status, r.Body, dump(log...))
		}
		if string(log[0].Value) != "a\x00b" || string(log[0].Key) != "k1" || headersOf(log[0]) != "x=1 all=y content-type=image/png" || log[0].Timestamp.UnixMilli() != 9 {
			t.Errorf("%q %s", log[0].Value, headersOf(log[0]))
		}
		if log[1].Value != nil || string(log[1].Key) != "k2" || log[2].Value == nil || log[2].Key != nil {
			t.Errorf("%s", dump(log...))
		}
		set := "--b\r\nKafka-Topic: " + other + "\r\n\r\none\r\n--b\r\nKafka-Topic: " + topic + "\r\n\r\ntwo\r\n--b--\r\n"
		if r := p.Do("POST", "/messages", set, "Content-Type", "multipart/mixed; boundary=b"); r.Status != 200 || messageOutcomes(t, r)[0].Topic != other {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	})
}

// Records of this API and of v2 are the same records.
func TestMessagesAndV2AreTheSameRecords(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		putMessage(t, p, "PUT", "/messages/"+topic, `{"a":1}`, "Kafka-Key", `"k"`)
		p.Produce(topic, harness.JSON, `{"records":[{"key":"k","value":{"a":1}}]}`)
		got := p.ReadN(p.Reader("json", topic), harness.JSON, "", 2)
		if len(got) != 2 || fmt.Sprint(got[0].Value) != fmt.Sprint(got[1].Value) || got[0].Key != got[1].Key {
			t.Errorf("%+v", got)
		}
		log := harness.ReadLog(t, b, topic)
		if !bytes.Equal(log[0].Value, log[1].Value) || !bytes.Equal(log[0].Key, log[1].Key) {
			t.Errorf("%s", dump(log...))
		}
	})
}

// A request whose body does not come to its end stores nothing.
func TestMessagesHalfABodyStoresNothing(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	address := strings.TrimPrefix(p.URL, "http://")
	for _, request := range []string{
		"PUT /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
		"PUT /messages/%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n1234",
		"POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
		"POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: 100\r\n\r\n--b\r\n\r\nx\r\n--b\r\n",
		"POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 100\r\n\r\n{\"records\":[{\"value\":1}]}",
	} {
		hangUp(t, address, fmt.Sprintf(request, topic))
	}
	putMessage(t, p, "PUT", "/messages/"+topic, "whole")
	if log := harness.ReadLog(t, b, topic); len(log) != 1 || string(log[0].Value) != "whole" {
		t.Errorf("stored %s", dump(log...))
	}
}

// A topic may be created by its first message where the broker allows that, over real Kafka as in the show.
func TestMessagesFirstShow(t *testing.T) {
	testkafka.Require(t)
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		file := strings.Repeat("\x00\xff\n", 1000)
		got := putMessage(t, p, http.MethodPut, "/messages/"+topic, file)
		if r := recordAt(t, b, topic, got.Partition, *got.Offset); string(r.Value) != file {
			t.Errorf("%d bytes are stored", len(r.Value))
		}
	})
}

// hangUp sends what it is given and closes the connection.
func hangUp(t testing.TB, address, request string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c) // the proxy has noticed
	_ = c.Close()
}

// dump shows keys and values.
func dump(records ...*kgo.Record) string {
	var out strings.Builder
	for _, r := range records {
		fmt.Fprintf(&out, "%q=%q ", r.Key, r.Value)
	}
	return out.String()
}

// values shows values, a blank behind each.
func values(records []*kgo.Record) string {
	var out strings.Builder
	for _, r := range records {
		out.WriteString(string(r.Value) + " ")
	}
	return out.String()
}
