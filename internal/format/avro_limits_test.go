package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

const nodeSchema = `{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]}]}`

func mustAvro(t testing.TB, schema string) *avroCodec {
	t.Helper()
	c, err := compileAvro(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*avroCodec)
}

// TestAvroHostile decodes short data that stands for something huge.
func TestAvroHostile(t *testing.T) {
	varint := func(vs ...int64) []byte {
		var out []byte
		for _, v := range vs {
			out = binary.AppendVarint(out, v)
		}
		return out
	}
	for _, tt := range []struct {
		name, schema string
		data         []byte
		want         error
	}{
		{"nulls without end", `{"type":"array","items":"null"}`, varint(math.MaxInt64, 0), errTooLong},
		{"negative count", `{"type":"array","items":"null"}`, varint(math.MinInt64, 0, 0), errAvroLength},
		{"empty records without end", `{"type":"array","items":{"type":"record","name":"E","fields":[]}}`, varint(1<<40, 0), errTooLong},
		{"empty strings", `{"type":"array","items":"string"}`, varint(1<<40, 0, 0), errAvroShort},
		{"long string", `"string"`, varint(1 << 40), errAvroShort},
		{"negative string", `"string"`, varint(-1), errAvroLength},
		{"endless number", `"long"`, bytes.Repeat([]byte{0xff}, 20), errAvroVarint},
		{"int out of range", `"int"`, varint(1 << 40), errAvroVarint},
		{"deep", nodeSchema, bytes.Repeat([]byte{2}, 1<<20), errAvroDeep},
		{"deep arrays", `{"type":"record","name":"T","fields":[{"name":"c","type":{"type":"array","items":"T"}}]}`, bytes.Repeat([]byte{2}, 1<<20), errAvroDeep},
	} {
		_, err := mustAvro(t, tt.schema).decode(t.Context(), tt.data, Options{})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct{ schema, data string }{{`["null","int"]`, "\x04"}, {`["null","int"]`, "\x01"}, {`{"type":"enum","name":"E","symbols":["A"]}`, "\x02"}} {
		if v, err := mustAvro(t, tt.schema).decode(t.Context(), []byte(tt.data), Options{}); err == nil {
			t.Errorf("%x of %s: %s", tt.data, tt.schema, v)
		}
	}
}

// TestAvroBlocks reads what other writers than ours make: several blocks, and blocks with their length.
func TestAvroBlocks(t *testing.T) {
	data := []byte{2, 2, 3, 4, 4, 6, 0} // one item 1; two items (2, 3) in two bytes
	v, err := mustAvro(t, `{"type":"array","items":"int"}`).decode(t.Context(), data, Options{})
	if err != nil || string(v) != "[1,2,3]" {
		t.Errorf("%s %v", v, err)
	}
}

func TestAvroDepthRoundTrip(t *testing.T) {
	c := mustAvro(t, nodeSchema)
	// Each level is two levels of JSON: the record and the union's tag.
	deep := func(n int) string {
		return strings.Repeat(`{"next":{"Node":`, n) + `{"next":null}` + strings.Repeat(`}}`, n)
	}
	in := deep(400)
	data, err := c.encode(nil, jsontext.Value(in), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.decode(t.Context(), data, Options{}); err != nil || string(out) != in {
		t.Errorf("round trip: %v", err)
	}
	if _, err := c.encode(nil, jsontext.Value(deep(100000)), Options{}); err == nil {
		t.Error("encoded 100000 levels")
	}
}

// TestAvroRootBytes holds that bytes as the root have no length, as Java's serializer writes them.
func TestAvroRootBytes(t *testing.T) {
	c := mustAvro(t, `"bytes"`)
	for _, in := range []string{`""`, `"\u0000ÿ"`, `"` + strings.Repeat("x", 1000) + `"`} {
		data, err := c.encode([]byte("header"), jsontext.Value(in), Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.decode(t.Context(), data[len("header"):], Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := jsontext.AppendUnquote(nil, v)
		b, _ := jsontext.AppendUnquote(nil, in)
		if !bytes.Equal(a, b) {
			t.Errorf("%s became %s", in, v)
		}
	}
	data, err := c.encode(nil, jsontext.Value(`"ÿ"`), Options{})
	if err != nil || !bytes.Equal(data, []byte{0xff}) {
		t.Errorf("%x %v", data, err)
	}
}

// TestAvroLinear holds that untagged and reordered values, nested, cost no more than their length asks.
func TestAvroLinear(t *testing.T) {
	c := mustAvro(t, `{"type":"record","name":"N","fields":[{"name":"N","type":["null","N"]},{"name":"x","type":["int","double"]}]}`)
	in := `{"x":{"int":1},"N":null}`
	for range 400 {
		in = `{"x":1.5,"N":{"N":` + in + `}}`
	}
	if _, err := c.encode(nil, jsontext.Value(in), Options{}); err != nil {
		t.Fatal(err)
	}
}

func TestJavaDouble(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		v := math.Float64frombits(r.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		text := string(appendJavaDouble(nil, v))
		back, err := strconv.ParseFloat(text, 64)
		if err != nil || back != v || !strings.Contains(text, ".") {
			t.Fatalf("%b is written %s, which reads %b (%v)", v, text, back, err)
		}
	}
}

// TestAvroAgainstLibrary compares with the Avro library as a second opinion, over values that it makes.
func TestAvroAgainstLibrary(t *testing.T) {
	const schema = `{"type":"record","name":"R","fields":[
		{"name":"s","type":"string"},{"name":"l","type":"long"},{"name":"d","type":"double"},{"name":"f","type":"float"},
		{"name":"b","type":"bytes"},{"name":"a","type":{"type":"array","items":["null","int"]}},{"name":"m","type":{"type":"map","values":"boolean"}}]}`
	c := mustAvro(t, schema)
	lib := avro.MustParse(schema)
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		value := map[string]any{
			"s": string(rune(r.IntN(0xd7ff))) + strconv.Itoa(r.Int()), "l": int64(r.Uint64()), "d": r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20)),
			"f": r.Float32(), "b": []byte{byte(r.Uint32()), byte(r.Uint32())}, "a": []any{nil, int32(r.Uint32())}, "m": map[string]any{"k": r.IntN(2) == 0},
		}
		want, err := lib.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.decode(t.Context(), want, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.encode(nil, text, Options{})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %x %v, the library %x", text, got, err, want)
		}
	}
}

var fuzzSchemas = []string{
	nodeSchema, userSchema, `"bytes"`, `"double"`, `["null","string",{"type":"map","values":["int","double"]}]`,
	`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":["null","float","string"]}},{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":3}},{"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"]}},{"name":"f","type":{"type":"fixed","name":"F","size":2}}]}`,
	`{"type":"map","values":{"type":"array","items":"string"}}`,
}

// FuzzAvroDecode holds that what is decoded is JSON, and that encoding and decoding it again changes nothing.
func FuzzAvroDecode(f *testing.F) {
	for i := range fuzzSchemas {
		f.Add(uint8(i), false, []byte{2, 6, 'a', 'b', 'c', 0})
		f.Add(uint8(i), true, []byte{4, 0, 2, 2, 4, 6, 8, 0, 0})
	}
	f.Fuzz(func(t *testing.T, which uint8, plain bool, data []byte) {
		c := mustAvro(t, fuzzSchemas[int(which)%len(fuzzSchemas)])
		o := Options{Plain: plain, Int64AsString: plain}
		v, err := c.decode(t.Context(), data, o)
		if err != nil {
			return
		}
		if !v.IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%x becomes %q, which is no JSON", data, v)
		}
		again, err := c.encode(nil, v, o)
		if err != nil { // a map's name given twice, a decimal of too many digits, a null root
			return
		}
		if w, err := c.decode(t.Context(), again, o); err != nil || !bytes.Equal(w, v) {
			t.Fatalf("%q becomes %q (%v)", v, w, err)
		}
	})
}

