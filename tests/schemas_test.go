package tests

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	avroType = "application/vnd.kafka.avro.v2+json"
	user     = `{"type": "record", "name": "User", "fields": [{"name": "name", "type": "string"}]}`
)

// eachRegistry runs a test body on each broker, with a proxy that has a Schema Registry beside it.
func eachRegistry(t *testing.T, settings map[string]string, body func(t *testing.T, b broker, p *proxy)) {
	t.Helper()
	eachBroker(t, func(t *testing.T, b broker) {
		body(t, b, startProxy(t, b, with(harness.RegistrySettings(t, b), settings)))
	})
}

// payload is a produce body. It is a map of its members, since they are many and mostly absent.
func payload(members map[string]any, records ...string) string {
	all := map[string]any{"records": json.RawMessage("[" + strings.Join(records, ",") + "]")}
	maps.Copy(all, members)
	text, _ := json.Marshal(all)
	return string(text)
}

// schemaIDs are those of a produce reply, 0 for null.
func schemaIDs(t *testing.T, r harness.Reply) (key, value int) {
	t.Helper()
	var ids struct {
		Key   int `json:"key_schema_id"`
		Value int `json:"value_schema_id"`
	}
	if err := json.Unmarshal([]byte(r.Body), &ids); err != nil {
		t.Fatal(err)
	}
	return ids.Key, ids.Value
}

// wantRead reads what an instance has and holds keys and values to their text.
func wantRead(t *testing.T, p *proxy, instance, accept string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range readRaw(p, instance, accept, len(want)) {
		got = append(got, string(r.Key)+" "+string(r.Value))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAvroExamples sends the Avro requests that Confluent's README shows, byte for byte.
func TestAvroExamples(t *testing.T) {
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		first, second := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
		r := p.Do("POST", "/topics/"+first, `{"value_schema": "{\"type\": \"record\", \"name\": \"User\", \"fields\": [{\"name\": \"name\", \"type\": \"string\"}]}", `+
			`"records": [{"value": {"name": "testUser"}}]}`, "Content-Type", avroType)
		key, id := schemaIDs(t, r)
		if want := fmt.Sprintf(`{"offsets":[{"partition":0,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":%d}`, id); r.Body != want || id == 0 || key != 0 {
			t.Errorf("value: %d %s, want %s", r.Status, r.Body, want)
		}
		r = p.Do("POST", "/topics/"+second, `{"key_schema": "{\"name\":\"user_id\"  ,\"type\": \"int\"   }", `+
			`"value_schema": "{\"type\": \"record\", \"name\": \"User\", \"fields\": [{\"name\": \"name\", \"type\": \"string\"}]}", `+
			`"records": [{"key" : 1 , "value": {"name": "testUser"}}]}`, "Content-Type", avroType, "Accept", harness.V2)
		if key, value := schemaIDs(t, r); r.Status != 200 || key == 0 || value != id {
			t.Errorf("key and value: %d %s", r.Status, r.Body)
		}
		group := harness.FreshName("my_avro_consumer")
		instance := "/consumers/" + group + "/instances/my_consumer_instance"
		r = p.Want(200, "POST", "/consumers/"+group, `{"name": "my_consumer_instance", "format": "avro", "auto.offset.reset": "earliest"}`)
		if want := `{"instance_id":"my_consumer_instance","base_uri":"` + p.URL + instance + `"}`; r.Body != want {
			t.Errorf("create: %s, want %s", r.Body, want)
		}
		p.Want(204, "POST", instance+"/subscription", `{"topics":["`+first+`","`+second+`"]}`)
		records := map[string]bool{}
		for _, r := range readRaw(p, instance, avroType, 2) {
			records[r.Topic+string(r.Key)+string(r.Value)] = true
		}
		if !records[first+`null{"name":"testUser"}`] || !records[second+`1{"name":"testUser"}`] {
			t.Errorf("read %v", records)
		}
		p.Want(204, "DELETE", instance, "")
	})
}

