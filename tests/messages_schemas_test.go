package tests

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// schemaCase is what the tests of one schema format send: a first schema of values, a second one that is compatible, and one of keys.
type schemaCase struct {
	format, first, second, ofKeys string
	value, newer, bad, key        string
}

var schemaCases = []schemaCase{
	{
		"avro", user, `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"n","type":"int","default":0}]}`, `"int"`,
		`{"name":"a"}`, `{"name":"b","n":2}`, `{"name":1}`, `7`,
	},
	{
		"jsonschema", `{"type":"object","properties":{"name":{"type":"string"}},"additionalProperties":false}`,
		`{"type":"object","properties":{"name":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}`, `{"$schema":"http://json-schema.org/draft-07/schema#","type":"integer"}`,
		`{"name":"a"}`, `{"name":"b","n":2}`, `{"name":1}`, `7`,
	},
	{
		"protobuf", `syntax = "proto3"; message User { string name = 1; }`, `syntax = "proto3"; message User { string name = 1; int32 n = 2; }`,
		`syntax = "proto3"; message Key { int32 id = 1; }`, `{"name":"a"}`, `{"name":"b","n":2}`, `{"name":[1]}`, `{"id":7}`,
	},
}

// schemaOf is the id of the schema with which bytes were written.
func schemaOf(t *testing.T, data []byte) int {
	t.Helper()
	if len(data) < 5 || data[0] != 0 {
		t.Fatalf("%q is not in the registry's wire format", data)
	}
	return int(binary.BigEndian.Uint32(data[1:]))
}

// lastOf is the newest record of a topic.
func lastOf(t *testing.T, b broker, topic string) *kgo.Record {
	t.Helper()
	log := harness.ReadLog(t, b, topic)
	if len(log) == 0 {
		t.Fatal("nothing is stored")
	}
	return log[len(log)-1]
}

// TestMessagesSchemas writes values and keys with schemas in every way that there is of saying which, and reads them through both APIs.
func TestMessagesSchemas(t *testing.T) {
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		for _, c := range schemaCases {
			t.Run(c.format, func(t *testing.T) {
				p.T = t
				topic := harness.CreateTopic(t, b, 1)
				keyID, ids := c.register(t, b, p, topic)
				c.choose(t, b, p, topic, ids)
				c.keys(t, b, p, topic, keyID)
				c.readBack(t, b, p, topic)
				c.misfits(t, b, p, topic)
			})
		}
	})
}

// register stores a message with each schema, given as text in a set; the newest is what a message without a word gets.
func (c *schemaCase) register(t *testing.T, b broker, p *proxy, topic string) (keyID int, ids [2]int) {
	t.Helper()
	for i, s := range []struct{ schema, value string }{{c.first, c.value}, {c.second, c.newer}} {
		members := map[string]any{"value_schema": s.schema, "key_schema": c.ofKeys}
		putMessage(t, p, "POST", "/messages/"+topic, payload(members, `{"key":`+c.key+`,"value":`+s.value+`}`), "Content-Type", mediaOf(c.format))
		r := lastOf(t, b, topic)
		keyID, ids[i] = schemaOf(t, r.Key), schemaOf(t, r.Value)
	}
	newest := lastOf(t, b, topic)
	putMessage(t, p, "POST", "/messages/"+topic+"?value_format="+c.format, c.newer)
	if r := lastOf(t, b, topic); string(r.Value) != string(newest.Value) || r.Key != nil {
		t.Errorf("without a word: stored %s, want the value %q", dump(r), newest.Value)
	}
	if ids[0] == ids[1] {
		t.Error("both schemas have the same id")
	}
	return keyID, ids
}

// choose names the schema by id, by version and by subject.
func (c *schemaCase) choose(t *testing.T, b broker, p *proxy, topic string, ids [2]int) {
	t.Helper()
	other := harness.CreateTopic(t, b, 1)
	subject := "value_subject=" + topic + "-value"
	for _, choice := range []struct {
		topic, query string
		newer        bool
	}{
		{topic, "value_schema_version=1", false},
		{topic, "value_schema_version=2", true},
		{topic, "value_schema_version=latest", true},
		{other, fmt.Sprintf("value_schema_id=%d", ids[0]), false},
		{other, fmt.Sprintf("value_schema_id=%d", ids[1]), true},
		{other, subject, true},
		{other, subject + "&value_schema_version=1", false},
	} {
		value, id := c.value, ids[0]
		if choice.newer {
			value, id = c.newer, ids[1]
		}
		for _, way := range []struct{ kind, body string }{
			{"text/plain", value},
			{ndjson, value + "\n"},
			{"multipart/mixed; boundary=b", "--b\r\n\r\n" + value + "\r\n--b--\r\n"},
			{mediaOf(c.format), payload(nil, `{"value":`+value+`}`)},
		} {
			r := p.Do("POST", "/messages/"+choice.topic+"?value_format="+c.format+"&"+choice.query, way.body, "Content-Type", way.kind)
			if r.Status != 200 {
				t.Errorf("%s, %s: %d %s", choice.query, way.kind, r.Status, r.Body)
			} else if got := schemaOf(t, lastOf(t, b, choice.topic).Value); got != id {
				t.Errorf("%s, %s: written with the schema %d, want %d", choice.query, way.kind, got, id)
			}
		}
	}
}

