package format

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// memory is a Schemas without a registry: schemas get ids from 1 on, and each subject keeps its versions.
type memory struct {
	schemas  []sr.Schema
	subjects map[string][]int // ids
	down     bool
	asked    int
}

func newMemory() *memory { return &memory{subjects: map[string][]int{}} }

func (m *memory) failure(message string) error {
	if m.down {
		return &kafkarest.Error{Code: kafkarest.CodeSerialization, Message: "the registry is down", RetryAfter: time.Second}
	}
	return kafkarest.Errorf(kafkarest.CodeSerialization, "%s", message)
}

func (m *memory) ByID(_ context.Context, id int) (sr.Schema, error) {
	m.asked++
	if m.down || id < 1 || id > len(m.schemas) {
		return sr.Schema{}, m.failure(fmt.Sprintf("Schema %d not found; error code: 40403", id))
	}
	return m.schemas[id-1], nil
}

func (m *memory) Version(_ context.Context, subject string, version int) (sr.SubjectSchema, error) {
	ids := m.subjects[subject]
	if version == LatestVersion {
		version = len(ids)
	}
	if m.down || version < 1 || version > len(ids) {
		return sr.SubjectSchema{}, m.failure("no such version")
	}
	return sr.SubjectSchema{Subject: subject, Version: version, ID: ids[version-1], Schema: m.schemas[ids[version-1]-1]}, nil
}

func (m *memory) Ensure(_ context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	if m.down {
		return sr.SubjectSchema{}, m.failure("")
	}
	for i, id := range m.subjects[subject] {
		if m.schemas[id-1].Schema == s.Schema {
			return sr.SubjectSchema{Subject: subject, Version: i + 1, ID: id, Schema: s}, nil
		}
	}
	m.schemas = append(m.schemas, s)
	m.subjects[subject] = append(m.subjects[subject], len(m.schemas))
	return sr.SubjectSchema{Subject: subject, Version: len(m.subjects[subject]), ID: len(m.schemas), Schema: s}, nil
}

func (m *memory) Subject(strategy, topic string, key bool, record string) (string, error) {
	switch {
	case strategy == "RECORD_NAME":
		return record, nil
	case key:
		return topic + "-key", nil
	}
	return topic + "-value", nil
}

