package format

import (
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

// TestCanonicalAvro holds the text that Java's Schema.toString gives.
func TestCanonicalAvro(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{` "int" `, `"int"`},
		{`{"type":"int"}`, `"int"`},
		{`{"logicalType":"date","type":"int"}`, `{"type":"int","logicalType":"date"}`},
		{`["null", {"type":"string"}]`, `["null","string"]`},
		{`{"fields":[{"default":"x","type":"string","name":"a","order":"ascending","doc":"d","p":1}],"name":"R","type":"record","doc":"D"}`,
			`{"type":"record","name":"R","doc":"D","fields":[{"name":"a","type":"string","doc":"d","default":"x","p":1}]}`},
		{`{"type":"record","name":"x.y.R","fields":[{"name":"a","type":{"type":"enum","namespace":"x.y","name":"E","symbols":["A"]}},{"name":"b","type":"x.y.E"},{"name":"c","type":{"type":"fixed","name":"z.F","size":2}}]}`,
			`{"type":"record","name":"R","namespace":"x.y","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"b","type":"E"},{"name":"c","type":{"type":"fixed","name":"F","namespace":"z","size":2}}]}`},
		{`{"items":{"type":"map","values":{"type":"long"}},"type":"array"}`, `{"type":"array","items":{"type":"map","values":"long"}}`},
		{`{"type":"record","aliases":["Old"],"name":"R","fields":[]}`, `{"type":"record","name":"R","fields":[],"aliases":["Old"]}`},
	} {
		got, identity, err := Canonical(t.Context(), sr.TypeAvro, tt.in, nil, nil)
		if err != nil || got != tt.want || identity != got {
			t.Errorf("%s\n got %s %v\nwant %s", tt.in, got, err, tt.want)
		}
		again, _, err := Canonical(t.Context(), sr.TypeAvro, got, nil, nil)
		if err != nil || again != got {
			t.Errorf("%s again is %s %v", got, again, err)
		}
	}
}

func TestCanonicalIdentity(t *testing.T) {
	for _, tt := range []struct {
		typ  sr.SchemaType
		a, b string
		same bool
	}{
		{sr.TypeProtobuf, `syntax = "proto3"; message M { string f = 1; }`, "syntax = \"proto3\";\n// note\nmessage M {\n  string f = 1;\n}\n", true},
		{sr.TypeProtobuf, `syntax = "proto3"; message M { string f = 1; }`, `syntax = "proto3"; message M { string f = 2; }`, false},
		{sr.TypeJSON, `{"type":"object"}`, `{ "type" : "object" }`, true},
		{sr.TypeJSON, `{"type":"object"}`, `{"type":"array"}`, false},
	} {
		_, x, err := Canonical(t.Context(), tt.typ, tt.a, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, y, err := Canonical(t.Context(), tt.typ, tt.b, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if (x == y) != tt.same {
			t.Errorf("%s and %s: same is %v", tt.a, tt.b, x == y)
		}
	}
	if _, _, err := Canonical(t.Context(), sr.TypeAvro, `{"type":"record","name":"R","fields":[{"name":"u","type":"x.U"}]}`,
		[]string{"x.U"}, []string{`{"type":"fixed","name":"U","namespace":"x","size":1}`}); err != nil {
		t.Errorf("with a reference: %v", err)
	}
	if _, _, err := Canonical(t.Context(), sr.TypeAvro, `{"type":"nope"}`, nil, nil); err == nil {
		t.Error("no error")
	}
}
