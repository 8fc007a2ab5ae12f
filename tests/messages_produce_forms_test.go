package tests

import (
	"testing"

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
