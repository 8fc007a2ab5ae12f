package format

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// oracle is what validJSON must agree with.
func oracle(data []byte, maxDepth int) bool {
	return jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true)) && !TooDeep(data, maxDepth)
}

var jsonSamples = []string{
	"", " ", "null", "nul", "nulll", "true", "false", "0", "-0", "01", "-", "1.", "1.5", ".5", "1e5", "1e", "1E+5", "1e-", "+1", "NaN", "Infinity",
	`""`, `"a`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\x"`, `"\u12"`, "\"\x00\"", "\"\x1f\"", "\"\xff\"", "\"é\"", "\"\xed\xa0\x80\"",
	"{}", "{", "[]", "[", "[1,2]", "[1,]", "[,1]", "[1 2]", `{"a":1}`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,"a":2}`, ` { "a" : [ 1 , { "b" : null } ] } `,
	"1 2", "{}x", "\ufeff1", "[[[[]]]]", "[[[[[]]]]]", `{"a":{"a":{"a":{"a":1}}}}`, `{"a":{"a":{"a":{"a":{}}}}}`, strings.Repeat("[", 2000), strings.Repeat("[", 5) + strings.Repeat("]", 5),
}

func TestValidJSONAgreesWithTheLibrary(t *testing.T) {
	for _, s := range jsonSamples {
		if got, want := validJSON([]byte(s), 4), oracle([]byte(s), 4); got != want {
			t.Errorf("validJSON(%.60q) = %v, jsontext says %v", s, got, want)
		}
	}
}

func FuzzValidJSON(f *testing.F) {
	for _, s := range jsonSamples {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := validJSON(data, 4), oracle(data, 4); got != want {
			t.Errorf("validJSON(%q) = %v, jsontext says %v", data, got, want)
		}
	})
}

func BenchmarkValidJSON(b *testing.B) {
	data := []byte(`{"name":"a name of some length","n":12345,"list":[1,2,3],"nested":{"flag":true,"text":"more text"}}`)
	b.Run("validJSON", func(b *testing.B) {
		for b.Loop() {
			validJSON(data, MaxDepth)
		}
	})
	b.Run("jsontext", func(b *testing.B) {
		for b.Loop() {
			oracle(data, MaxDepth)
		}
	})
}