// FuzzEncode holds that no JSON and no text that is none makes an encoder fail in another way than with an error for the client.
func FuzzEncode(f *testing.F) {
	for i := range fuzzSchemas {
		f.Add(uint8(i), false, `{"next":{"Node":{"next":null}}}`)
		f.Add(uint8(i), true, `{"a":["x",1,null],"t":"2026-01-01T00:00:00Z","d":"1.5","e":"X","f":"ab"}`)
	}
	proto, err := compile(f.Context(), sr.TypeProtobuf, `syntax = "proto3"; message M { M m = 1; repeated string s = 2; map<string,double> d = 3; }`, nil)
	if err != nil {
		f.Fatal(err)
	}
	schema, err := compileJSONSchema(`{"type":["object","null"],"properties":{"a":{"type":"array","items":{"type":"number"}}}}`, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which uint8, plain bool, in string) {
		v := jsontext.Value(in)
		valid := v.IsValid(jsontext.AllowDuplicateNames(true))
		codecs := []codec{mustAvro(t, fuzzSchemas[int(which)%len(fuzzSchemas)])}
		if valid {
			codecs = append(codecs, proto, schema)
		}
		for _, c := range codecs {
			data, err := c.encode(nil, v, Options{Plain: plain, Int64AsString: plain})
			if err != nil {
				if k := kafkarest.AsError(err); k.Code == kafkarest.CodeInternal && !errors.Is(err, errTopLevelNull) && !isMisfit(err) {
					t.Fatalf("%q: %v", in, err)
				}
				continue
			}
			if !valid {
				continue
			}
			if _, err := c.decode(t.Context(), data, Options{Plain: plain}); err != nil {
				t.Fatalf("%q becomes %x, which cannot be read: %v", in, data, err)
			}
		}
	})
}