// TestSchemaID: an id of a schema that another subject holds will do, and costs no look-up of the subject.
func TestSchemaID(t *testing.T) {
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		first, second := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
		_, id := schemaIDs(t, p.Produce(first, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"a"}}`)))
		r := p.Produce(second, avroType, payload(map[string]any{"value_schema_id": id, "key_schema_id": id}, `{"key":{"name":"k"},"value":{"name":"b"}}`))
		if key, value := schemaIDs(t, r); key != id || value != id {
			t.Errorf("ids %d and %d, want %d", key, value, id)
		}
		wantRead(t, p, p.Reader("avro", second), avroType, `{"name":"k"} {"name":"b"}`)
	})
}

// TestReferencesInline: a schema that is given as text may refer to others in the registry, in each format.
func TestReferencesInline(t *testing.T) {
	for _, tt := range []struct{ format, part, partValue, whole, name, value string }{
		{"avro", user, `{"name":"a"}`, `{"type":"record","name":"Order","fields":[{"name":"by","type":"User"}]}`, "User", `{"by":{"name":"a"}}`},
		{
			"protobuf", `syntax = "proto3"; package a; message Part { string f = 1; }`, `{"f":"x"}`,
			`syntax = "proto3"; import "part.proto"; message Whole { a.Part p = 1; }`, "part.proto", `{"p":{"f":"x"}}`,
		},
		{
			"jsonschema", `{"type":"object","properties":{"f":{"type":"integer"}}}`, `{"f":1}`,
			`{"type":"object","properties":{"p":{"$ref":"part.json"}}}`, "part.json", `{"p":{"f":1}}`,
		},
	} {
		t.Run(tt.format, func(t *testing.T) {
			eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
				part, whole := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
				p.Produce(part, mediaOf(tt.format), payload(map[string]any{"value_schema": tt.part}, `{"value":`+tt.partValue+`}`))
				p.Produce(whole, mediaOf(tt.format), payload(map[string]any{
					"value_schema":            tt.whole,
					"value_schema_references": []any{map[string]any{"name": tt.name, "subject": part + "-value", "version": 1}},
				}, `{"value":`+tt.value+`}`))
				wantRead(t, p, p.Reader("avro", whole), mediaOf(tt.format), `null `+tt.value)
			})
		})
	}
}

// TestNewestSchema: with the option, a request without a schema is written with the subject's newest.
func TestNewestSchema(t *testing.T) {
	eachRegistry(t, map[string]string{"api.v2.schema.latest": "true"}, func(t *testing.T, b broker, p *proxy) {
		topic := harness.CreateTopic(t, b, 1)
		if r := p.Do("POST", "/topics/"+topic, payload(nil, `{"value":{"name":"a"}}`), "Content-Type", avroType); r.Code() != 42207 {
			t.Errorf("a subject that has none: %d %s", r.Status, r.Body)
		}
		other := harness.CreateTopic(t, b, 1)
		_, id := schemaIDs(t, p.Produce(other, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"a"}}`)))
		r := p.Produce(other, avroType, payload(nil, `{"value":{"name":"b"}}`, `{"key":null,"value":null}`))
		if key, value := schemaIDs(t, r); key != 0 || value != id {
			t.Errorf("ids %d and %d, want 0 and %d", key, value, id)
		}
		wantRead(t, p, p.Reader("avro", other), avroType, `null {"name":"a"}`, `null {"name":"b"}`, `null null`)
	})
}

// TestMixedSides: each side of a record has a format of its own, and a consumer of a schema format finds out that of each record.
func TestMixedSides(t *testing.T) {
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		topic := harness.CreateTopic(t, b, 1)
		send := func(body string, headers ...string) harness.Reply {
			return p.Do("POST", "/topics/"+topic, body, append([]string{"Content-Type", avroType}, headers...)...)
		}
		if r := send(payload(map[string]any{"value_schema": user}, `{"key":"k","value":{"name":"a"}}`), "Kafka-Key-Format", "text"); r.Status != 200 {
			t.Fatalf("text key: %d %s", r.Status, r.Body)
		}
		if r := send(payload(map[string]any{"key_schema": `"long"`}, `{"key":7,"value":[1,{"a":null}]}`), "Kafka-Value-Format", "json"); r.Status != 200 {
			t.Fatalf("json value: %d %s", r.Status, r.Body)
		}
		if r := send(payload(nil, `{"key":"k","value":"v"}`), "Kafka-Key-Format", "rot13"); r.Status != 422 || !strings.Contains(r.Body, "Kafka-Key-Format") {
			t.Errorf("a format that is none: %d %s", r.Status, r.Body)
		}
		log := harness.ReadLog(t, b, topic)
		if string(log[0].Key) != "k" || log[0].Value[0] != 0 || string(log[1].Value) != `[1,{"a":null}]` || log[1].Key[0] != 0 {
			t.Errorf("stored %q %q, %q %q", log[0].Key, log[0].Value, log[1].Key, log[1].Value)
		}
		reader := func(key, value string) string {
			i := p.Instance(harness.FreshName("g"), fmt.Sprintf(`{"key.format":%q,"value.format":%q,"auto.offset.reset":"earliest","on_decode_error":"report"}`, key, value))
			p.Subscribe(i, topic)
			return i
		}
		if got := readRaw(p, reader("text", "avro"), avroType, 2)[0]; string(got.Key) != `"k"` || string(got.Value) != `{"name":"a"}` {
			t.Errorf("text and avro: %s %s", got.Key, got.Value)
		}
		if got := readRaw(p, reader("protobuf", "json"), harness.JSON, 2)[1]; string(got.Key) != `7` || string(got.Value) != `[1,{"a":null}]` {
			t.Errorf("a schema format and json: %s %s", got.Key, got.Value)
		}
	})
}

