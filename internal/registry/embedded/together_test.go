package embedded_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/registry"
	"kafkarest/internal/registry/embedded"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// rooms are the formats over the client over the embedded registry over a broker: what a program has.
type rooms struct {
	url    string
	server *httptest.Server
	client *registry.Client
}

func newRooms(t *testing.T) *rooms {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	r, err := embedded.New(embedded.Config{
		Kafka:     []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)},
		Canonical: format.Canonical,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	out := &rooms{server: httptest.NewServer(r.Handler())}
	t.Cleanup(out.server.Close)
	out.url = out.server.URL
	out.client = out.newClient(t, nil)
	return out
}

func (r *rooms) newClient(t *testing.T, change func(*registry.Config)) *registry.Client {
	t.Helper()
	c := registry.Default()
	c.URLs = []string{r.url}
	if change != nil {
		change(&c)
	}
	client, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (r *rooms) formats() format.Table { return format.SchemaFormats(r.client, format.Options{}) }

func encode(t *testing.T, f format.Format, s format.Schema, v string) ([]byte, int) {
	t.Helper()
	e, err := f.NewEncoder(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.Encode(jsontext.Value(v))
	if err != nil {
		t.Fatal(err)
	}
	return data, e.SchemaID()
}

// TestAllFormats writes with one process and reads with another, and again when the registry is gone.
func TestAllFormats(t *testing.T) {
	r := newRooms(t)
	writer := r.formats()
	reader := format.SchemaFormats(r.newClient(t, nil), format.Options{})
	records := map[string][]byte{}
	for _, tt := range []struct{ format, schema, value string }{
		{"avro", `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"n","type":["null","double"]}]}`, `{"name":"a","n":{"double":5.0}}`},
		{"jsonschema", `{"type":"object","properties":{"f":{"type":"integer"}}}`, `{"f":1}`},
		{"protobuf", `syntax = "proto3"; message M { string f = 1; }`, `{"f":"x"}`},
	} {
		s := format.Schema{Topic: tt.format, Side: format.Value, Text: tt.schema}
		data, id := encode(t, writer.Find(tt.format), s, tt.value)
		if again, sameID := encode(t, writer.Find(tt.format), format.Schema{Topic: tt.format, Side: format.Value, ID: id}, tt.value); sameID != id || string(again) != string(data) {
			t.Errorf("%s by id: %x, by text %x", tt.format, again, data)
		}
		records[tt.value] = data
	}
	for _, stage := range []string{"registry up", "registry gone"} {
		for want, data := range records {
			if got, err := reader[0].Decode(t.Context(), data); err != nil || string(got) != want {
				t.Errorf("%s: %s %v, want %s", stage, got, err, want)
			}
		}
		r.server.Close()
	}
	if _, err := reader[0].Decode(t.Context(), []byte{0, 0, 0, 0, 99, 0}); !errors.Is(err, format.ErrSchemaUnavailable) {
		t.Errorf("unknown schema, registry gone: %v", err)
	}
}

func TestErrorsThroughAllRooms(t *testing.T) {
	r := newRooms(t)
	f := r.formats().Find("avro")
	value := func(text string) format.Schema { return format.Schema{Topic: "t", Side: format.Value, Text: text} }
	encode(t, f, value(`{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`), `{"name":"a"}`)
	for _, tt := range []struct {
		schema  format.Schema
		code    kafkarest.Code
		message string
	}{
		{format.Schema{Side: format.Value, ID: 987654}, 42207,
			"Error serializing message. Error when fetching schema by id. schemaId = 987654\nSchema 987654 not found; error code: 40403"},
		{value(`"int"`), 42207, "Error serializing message. Error when registering schema. format = AVRO, subject = t-value, schema = \"int\"\n" +
			"Schema being registered is incompatible with an earlier schema for subject \"t-value\", details: [{the new schema cannot read data of the old: "},
		{format.Schema{Topic: "t", Side: format.Value, Version: 7}, 400, "Bad Request: Schema does not exist for subject: t-value, version: 7"},
	} {
		_, err := f.NewEncoder(t.Context(), tt.schema)
		var ke *kafkarest.Error
		if !errors.As(err, &ke) || ke.Code != tt.code || len(ke.Message) < len(tt.message) || ke.Message[:len(tt.message)] != tt.message {
			t.Errorf("%v, want %d %s", err, tt.code, tt.message)
		}
	}
	if _, err := f.Decode(t.Context(), []byte{0, 0, 0, 0, 99, 0}); err == nil || errors.Is(err, format.ErrSchemaUnavailable) {
		t.Errorf("an id that the registry does not know: %v", err)
	}
}

// TestInlineReferences registers a schema that refers to another, from the text in a request.
func TestInlineReferences(t *testing.T) {
	r := newRooms(t)
	f := r.formats().Find("avro")
	encode(t, f, format.Schema{Topic: "user", Side: format.Value, Text: `{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`}, `{"name":"a"}`)
	order := format.Schema{
		Topic: "order", Side: format.Value, Text: `{"type":"record","name":"Order","fields":[{"name":"by","type":"User"}]}`,
		References: []sr.SchemaReference{{Name: "User", Subject: "user-value", Version: 1}},
	}
	data, _ := encode(t, f, order, `{"by":{"name":"a"}}`)
	reader := format.SchemaFormats(r.newClient(t, nil), format.Options{})
	if got, err := reader[0].Decode(t.Context(), data); err != nil || string(got) != `{"by":{"name":"a"}}` {
		t.Errorf("%s %v", got, err)
	}
}

// TestSpellingsShareAnID registers the same schemas as a Java client would spell them.
func TestSpellingsShareAnID(t *testing.T) {
	r := newRooms(t)
	for _, tt := range []struct{ format, one, other, value string }{
		{"avro", `{"fields": [], "type": "record", "name": "a.R"}`, `{"type":"record","name":"R","namespace":"a","fields":[]}`, `{}`},
		{"protobuf", `syntax = "proto3"; message M { }`, "syntax = \"proto3\";\n\nmessage M {}\n", `{}`},
	} {
		f := r.formats().Find(tt.format)
		_, one := encode(t, f, format.Schema{Topic: tt.format, Side: format.Value, Text: tt.one}, tt.value)
		_, other := encode(t, f, format.Schema{Topic: tt.format, Side: format.Value, Text: tt.other}, tt.value)
		if one != other {
			t.Errorf("%s: ids %d and %d", tt.format, one, other)
		}
	}
}

func TestRecordNameStrategy(t *testing.T) {
	r := newRooms(t)
	c := r.newClient(t, func(c *registry.Config) { c.ValueStrategy = registry.TopicRecordName })
	f := format.SchemaFormats(c, format.Options{}).Find("protobuf")
	e, err := f.NewEncoder(t.Context(), format.Schema{Topic: "t", Side: format.Value, Text: `syntax = "proto3"; package p; message M {}`})
	if err != nil {
		t.Fatal(err)
	}
	if used := e.(format.Describer).Used(); used.Subject != "t-p.M" || used.Version != 1 || used.Type != sr.TypeProtobuf {
		t.Errorf("%+v", used)
	}
}