func isMisfit(err error) bool {
	var m misfit
	return errors.As(err, &m) || errors.Is(err, errMalformed)
}

// FuzzDecode reads arbitrary records in all formats.
func FuzzDecode(f *testing.F) {
	m := newMemory()
	table := SchemaFormats(m, Options{})
	m.schemas = []sr.Schema{
		{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
			message M { message In { int32 x = 1; } In in = 1; google.protobuf.Any any = 2; google.protobuf.Struct s = 3; repeated fixed64 f = 4; M m = 5; }`},
		{Type: sr.TypeJSON, Schema: `true`},
		{Type: sr.TypeAvro, Schema: nodeSchema},
	}
	f.Add([]byte{0, 0, 0, 0, 1, 0, 10, 2, 8, 1})
	f.Add([]byte{0, 0, 0, 0, 1, 4, 0, 0, 8, 1})
	f.Add([]byte("\x00\x00\x00\x00\x02{\"a\":1}"))
	f.Add([]byte{0, 0, 0, 0, 3, 2, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := table[0].Decode(t.Context(), data)
		if err == nil && !v.IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%x becomes %q, which is no JSON", data, v)
		}
	})
}

// TestHostileSchemas compiles schemas that nest without sense. Each must end with an error, or at least end.
func TestHostileSchemas(t *testing.T) {
	const n = 20000
	for _, tt := range []struct {
		name string
		typ  sr.SchemaType
		text string
	}{
		{"deep avro", sr.TypeAvro, strings.Repeat(`{"type":"array","items":`, n) + `"int"` + strings.Repeat("}", n)},
		{"deep union", sr.TypeAvro, strings.Repeat(`[`, n) + strings.Repeat("]", n)},
		{"doubling avro", sr.TypeAvro, doubling()},
		{"deep json schema", sr.TypeJSON, strings.Repeat(`{"not":`, n) + `true` + strings.Repeat("}", n)},
		{"looping json schema", sr.TypeJSON, `{"$ref":"#"}`},
		{"giant number", sr.TypeJSON, `{"multipleOf":1e999999}`},
		{"deep protobuf", sr.TypeProtobuf, `syntax = "proto3"; ` + strings.Repeat(`message M {`, n) + strings.Repeat("}", n)},
		{"protobuf importing itself", sr.TypeProtobuf, `syntax = "proto3"; import "` + protobufRoot + `"; message M {}`},
		{"long", sr.TypeAvro, `"int"` + strings.Repeat(" ", maxSchema)},
		{"protobuf without end", sr.TypeProtobuf, strings.Repeat(`option a = {`, n)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := compile(t.Context(), tt.typ, tt.text, nil)
			if err == nil && tt.name != "doubling avro" && tt.name != "looping json schema" {
				t.Errorf("compiled: %v", c)
			}
			if err == nil {
				_, _ = c.encode(nil, jsontext.Value(`{"a":1}`), Options{})
			}
		})
	}
}

// doubling is a schema in which each record has the one before it twice: its tree, written out, would have 2^60 nodes.
func doubling() string {
	inner := `{"type":"record","name":"R0","fields":[{"name":"a","type":"int"}]}`
	for i := 1; i < 60; i++ {
		inner = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":"R%d"}]}`, i, inner, i-1)
	}
	return inner
}

func TestProtoDepthCountsNesting(t *testing.T) {
	many := strings.Repeat("{", 2*maxProtoDepth)
	for text, want := range map[string]bool{
		many: true, "/" + many: true, "{" + strings.Repeat("{}", 1000): false,
		"// " + many: false, "/* " + many: false, "/* " + many + " */ ": false, "/* */" + many: true, "// x\n" + many: true,
		`"` + many + `"`: false, `'\'` + many + `'`: false, `"x" ` + many: true, "\"x\n" + many: true,
	} {
		if protoTooDeep(text) != want {
			t.Errorf("%.20q: %v", text, !want)
		}
	}
}

// TestAvroBadDefault reads records of a schema whose default does not fit its type.
func TestAvroBadDefault(t *testing.T) {
	const schema = `{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}`
	c := mustAvro(t, schema)
	if v, err := c.decode(t.Context(), []byte{2}, Options{}); err != nil || string(v) != `{"a":1}` {
		t.Errorf("%s %v", v, err)
	}
	if _, _, err := Canonical(t.Context(), sr.TypeAvro, schema, nil, nil); err == nil {
		t.Error("the embedded registry would take it")
	}
}

func TestIndexes(t *testing.T) {
	for _, path := range [][]int{{0}, {1}, {0, 0}, {3, 1, 2}} {
		got, rest, err := parseIndexes(append(appendIndexes(nil, path), 'x'))
		if err != nil || string(rest) != "x" || !equalInts(got, path) {
			t.Errorf("%v: %v %q %v", path, got, rest, err)
		}
	}
	if got := appendIndexes(nil, []int{0}); !bytes.Equal(got, []byte{0}) {
		t.Errorf("the first message is %x", got)
	}
	for _, bad := range [][]byte{{}, {1}, {2}, {2, 1}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0x80}} {
		if _, _, err := parseIndexes(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}

func equalInts(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

const benchSchema = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"amount","type":"double"},
	{"name":"paid","type":"boolean"},{"name":"note","type":["null","string"]},{"name":"tags","type":{"type":"array","items":"string"}},{"name":"qty","type":"int"},
	{"name":"country","type":"string"},{"name":"status","type":{"type":"enum","name":"S","symbols":["NEW","DONE"]}},{"name":"at","type":"long"}]}`

const benchJSON = `{"id":123456789,"customer":"Customer number 4711","amount":1234.5,"paid":true,"note":{"string":"please leave at the door"},"tags":["a","bb","ccc"],"qty":3,"country":"Switzerland","status":"NEW","at":1700000000000}`

func BenchmarkAvro(b *testing.B) {
	c, lib := mustAvro(b, benchSchema), avro.MustParse(benchSchema)
	v := jsontext.Value(benchJSON)
	data, err := c.encode(nil, v, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.encode(make([]byte, 0, 256), v, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode-library", func(b *testing.B) {
		for b.Loop() {
			var value any
			if err := lib.DecodeJSON(v, &value, avro.TaggedUnions()); err != nil {
				b.Fatal(err)
			}
			if _, err := lib.Encode(value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.decode(b.Context(), data, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode-library", func(b *testing.B) {
		for b.Loop() {
			var value any
			if _, err := lib.Decode(data, &value); err != nil {
				b.Fatal(err)
			}
			if _, err := lib.EncodeJSON(value, avro.TaggedUnions()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