// keys gives keys a schema and values none, and the other way about; a tombstone needs neither.
func (c *schemaCase) keys(t *testing.T, b broker, p *proxy, topic string, id int) {
	t.Helper()
	key := url.QueryEscape(c.key)
	for _, query := range []string{"", fmt.Sprintf("&key_schema_id=%d", id), "&key_schema_version=1", "&key_subject=" + topic + "-key"} {
		putMessage(t, p, "PUT", "/messages/"+topic+"?key_format="+c.format+"&key="+key+query, "plain")
		if r := lastOf(t, b, topic); schemaOf(t, r.Key) != id || string(r.Value) != "plain" {
			t.Errorf("%s: stored %s", query, dump(r))
		}
	}
	putMessage(t, p, "PUT", "/messages/"+topic+"?key=k&value_format="+c.format, c.newer)
	if r := lastOf(t, b, topic); string(r.Key) != "k" || r.Value[0] != 0 {
		t.Errorf("stored %s", dump(r))
	}
	putMessage(t, p, "PUT", "/messages/"+topic+"?tombstone=true&value_format="+c.format+"&key_format="+c.format+"&key="+key, "")
	if r := lastOf(t, b, topic); schemaOf(t, r.Key) != id || r.Value != nil {
		t.Errorf("a tombstone is stored as %s", dump(r))
	}
}

// readBack reads a topic of both APIs' records through both.
func (c *schemaCase) readBack(t *testing.T, b broker, p *proxy, from string) {
	t.Helper()
	topic := harness.CreateTopic(t, b, 1)
	members := map[string]any{"value_schema": c.first, "key_schema": c.ofKeys}
	record := `{"key":` + c.key + `,"value":` + c.value + `}`
	p.Produce(topic, mediaOf(c.format), payload(members, record))
	putMessage(t, p, "POST", "/messages/"+topic, payload(members, record), "Content-Type", mediaOf(c.format))
	putMessage(t, p, "PUT", "/messages/"+topic+"?key_format="+c.format+"&key="+url.QueryEscape(c.key)+"&value_format="+c.format, c.value)
	log := harness.ReadLog(t, b, topic)
	for _, r := range log {
		if string(r.Key) != string(log[0].Key) || string(r.Value) != string(log[0].Value) {
			t.Errorf("the same record is stored in several ways: %s", dump(log...))
		}
	}
	want := c.key + " " + c.value
	wantRead(t, p, p.Reader(c.format, topic), mediaOf(c.format), want, want, want)
	m := p.messages(topic)
	for _, path := range []string{"/-/earliest?wait=5&limit=3", "/" + harness.FreshName("g") + "?wait=10&limit=3&ack_timeout=600"} {
		for _, got := range m.receiveN(path+"&key_format="+c.format+"&value_format="+c.format, 3)[:3] {
			if string(got.Key)+" "+string(got.Value) != want || got.Error != nil || got.Encoding["key"] != c.format || got.Encoding["value"] != c.format {
				t.Errorf("%s: %s %s %v %v", path, got.Key, got.Value, got.Encoding, got.Error)
			}
		}
	}
	for i, got := range m.get("/-/earliest?wait=5").Messages { // auto knows of no schemas, and gives the bytes
		var text string
		_ = json.Unmarshal(got.Value, &text)
		data := []byte(text)
		if got.Encoding["value"] == "base64" {
			data, _ = base64.StdEncoding.DecodeString(text)
		}
		if string(data) != string(log[i].Value) || got.Error != nil {
			t.Errorf("auto: %s %v, stored %q", got.Value, got.Encoding, log[i].Value)
		}
	}
	for _, got := range p.messages(from).get("/-/earliest?wait=5&limit=1000&value_format=" + c.format).Messages { // each by its own schema
		if v := string(got.Value); v != c.value && v != c.newer && v != `{"name":"a","n":0}` && v != "null" && (got.Error == nil || got.Error.Code != 42209) {
			t.Errorf("offset %d: %s %v", got.Offset, v, got.Error)
		}
	}
}

