package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// orNil gives what is stored as one text, with <nil> for a null.
func orNil(data []byte) string {
	if data == nil {
		return "<nil>"
	}
	return string(data)
}

// onlyRecord is the one record of a topic.
func onlyRecord(t testing.TB, b broker, topic string) *kgo.Record {
	t.Helper()
	log := harness.ReadLog(t, b, topic)
	if len(log) != 1 {
		t.Fatalf("%s holds %s", topic, dump(log...))
	}
	return log[0]
}

// A JSON null is Kafka's null wherever the text is JSON.
func TestMessagesNullIsATombstone(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	part := func(headers string) string { return "--b\r\n" + headers + "\r\nnull\r\n--b--\r\n" }
	const parts = "multipart/mixed; boundary=b"
	for _, test := range []struct{ query, contentType, body, key, value string }{
		{"?value_format=json", "", " null\n", "<nil>", "<nil>"},
		{"?value_format=binary", "", "null", "<nil>", "<nil>"},
		{"?value_format=text", "", "null", "<nil>", "null"},
		{"?value_format=raw", "", "null", "<nil>", "null"},
		{"?value_format=json", parts, part(""), "<nil>", "<nil>"},
		{"?value_format=binary", ndjson, "null", "<nil>", "<nil>"},
		{"", ndjson, "null", "<nil>", "null"},
		{"?key_format=json&key=null", "", "x", "<nil>", "x"},
		{"?key_format=text&key=null", "", "x", "null", "x"},
		{"?key=null", "", "x", "null", "x"},
		{"?key_format=json", parts, part("Kafka-Key:  null\r\n"), "<nil>", "null"},
	} {
		topic := harness.CreateTopic(t, b, 1)
		var headers []string
		if test.contentType != "" {
			headers = []string{"Content-Type", test.contentType}
		}
		r := p.Do("POST", "/messages/"+topic+test.query, test.body, headers...)
		if got := onlyRecord(t, b, topic); r.Status != 200 || orNil(got.Key) != test.key || orNil(got.Value) != test.value {
			t.Errorf("%s %q: %d %s, stored %s=%s", test.query, test.body, r.Status, r.Body, orNil(got.Key), orNil(got.Value))
		}
	}
}

// What a part, or a record of a set, says itself wins over what the request says for all.
func TestMessagesOwnFieldsWin(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	const parts, base64Key = "multipart/mixed; boundary=b", "Kafka-Key-Base64"
	for _, test := range []struct {
		name, contentType, body string
		headers                 []string
		key, recordHeaders      string
	}{
		{"key of a part", parts, "--b\r\nKafka-Key: own\r\n\r\nx\r\n--b--\r\n", []string{base64Key, "AAA="}, `"own"`, ""},
		{"key of the request", parts, "--b\r\n\r\nx\r\n--b--\r\n", []string{"Kafka-Key", "all"}, `"all"`, ""},
		{"headers of a part", parts, "--b\r\nKafka-Header-X: own\r\n\r\nx\r\n--b--\r\n", []string{"Kafka-Header-X", "all", "Kafka-Header-Y", "y"}, "<nil>", "x=own y=y"},
		{"headers of a record", harness.JSON, `{"records":[{"value":1,"headers":[{"key":"x","value":"MQ=="},{"key":"x","value":"Mg=="}]}]}`,
			[]string{"Kafka-Header-X", "all", "Kafka-Header-Y", "y"}, "<nil>", "x=1 x=2 y=y"},
	} {
		topic := harness.CreateTopic(t, b, 1)
		r := p.Do("POST", "/messages/"+topic+"?key_format=json", test.body, append(test.headers, "Content-Type", test.contentType)...)
		if r.Status != 200 {
			t.Errorf("%s: %d %s", test.name, r.Status, r.Body)
			continue
		}
		if got := onlyRecord(t, b, topic); orNil(got.Key) != test.key || headersOf(got) != test.recordHeaders {
			t.Errorf("%s: %s, %s", test.name, orNil(got.Key), headersOf(got))
		}
	}
	all, own := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
	for contentType, body := range map[string]string{
		parts:        "--b\r\nKafka-Topic: " + own + "\r\n\r\nx\r\n--b\r\n\r\nx\r\n--b--\r\n",
		harness.JSON: `{"records":[{"topic":"` + own + `","value":1},{"value":1}]}`,
	} {
		r := p.Do("POST", "/messages", body, "Content-Type", contentType, "Kafka-Topic", all)
		if list := messageOutcomes(t, r); r.Status != 200 || list[0].Topic != own || list[1].Topic != all {
			t.Errorf("%s: %d %s", contentType, r.Status, r.Body)
		}
		r = p.Do("POST", "/messages/"+all, body, "Content-Type", contentType)
		if r.Status != 422 {
			t.Errorf("%s: another topic than the path's: %d %s", contentType, r.Status, r.Body)
		}
	}
}

