package format

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenCase is one line of a golden file: what a value becomes under a schema, and what is read back.
type goldenCase struct {
	Schema string `json:"schema"`
	In     string `json:"in"`
	Body   string `json:"body,omitempty"` // hex
	Out    string `json:"out,omitempty"`
	Error  string `json:"error,omitempty"`
}

func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		file    string
		typ     sr.SchemaType
		options Options
	}{
		{"testdata/avro_plain.jsonl", sr.TypeAvro, Options{Plain: true, Int64AsString: true}},
		{"testdata/jsonschema.jsonl", sr.TypeJSON, Options{}},
		{"testdata/protobuf.jsonl", sr.TypeProtobuf, Options{}},
	} {
		t.Run(tt.file, func(t *testing.T) { runGolden(t, tt.file, tt.typ, tt.options) })
	}
}

func runGolden(t *testing.T, file string, typ sr.SchemaType, o Options) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	out := json.NewEncoder(&written)
	out.SetEscapeHTML(false)
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var want goldenCase
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		got := runCase(t, typ, want.Schema, want.In, o)
		if got != want && !*update {
			t.Errorf("%s of %s:\n got %+v\nwant %+v", want.In, want.Schema, got, want)
		}
		if err := out.Encode(got); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(file, written.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func runCase(t *testing.T, typ sr.SchemaType, schema, in string, o Options) goldenCase {
	t.Helper()
	got := goldenCase{Schema: schema, In: in}
	c, err := compile(t.Context(), typ, schema, nil)
	if err != nil {
		got.Error = "schema: " + err.Error()
		return got
	}
	body, err := c.encode(nil, jsontext.Value(in), o)
	if err != nil {
		got.Error = err.Error()
		return got
	}
	got.Body = hex.EncodeToString(body)
	v, err := c.decode(t.Context(), body, o)
	if err != nil {
		t.Errorf("%s of %s: cannot be read back: %v", in, schema, err)
		return got
	}
	got.Out = string(v)
	// What is read can be written again, and gives the same bytes.
	again, err := c.encode(nil, v, o)
	if err != nil || !bytes.Equal(again, body) && typ != sr.TypeJSON {
		t.Errorf("%s of %s: %s, which is read, becomes %x (%v) and not %x", in, schema, v, again, err, body)
	}
	return got
}
