package format

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// javaVector is one line of avro_java.jsonl, which the program in interop/java-avro writes.
type javaVector struct {
	Schema json.RawMessage `json:"schema"`
	In     string          `json:"in"`
	Binary string          `json:"binary"`
	Out    string          `json:"out"`
	Error  string          `json:"error"`
}

func javaVectors(t testing.TB) []javaVector {
	t.Helper()
	data, err := os.ReadFile("testdata/avro_java.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []javaVector
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v javaVector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// acceptedBeyondJava says why we take an input that Java Avro refuses.
func acceptedBeyondJava(v javaVector) string {
	switch {
	case strings.Contains(v.In, "NaN") || strings.Contains(v.In, "INF") || strings.Contains(v.In, "Infinity"):
		return "what the encoder writes for numbers that JSON has not is read back"
	case v.Error == "Expected int. Got VALUE_NUMBER_FLOAT" || v.Error == "Expected long. Got VALUE_NUMBER_FLOAT":
		return "a whole number may be written with a fraction of zero or an exponent"
	case strings.HasPrefix(string(v.Schema), "[") || strings.HasPrefix(v.Error, "Expected start-union") ||
		strings.HasPrefix(v.Error, "Unknown union branch"):
		return "a union's value needs no tag where it fits one branch only"
	}
	return ""
}

// refusedBesideJava says why we refuse an input that Java Avro takes.
func refusedBesideJava(v javaVector) string {
	switch {
	case strings.Contains(v.In, `\u0100`) || strings.Contains(v.In, "日"):
		return "a character that is no byte is refused in bytes; Java stores a question mark"
	case v.In == "1e400" || v.In == "1e39":
		return "a number out of range is refused; Java stores infinity"
	case v.In == `{"name":"a","name":"b"}`:
		return "a name given twice is refused; Java keeps one of the two"
	case v.In == `{"string":"x","a":1}`:
		return "a second member beside a union's tag is refused; Java does not look at it at the root"
	case v.In == "null" && strings.Contains(string(v.Schema), `"fields":[]`):
		return "null is no record; Java does not look at the data of a root record without fields"
	}
	return ""
}

func TestAvroAsJava(t *testing.T) {
	vectors := javaVectors(t)
	if len(vectors) < 200 {
		t.Fatalf("%d vectors, want at least 200", len(vectors))
	}
	same, refused, accepted, stricter := 0, 0, 0, 0
	for _, v := range vectors {
		c, err := compileAvro(string(v.Schema), nil)
		if err != nil {
			t.Errorf("schema %s: %v", v.Schema, err)
			continue
		}
		root := c.(*avroCodec).root
		w := avroWriter{in: jsonScanner{b: jsontext.Value(v.In)}}
		err = w.value(root)
		switch {
		case err == nil && v.Error == "":
			same++
			if got := hex.EncodeToString(w.out); got != v.Binary {
				t.Errorf("%s of %s: binary %s, Java %s", v.In, v.Schema, got, v.Binary)
			}
		case err == nil:
			if accepted++; acceptedBeyondJava(v) == "" {
				t.Errorf("%s of %s: accepted, Java: %s", v.In, v.Schema, v.Error)
			}
		case v.Error == "":
			if stricter++; refusedBesideJava(v) == "" {
				t.Errorf("%s of %s: refused (%v), Java takes it", v.In, v.Schema, err)
			}
		default:
			refused++
		}
		if v.Error == "" {
			checkJavaDecode(t, root, v)
		}
	}
	t.Logf("%d vectors: %d the same, %d refused by both, %d accepted beyond Java, %d refused beside Java", len(vectors), same, refused, accepted, stricter)
}

func checkJavaDecode(t *testing.T, root *avroNode, v javaVector) {
	t.Helper()
	data, err := hex.DecodeString(v.Binary)
	if err != nil {
		t.Fatal(err)
	}
	r := avroReader{in: data}
	if err := r.value(root); err != nil {
		t.Errorf("decode %s of %s: %v", v.Binary, v.Schema, err)
		return
	}
	if v.Out == "" && strings.Contains(string(v.Schema), `"fields":[]`) {
		v.Out = "{}" // Java's encoder writes no JSON at all for a root record without fields
	}
	if string(r.out) != v.Out {
		t.Errorf("decode %s of %s: %s, Java %s", v.Binary, v.Schema, r.out, v.Out)
	}
	if len(r.in) != 0 {
		t.Errorf("decode %s of %s: %d bytes left", v.Binary, v.Schema, len(r.in))
	}
}

// TestAvroRefusalsAsJava compares the texts of refusals that clients see most.
func TestAvroRefusalsAsJava(t *testing.T) {
	for _, tt := range []struct{ schema, in, want string }{
		{`{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`, `{"nam":"a"}`, "Expected field name not found: name"},
		{`{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`, `null`, "Expected record-start. Got VALUE_NULL"},
		{`"int"`, `"x"`, "Expected int. Got VALUE_STRING"},
		{`["null","string"]`, `{"int":1}`, "Unknown union branch int"},
		{`"double"`, `null`, "Expected double. Got VALUE_NULL"},
	} {
		c, err := compileAvro(tt.schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := avroWriter{in: jsonScanner{b: jsontext.Value(tt.in)}}
		if err := w.value(c.(*avroCodec).root); err == nil || err.Error() != tt.want {
			t.Errorf("%s of %s: %v, want %s", tt.in, tt.schema, err, tt.want)
		}
	}
}