// What is wrong with a part, or with one message, is that message's outcome: the others are stored.
func TestMessagesOneBadPart(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	const parts, tasks = "multipart/mixed; boundary=b", "_kafka_rest_tasks"
	topic := harness.CreateTopic(t, b, 1)
	part := func(headers, body string) string { return "--b\r\n" + headers + "\r\n" + body + "\r\n" }
	for _, test := range []struct {
		path, contentType, body string
		status                  int
		codes                   []int
	}{
		{"/" + topic + "?value_format=json", parts, part("", "{") + part("", "1") + "--b--\r\n", 207, []int{400, 0}},
		{"/" + topic + "?key_format=avro", parts, part("Kafka-Key-Base64: AA==\r\n", "1") + part("", "1") + "--b--\r\n", 207, []int{422, 0}},
		{"/" + topic, parts, part("Kafka-Tombstone: true\r\n", "x") + part("", "1") + "--b--\r\n", 207, []int{422, 0}},
		{"", parts, part("Kafka-Topic: "+tasks+"\r\n", "x") + part("Kafka-Topic: "+topic+"\r\n", "1") + "--b--\r\n", 207, []int{40301, 0}},
		{"", harness.JSON, `{"records":[{"topic":"` + tasks + `","value":1},{"topic":"` + topic + `","value":1}]}`, 207, []int{40301, 0}},
		{"/" + tasks, "", "x", 403, []int{40301}},
		{"/" + tasks, harness.JSON, `{"records":[{"value":1}]}`, 403, []int{40301}},
		{"/" + topic + "?value_format=json", "", "{", 400, []int{400}},
	} {
		r := p.Do("POST", "/messages"+test.path, test.body, "Content-Type", test.contentType)
		list, failed := messageOutcomes(t, r), 0
		for i, want := range test.codes {
			if i >= len(list) || (list[i].Error == nil) != (want == 0) || want != 0 && list[i].Error.Code != want {
				t.Errorf("%s: %s", test.path, r.Body)
				break
			}
			if want != 0 {
				failed++
			}
		}
		if r.Status != test.status || r.Header.Get("Kafka-Failed-Records") != strconv.Itoa(failed) {
			t.Errorf("%s: %d %s", test.path, r.Status, r.Header)
		}
	}
}

// request.max.depth holds for the lines of NDJSON as it does for every other value.
func TestMessagesDepthOfLines(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.max.depth": "3"})
	topic := harness.CreateTopic(t, b, 1)
	for _, accept := range []string{ndjson, "application/json"} {
		r := p.Do("POST", "/messages/"+topic, "[[[1]]]\n[[[[1]]]]\n{\"a\":{\"b\":{\"c\":\"[[[[\"}}}\n", "Content-Type", ndjson, "Accept", accept)
		if r.Status != 207 || r.Header.Get("Kafka-Failed-Records") != "1" || !strings.Contains(r.Body, "request.max.depth") {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if got := values(harness.ReadLog(t, b, topic)); got != strings.Repeat(`[[[1]]] {"a":{"b":{"c":"[[[["}}} `, 2) {
		t.Errorf("stored %s", got)
	}
}

// What reaches no endpoint, or is of a type that none takes, is told as every other error is.
func TestMessagesErrorsWithoutEndpoint(t *testing.T) {
	p := startProxy(t, harness.EmbeddedBroker(t), nil)
	for _, test := range []struct {
		method, path, name string
		status             int
		headers            []string
	}{
		{"GET", "/messages/a/b/c/d/e", "not_found", 404, nil},
		{"PATCH", "/messages/a", "method_not_allowed", 405, nil},
		{"GET", "/tasks//x", "bad_request", 400, nil},
		{"POST", "/messages", "unsupported_media_type", 415, []string{"Content-Type", "text/plain"}},
		{"POST", "/messages/a", "unsupported_media_type", 415, []string{"Content-Encoding", "br"}},
		{"POST", "/messages/%ff", "INVALID_TOPIC_EXCEPTION", 400, nil},
	} {
		r := p.Do(test.method, test.path, "x", append(test.headers, "Accept", "application/problem+json")...)
		var body struct {
			Name      string `json:"name"`
			Status    int    `json:"status"`
			RequestID string `json:"request_id"`
			Retriable *bool  `json:"retriable"`
		}
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil || r.Status != test.status || body.Status != test.status || body.Name != test.name || body.RequestID == "" ||
			body.Retriable == nil || *body.Retriable || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s %v", test.method, test.path, r.Status, r.Body, err)
		}
	}
}

// A client that sends all of its parts before it reads gets to know what is wrong with the first.
func TestMessagesPartsAreReadToTheirEnd(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.max.bytes": "20000000"})
	topic := harness.CreateTopic(t, b, 1)
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	body := "--b\r\nKafka-Keyy: k\r\n\r\n1\r\n--b\r\n\r\n" + strings.Repeat("x", 15_000_000) + "\r\n--b--\r\n"
	if _, err := fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: %d\r\n\r\n%s", topic, len(body), body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 422 {
		t.Fatalf("%+v %v", resp, err)
	}
	_ = resp.Body.Close()
}