const userSchema = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`

func newEncoder(t *testing.T, f Format, s Schema) Encoder {
	t.Helper()
	e, err := f.NewEncoder(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encodeOne(t *testing.T, f Format, s Schema, v string) []byte {
	t.Helper()
	out, err := newEncoder(t, f, s).Encode(jsontext.Value(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantError(t *testing.T, err error, code kafkarest.Code, message string) {
	t.Helper()
	var ke *kafkarest.Error
	if !errors.As(err, &ke) {
		t.Fatalf("%v is no *kafkarest.Error, want %d %s", err, code, message)
	}
	if ke.Code != code || !strings.HasPrefix(ke.Message, message) {
		t.Fatalf("%d %q, want %d %q", ke.Code, ke.Message, code, message)
	}
}

func TestNewEncoderErrors(t *testing.T) {
	m := newMemory()
	table, without := SchemaFormats(m, Options{}), SchemaFormats(nil, Options{})
	encodeOne(t, table.Find("jsonschema"), Schema{Topic: "j", Side: Value, Text: "true"}, "1") // takes id 1
	for _, tt := range []struct {
		name    string
		table   Table
		format  string
		schema  Schema
		code    kafkarest.Code
		message string
	}{
		{"text and id", table, "avro", Schema{Side: Value, Text: `"int"`, ID: 1}, 422, "Only one of value_schema and value_schema_id"},
		{"unknown id", table, "avro", Schema{Side: Value, ID: 987654}, 42207, "Schema 987654 not found; error code: 40403"},
		{"negative id", table, "avro", Schema{Side: Value, ID: -1}, 42207, "Error serializing message. Error when fetching schema by id. schemaId = -1"},
		{"id of another type", table, "avro", Schema{Side: Value, ID: 1}, 42207, "Error serializing message. Schema 1 is of type JSON"},
		{"bad avro", table, "avro", Schema{Side: Key, Text: `{"type":"nope"}`}, 42205,
			`Invalid schema: Error when parsing raw schema. format = AVRO, schema = {"type":"nope"}`},
		{"bad json schema", table, "jsonschema", Schema{Side: Key, Text: `{`}, 42205,
			`Invalid schema: Error when parsing raw schema. format = JSONSCHEMA, schema = {`},
		{"bad protobuf", table, "protobuf", Schema{Side: Key, Text: `not a proto`}, 42205,
			`Invalid schema: Error when parsing raw schema. format = PROTOBUF, schema = not a proto`},
		{"protobuf without messages", table, "protobuf", Schema{Side: Key, Text: `syntax = "proto3";`}, 42205, "Invalid schema"},
		{"unknown reference", table, "avro", Schema{Side: Key, Text: `"int"`, References: []sr.SchemaReference{{Name: "x", Subject: "x", Version: 1}}},
			42207, "no such version"},
		{"no registry, text", without, "avro", Schema{Side: Value, Text: `"int"`}, 42206,
			"Payload error. Schema Registry must be configured when using schemas."},
		{"no registry, none", without, "avro", Schema{Side: Value}, 42207,
			"Error serializing message. Schema Registry not defined, no Schema Registry client available to serialize message."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tt.table.Find(tt.format).NewEncoder(t.Context(), tt.schema)
			if err == nil {
				_, err = e.Encode(nil)
			}
			wantError(t, err, tt.code, tt.message)
		})
	}
}

func TestNoSchema(t *testing.T) {
	f := SchemaFormats(newMemory(), Options{}).Find("avro")
	for side, code := range map[Side]kafkarest.Code{Key: 42201, Value: 42202} {
		e := newEncoder(t, f, Schema{Topic: "t", Side: side})
		for _, null := range []jsontext.Value{nil, jsontext.Value("null")} {
			if out, err := e.Encode(null); out != nil || err != nil || e.SchemaID() != 0 {
				t.Errorf("%s null: %x %v", side, out, err)
			}
		}
		_, err := e.Encode(jsontext.Value("1"))
		wantError(t, err, code, "Request includes "+string(side)+"s but does not include "+string(side)+" schema")
	}
}

func TestNullWithSchema(t *testing.T) {
	table := SchemaFormats(newMemory(), Options{})
	for _, tt := range []struct {
		format, schema string
		code           kafkarest.Code
		message, bytes string
	}{
		{"avro", userSchema, 400, "Bad Request: Expected record-start. Got VALUE_NULL", ""},
		{"avro", `["null","string"]`, 400, "Bad Request: null has no bytes in this nullable Avro schema: leave the schema out, or set null.request.body.always.publishes.empty.record=true for a tombstone.", ""},
		{"jsonschema", `{"type":["null","string"]}`, 0, "", "null"},
		{"jsonschema", `{"type":"string"}`, 400, "Bad Request: #: expected type: String, found: Null", ""},
		{"protobuf", `syntax = "proto3"; message M { string f = 1; }`, 400, "Bad Request: Expect message object but got: null", ""},
	} {
		f, s := table.Find(tt.format), Schema{Topic: "t", Side: Value, Text: tt.schema}
		out, err := newEncoder(t, f, s).Encode(nil)
		if tt.code != 0 {
			wantError(t, err, tt.code, tt.message)
		} else if err != nil || string(out[headerSize:]) != tt.bytes {
			t.Errorf("%s %s: %q %v", tt.format, tt.schema, out, err)
		}
		tomb := With(f, func(o *Options) { o.NullIsTombstone = true })
		if out, err := newEncoder(t, tomb, s).Encode(nil); out != nil || err != nil {
			t.Errorf("%s %s as tombstone: %x %v", tt.format, tt.schema, out, err)
		}
	}
}

func TestMisfits(t *testing.T) {
	table := SchemaFormats(newMemory(), Options{})
	const proto = `syntax = "proto3"; message M { string f = 1; int32 n = 2; }`
	const object = `{"type":"object","properties":{"f":{"type":"integer"}},"required":["f"],"additionalProperties":false}`
	for _, tt := range []struct{ format, schema, in, message string }{
		{"avro", userSchema, `{"nam":"a"}`, "Bad Request: Expected field name not found: name"},
		{"avro", `"int"`, `"x"`, "Bad Request: Expected int. Got VALUE_STRING"},
		{"avro", `["int","long"]`, `1`, "Bad Request: Ambiguous union value: it fits int and long"},
		{"jsonschema", object, `{"f":"x"}`, "Bad Request: #/f: expected type: Integer, found: String"},
		{"jsonschema", object, `{}`, "Bad Request: #: required key [f] not found"},
		{"jsonschema", object, `{"f":1,"g":2}`, "Bad Request: #: extraneous key [g] is not permitted"},
		{"jsonschema", object, `{"f":"x","g":2}`, "Bad Request: #: 2 schema violations found: "},
		{"jsonschema", `{"type":"integer"}`, `1e1000000`, "Bad Request: a number has more than 1000 digits"},
		{"protobuf", proto, `{"g":"x"}`, "Bad Request: Cannot find field: g in message M"},
		{"protobuf", proto, `{"n":"x"}`, "Bad Request: "},
		{"protobuf", proto, `[]`, "Bad Request: "},
		{"protobuf", proto, `{"f":"x","f":"y"}`, "Bad Request: "},
	} {
		_, err := newEncoder(t, table.Find(tt.format), Schema{Topic: "t", Side: Value, Text: tt.schema}).Encode(jsontext.Value(tt.in))
		wantError(t, err, kafkarest.CodeBadRequest, tt.message)
	}
}

// TestDecodeByOwnSchema reads records of all types with each of the formats.
func TestDecodeByOwnSchema(t *testing.T) {
	table := SchemaFormats(newMemory(), Options{})
	records := map[string][]byte{
		`{"name":"a"}`: encodeOne(t, table.Find("avro"), Schema{Topic: "a", Side: Value, Text: userSchema}, `{"name":"a"}`),
		`{"f":1}`:      encodeOne(t, table.Find("jsonschema"), Schema{Topic: "j", Side: Value, Text: `{"type":"object"}`}, `{ "f" : 1 }`),
		`{"f":"x"}`:    encodeOne(t, table.Find("protobuf"), Schema{Topic: "p", Side: Value, Text: `syntax = "proto3"; message M { string f = 1; }`}, `{"f":"x"}`),
	}
	for want, data := range records {
		for _, f := range table {
			if got, err := f.Decode(t.Context(), data); err != nil || string(got) != want {
				t.Errorf("%s of %x: %s %v, want %s", f.Name(), data, got, err, want)
			}
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	m := newMemory()
	f := SchemaFormats(m, Options{}).Find("avro")
	good := encodeOne(t, f, Schema{Topic: "a", Side: Value, Text: userSchema}, `{"name":"secret"}`)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", []byte{}, "wire format"},
		{"short", good[:4], "wire format"},
		{"magic", append([]byte{1}, good[1:]...), "wire format"},
		{"unknown id", []byte{0, 0, 0, 9, 9, 1}, "schema 2313: Schema 2313 not found"},
		{"cut", good[:len(good)-1], "schema 1: the Avro data ends too early"},
		{"trailing", append(slices.Clip(good), 0), "schema 1: bytes are left"},
	} {
		_, err := f.Decode(t.Context(), tt.data)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if errors.Is(err, ErrSchemaUnavailable) {
			t.Errorf("%s: is ErrSchemaUnavailable", tt.name)
		}
	}
	m.down = true
	if _, err := f.Decode(t.Context(), good); err != nil {
		t.Errorf("known schema while the registry is down: %v", err)
	}
	if _, err := f.Decode(t.Context(), []byte{0, 0, 0, 0, 77, 0}); !errors.Is(err, ErrSchemaUnavailable) {
		t.Errorf("unknown schema while the registry is down: %v", err)
	}
	if _, err := SchemaFormats(nil, Options{})[0].Decode(t.Context(), good); err == nil {
		t.Error("decoded without a registry")
	}
}

func TestEncoderByVersionAndDescription(t *testing.T) {
	m := newMemory()
	f := SchemaFormats(m, Options{}).Find("avro")
	first := newEncoder(t, f, Schema{Topic: "t", Side: Value, Text: userSchema}).(Describer).Used()
	if want := (Used{Type: sr.TypeAvro, Subject: "t-value", ID: 1, Version: 1}); first != want {
		t.Errorf("used %+v, want %+v", first, want)
	}
	byVersion := newEncoder(t, f, Schema{Topic: "t", Side: Value, Version: 1}).(Describer).Used()
	if byVersion != first {
		t.Errorf("by version %+v, want %+v", byVersion, first)
	}
	latest := newEncoder(t, With(f, func(o *Options) { o.UseLatest = true }), Schema{Topic: "t", Side: Value})
	if out, err := latest.Encode(jsontext.Value(`{"name":"a"}`)); err != nil || len(out) == 0 || latest.SchemaID() != 1 {
		t.Errorf("latest: %x %v, id %d", out, err, latest.SchemaID())
	}
	named := newEncoder(t, f, Schema{Topic: "t", Side: Value, Text: userSchema, Strategy: "RECORD_NAME"}).(Describer).Used()
	if named.Subject != "User" {
		t.Errorf("record name strategy: subject %s", named.Subject)
	}
	encodeOne(t, SchemaFormats(m, Options{}).Find("protobuf"), Schema{Topic: "p", Side: Value, Text: `syntax = "proto3"; message M {}`}, "{}")
	proto := newEncoder(t, OfAnyType(f), Schema{Topic: "p", Side: Value, Version: LatestVersion}).(Describer).Used()
	if proto.Type != sr.TypeProtobuf {
		t.Errorf("any type: %s", proto.Type)
	}
}

// TestLatestAsksLate holds that a side without data needs no subject.
func TestLatestAsksLate(t *testing.T) {
	f := SchemaFormats(newMemory(), Options{UseLatest: true}).Find("avro")
	e := newEncoder(t, f, Schema{Topic: "none", Side: Key})
	if out, err := e.Encode(nil); out != nil || err != nil || e.SchemaID() != 0 {
		t.Errorf("null: %x %v", out, err)
	}
	_, err := e.Encode(jsontext.Value("1"))
	wantError(t, err, kafkarest.CodeSerialization, "no such version")
}

func TestReferences(t *testing.T) {
	m := newMemory()
	table := SchemaFormats(m, Options{})
	encodeOne(t, table.Find("avro"), Schema{Topic: "user", Side: Value, Text: `{"type":"record","name":"User","namespace":"x","fields":[{"name":"name","type":"string"}]}`}, `{"name":"a"}`)
	encodeOne(t, table.Find("protobuf"), Schema{Topic: "other", Side: Value, Text: `syntax = "proto3"; package o; message O { int32 n = 1; }`}, `{}`)
	encodeOne(t, table.Find("jsonschema"), Schema{Topic: "part", Side: Value, Text: `{"type":"integer"}`}, `1`)
	for _, tt := range []struct {
		format, text, name, subject, in, out, bad string
	}{
		{"avro", `{"type":"record","name":"Order","fields":[{"name":"by","type":"x.User"},{"name":"for","type":["null","x.User"]}]}`, "x.User", "user-value",
			`{"by":{"name":"a"},"for":{"x.User":{"name":"b"}}}`, `{"by":{"name":"a"},"for":{"x.User":{"name":"b"}}}`, `{"by":{"nam":"a"},"for":null}`},
		{"protobuf", `syntax = "proto3"; import "other.proto"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
			message M { o.O o = 1; google.protobuf.Timestamp at = 2; confluent.type.Decimal d = 3; }`, "other.proto", "other-value",
			`{"o":{"n":3},"at":"2026-01-02T03:04:05Z","d":{"value":"AQ==","scale":2}}`,
			`{"o":{"n":3},"at":"2026-01-02T03:04:05Z","d":{"value":"AQ==","precision":0,"scale":2}}`, `{"o":{"n":"x"}}`},
		{"jsonschema", `{"$id":"http://example.com/a/b.json","properties":{"n":{"$ref":"part.json"}}}`, "part.json", "part-value", `{"n":1}`, `{"n":1}`, `{"n":"x"}`},
		{"jsonschema", `{"properties":{"n":{"$ref":"http://elsewhere.example/part.json"}}}`, "http://elsewhere.example/part.json", "part-value", `{"n":1}`, `{"n":1}`, `{"n":"x"}`},
	} {
		s := Schema{Topic: "t" + tt.name, Side: Value, Text: tt.text, References: []sr.SchemaReference{{Name: tt.name, Subject: tt.subject, Version: 1}}}
		e := newEncoder(t, table.Find(tt.format), s)
		data, err := e.Encode(jsontext.Value(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.format, err)
			continue
		}
		// Another process, which has not seen the text.
		fresh := SchemaFormats(m, Options{})
		if got, err := fresh[0].Decode(t.Context(), data); err != nil || string(got) != tt.out {
			t.Errorf("%s: %s %v, want %s", tt.format, got, err, tt.out)
		}
		if _, err := e.Encode(jsontext.Value(tt.bad)); err == nil {
			t.Errorf("%s: %s fits", tt.format, tt.bad)
		}
		s.References = nil
		if _, err := table.Find(tt.format).NewEncoder(t.Context(), s); err == nil {
			t.Errorf("%s without its reference compiles", tt.format)
		}
	}
}

// TestJSONSchemaOpensNothing holds that a reference outside of the registry is neither read from disk nor asked for.
func TestJSONSchemaOpensNothing(t *testing.T) {
	for _, ref := range []string{"file:///etc/hostname", "/etc/hostname", "http://127.0.0.1:1/x", "https://example.com/x", "hostname"} {
		_, err := compileJSONSchema(fmt.Sprintf(`{"$ref":%q}`, ref), nil)
		if err == nil || !strings.Contains(err.Error(), errNotRegistry.Error()) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestReferenceCycle(t *testing.T) {
	m := newMemory()
	m.schemas = []sr.Schema{{Schema: `"int"`, References: []sr.SchemaReference{{Name: "a", Subject: "a", Version: 1}}}}
	m.subjects["a"] = []int{1}
	_, err := SchemaFormats(m, Options{})[0].NewEncoder(t.Context(), Schema{Side: Value, ID: 1})
	wantError(t, err, kafkarest.CodeInvalidSchema, "Invalid schema: schema reference \"a\" leads back to itself")
}

func TestCompilerForgets(t *testing.T) {
	m := newMemory()
	c := newCompiler(m)
	for i := range 3 * maxCompiledEntries {
		m.schemas = append(m.schemas, sr.Schema{Schema: fmt.Sprintf(`{"type":"fixed","name":"F%d","size":1}`, i)})
		if _, err := c.byID(t.Context(), i+1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.byID(t.Context(), 1); err != nil { // in use all the time
			t.Fatal(err)
		}
	}
	if n := len(c.young) + len(c.old); n > 2*maxCompiledEntries {
		t.Errorf("%d compiled schemas are kept", n)
	}
	if want := 3 * maxCompiledEntries; m.asked != want {
		t.Errorf("asked %d times, want %d: the schema in use was forgotten", m.asked, want)
	}
}