// misfits are refused alone, and stored by no means.
func (c *schemaCase) misfits(t *testing.T, b broker, p *proxy, topic string) {
	t.Helper()
	before := len(harness.ReadLog(t, b, topic))
	empty := harness.CreateTopic(t, b, 1)
	in := "?value_format=" + c.format
	for _, test := range []struct {
		path, body, kind string
		status, stored   int
		codes            []int // of the outcomes; 0 is stored; nil for what is refused before anything is encoded
	}{
		{topic + in, c.bad, "text/plain", 400, 0, []int{400}},
		{topic + in, c.bad + "\n" + c.newer + "\n", ndjson, 207, 1, []int{400, 0}},
		{topic, payload(map[string]any{"value_schema": c.first}, `{"value":`+c.value+`}`, `{"value":`+c.bad+`}`), mediaOf(c.format), 207, 1, []int{0, 400}},
		{topic + in, "no json", "text/plain", 400, 0, []int{400}},
		{empty + in, c.value, "text/plain", 422, 0, []int{42207}},
		{topic + in + "&value_schema_id=999999", c.value, "text/plain", 422, 0, []int{42207}},
		{topic + in + "&value_schema_version=99", c.value, "text/plain", 422, 0, []int{42207}},
		{topic + in + "&value_subject=nobody-has-it", c.value, "text/plain", 422, 0, []int{42207}},
		{topic + in + "&value_schema_version=x", c.value, "text/plain", 422, 0, nil},
		{topic + "?key_format=" + c.format + "&key=" + url.QueryEscape(`["no"]`), "x", "text/plain", 400, 0, []int{400}},
		{topic, payload(map[string]any{"value_schema": "{{"}, `{"value":`+c.value+`}`), mediaOf(c.format), 422, 0, []int{42205}},
	} {
		r := p.Do("POST", "/messages/"+test.path, test.body, "Content-Type", test.kind)
		var codes []int
		body := r.Body
		if test.kind == ndjson {
			lines := strings.Split(strings.TrimSpace(body), "\n")
			body = `{"offsets":[` + strings.Join(lines[:len(lines)-1], ",") + `]}`
		}
		for _, o := range messageOutcomes(t, harness.Reply{Body: body}) {
			code := 0
			if o.Error != nil {
				code = o.Error.Code
			}
			codes = append(codes, code)
		}
		if before += test.stored; r.Status != test.status || fmt.Sprint(codes) != fmt.Sprint(test.codes) {
			t.Errorf("%s %.60s: %d %s", test.path, test.body, r.Status, r.Body)
		}
	}
	if after := len(harness.ReadLog(t, b, topic)); after != before || len(harness.ReadLog(t, b, empty)) > 0 {
		t.Errorf("%d messages are stored, want %d", after, before)
	}
}

// TestMessagesBrokenRegistry: what is known goes on, what is not has its error, and what needs no schema never notices.
func TestMessagesBrokenRegistry(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	registry := newFaultyRegistry(t, b)
	p := startProxy(t, b, map[string]string{"schema.registry.url": registry.server.URL})
	topic, strange := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
	members := map[string]any{"value_schema": user}
	putMessage(t, p, "POST", "/messages/"+topic, payload(members, `{"value":{"name":"a"}}`), "Content-Type", avroType)
	id := schemaOf(t, lastOf(t, b, topic).Value)
	harness.Store(t, b, &kgo.Record{Topic: strange, Value: []byte{0, 0x3f, 0, 0, 9, 2, 'x'}}, &kgo.Record{Topic: strange, Value: harness.ReadLog(t, b, topic)[0].Value})
	registry.fault.Store(new(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusBadGateway) })))

	known := fmt.Sprintf("/messages/%s?value_format=avro&value_schema_id=%d", topic, id)
	putMessage(t, p, "PUT", known, `{"name":"b"}`)
	putMessage(t, p, "PUT", "/messages/"+topic, "plain")
	for _, query := range []string{"&value_subject=new", "&value_schema_id=77", "&value_schema_version=9"} {
		r := p.Do("PUT", "/messages/"+topic+"?value_format=avro"+query, `{"name":"c"}`)
		if r.Status != 422 || r.Code() != 42207 {
			t.Errorf("%s: %d %s", query, r.Status, r.Body)
		}
	}
	if got := len(harness.ReadLog(t, b, topic)); got != 3 {
		t.Errorf("%d messages are stored, want 3", got)
	}
	list := p.messages(strange).get("/-/earliest?wait=5&value_format=avro").Messages
	if len(list) != 2 || list[0].Error == nil || list[0].Error.Code != 42209 || list[0].Encoding["value"] != "base64" || string(list[1].Value) != `{"name":"a"}` {
		t.Errorf("read %+v", list)
	}
}