// TestPlainJSON: the readable form of Avro both ways, and longs as strings.
func TestPlainJSON(t *testing.T) {
	const schema = `{"type":"record","name":"P","fields":[
		{"name":"u","type":["null","string"],"default":null},{"name":"id","type":"long"},
		{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		topic := harness.CreateTopic(t, b, 1)
		r := p.Do("POST", "/topics/"+topic+"?json_encoding=plain&int64=string",
			payload(map[string]any{"value_schema": schema}, `{"value":{"id":"9007199254740993","price":"12.50","at":"2023-11-14T22:13:20Z"}}`,
				`{"value":{"u":"x","id":"1","price":"-0.01","at":"2023-11-14T22:13:20.5Z"}}`), "Content-Type", avroType)
		if r.Status != 200 || len(r.Outcomes()) != 2 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		wantRead(t, p, p.Reader("avro", topic), avroType,
			`null {"u":null,"id":9007199254740993,"price":"\u0004â","at":1700000000000}`, `null {"u":{"string":"x"},"id":1,"price":"ÿ","at":1700000000500}`)
		plain := p.Instance(harness.FreshName("g"), `{"format":"avro","json_encoding":"plain","int64":"string","auto.offset.reset":"earliest"}`)
		p.Subscribe(plain, topic)
		want := []string{
			`null {"u":null,"id":"9007199254740993","price":"12.50","at":"2023-11-14T22:13:20.000Z"}`,
			`null {"u":"x","id":"1","price":"-0.01","at":"2023-11-14T22:13:20.500Z"}`,
		}
		wantRead(t, p, plain, avroType, want...)
		again := p.Reader("avro", topic)
		for _, r := range p.ReadSome(again, avroType, "?json_encoding=plain&int64=string") {
			if v, _ := json.Marshal(r.Value); !strings.Contains(string(v), `"at":"2023-`) || !strings.Contains(string(v), `"id":"`) {
				t.Errorf("asked on the read: %s", v)
			}
		}
		for _, query := range []string{"json_encoding=pretty", "int64=hex"} {
			if r := p.Do("POST", "/topics/"+topic+"?"+query, payload(nil, `{"value":null}`), "Content-Type", avroType); r.Status != 422 {
				t.Errorf("%s: %d %s", query, r.Status, r.Body)
			}
		}
	})
}

// TestUndecodable: what is not in the registry's wire format, or has an id that no registry knows, stops nothing.
func TestUndecodable(t *testing.T) {
	eachRegistry(t, nil, func(t *testing.T, b broker, p *proxy) {
		topic := harness.CreateTopic(t, b, 1)
		p.Produce(topic, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"a"}}`))
		known := harness.ReadLog(t, b, topic)[0].Value
		bad := map[string][]byte{"no magic byte": []byte("plain text"), "unknown id": {0, 0x3f, 0, 0, 9, 2, 'x'}, "cut short": known[:6], "empty": {}}
		var reasons []string
		for reason, value := range bad {
			reasons = append(reasons, reason)
			harness.Store(t, b, &kgo.Record{Topic: topic, Value: value})
		}
		p.Produce(topic, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"b"}}`))

		strict := p.Reader("avro", topic)
		if got := p.ReadSome(strict, avroType, ""); len(got) != 1 {
			t.Errorf("before the bad one: %+v", got)
		}
		if r := p.Read(strict, avroType, ""); r.Code() != 42209 || !strings.Contains(r.Body, topic) || !strings.Contains(r.Body, "offset 1") {
			t.Errorf("the bad one: %d %s", r.Status, r.Body)
		}
		reported := p.ReadN(p.Reader("avro", topic), avroType, "?on_decode_error=report", 6)
		for i, r := range reported {
			if isBad := i > 0 && i < 5; isBad != (r.Error != "" && r.RawValue != nil && r.Value == nil) || r.Offset != int64(i) {
				t.Errorf("record %d (%v): %+v", i, reasons, r)
			}
		}
		if skipped := p.ReadN(p.Reader("avro", topic), avroType, "?on_decode_error=skip", 2); skipped[1].Offset != 5 {
			t.Errorf("skipped to %+v", skipped)
		}
	})
}
