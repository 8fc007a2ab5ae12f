package conformance

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	tests := []struct {
		name      string
		want, got string
		exact     bool
		ok        bool
	}{
		{"equal objects", `{"a":1,"b":[true,null,"x"]}`, `{"b":[true,null,"x"],"a":1}`, true, true},
		{"member missing", `{"a":1,"b":2}`, `{"a":1}`, false, false},
		{"extra member in a subset", `{"a":1}`, `{"a":1,"b":2}`, false, true},
		{"extra member in an exact match", `{"a":1}`, `{"a":1,"b":2}`, true, false},
		{"extra nested member in a subset", `{"a":{"b":1}}`, `{"a":{"b":1,"c":1}}`, false, true},
		{"extra nested member in an exact match", `[{"a":{"b":1}}]`, `[{"a":{"b":1,"c":1}}]`, true, false},
		{"null is not absence", `{"a":null}`, `{}`, false, false},
		{"object for a scalar", `{"a":{}}`, `{"a":1}`, false, false},
		{"scalar for an object", `{"a":1}`, `{"a":{}}`, false, false},
		{"array of another length", `[1]`, `[1,2]`, false, false},
		{"arrays are ordered", `[1,2]`, `[2,1]`, false, false},
		{"array for an object", `{}`, `[]`, false, false},
		{"object for an array", `[]`, `{}`, false, false},

		{"string for a number", `1`, `"1"`, false, false},
		{"number for a string", `"1"`, `1`, false, false},
		{"true for 1", `1`, `true`, false, false},
		{"other boolean", `true`, `false`, false, false},
		{"null and false", `null`, `false`, false, false},
		{"null and null", `null`, `null`, false, true},
		{"other string", `"a"`, `"A"`, false, false},
		{"numbers by value", `[1,10,0.5]`, `[1.0,1e1,5e-1]`, true, true},
		{"beyond 2^53", `9007199254740993`, `9007199254740992`, false, false},
		{"the largest int64", `9223372036854775807`, `9223372036854775807`, false, true},
		{"huge exponents", `1e999999999`, `1e999999998`, false, false},

		{"any string", `"<<any>>"`, `"x"`, false, true},
		{"any null", `{"a":"<<any>>"}`, `{"a":null}`, false, true},
		{"any absent", `{"a":"<<any>>"}`, `{}`, false, false},
		{"absent absent", `{"a":"<<absent>>"}`, `{}`, true, true},
		{"absent null", `{"a":"<<absent>>"}`, `{"a":null}`, false, false},
		{"int", `"<<int>>"`, `-12`, false, true},
		{"int string", `"<<int>>"`, `"12"`, false, false},
		{"int fraction", `"<<int>>"`, `1.5`, false, false},
		{"int written as a fraction", `"<<int>>"`, `1.0`, false, false},
		{"int:N", `"<<int:7>>"`, `7`, false, true},
		{"int:N other", `"<<int:7>>"`, `8`, false, false},
		{"int:N string", `"<<int:7>>"`, `"7"`, false, false},
		{"string", `"<<string>>"`, `""`, false, true},
		{"string null", `"<<string>>"`, `null`, false, false},
		{"string number", `"<<string>>"`, `1`, false, false},
		{"string absent", `{"a":"<<string>>"}`, `{}`, false, false},
		{"nonempty", `["<<nonempty>>","<<nonempty>>","<<nonempty>>"]`, `["a",[1],{"a":1}]`, false, true},
		{"nonempty string", `"<<nonempty>>"`, `""`, false, false},
		{"nonempty array", `"<<nonempty>>"`, `[]`, false, false},
		{"nonempty object", `"<<nonempty>>"`, `{}`, false, false},
		{"nonempty null", `"<<nonempty>>"`, `null`, false, false},
		{"contains", `"<<contains:b:c>>"`, `"ab:cd"`, false, true},
		{"contains other", `"<<contains:x>>"`, `"abcd"`, false, false},
		{"contains number", `"<<contains:1>>"`, `1`, false, false},
		{"prefix", `"<<prefix:ab>>"`, `"abc"`, false, true},
		{"prefix inside", `"<<prefix:b>>"`, `"abc"`, false, false},
		{"regex", `"<<regex:^a.c$>>"`, `"abc"`, false, true},
		{"regex other", `"<<regex:^b>>"`, `"abc"`, false, false},
		{"regex that does not compile", `"<<regex:(>>"`, `"("`, false, false},
		{"matchers in an exact match", `{"a":"<<string>>"}`, `{"a":"x","b":1}`, true, false},

		{"array_contains", `{"<<array_contains>>":[{"a":2},{"a":1}]}`, `[{"a":1,"b":1},{"a":2},{"a":3}]`, false, true},
		{"array_contains one missing", `{"<<array_contains>>":[1,4]}`, `[1,2,3]`, false, false},
		{"array_contains no array", `{"<<array_contains>>":[]}`, `{}`, false, false},
		{"array_lacks", `{"<<array_lacks>>":["x","y"]}`, `["a"]`, false, true},
		{"array_lacks one there", `{"<<array_lacks>>":["x","a"]}`, `["a"]`, false, false},
		{"array_unordered", `{"<<array_unordered>>":[1,2]}`, `[2,1]`, false, true},
		{"array_unordered longer", `{"<<array_unordered>>":[1,2]}`, `[2,1,1]`, false, false},
		{"array_unordered other", `{"<<array_unordered>>":[1,2]}`, `[2,3]`, false, false},
		{"array_unordered pairs one to one", `{"<<array_unordered>>":[1,1]}`, `[1,2]`, false, false},
		{"array_unordered tries again", `{"<<array_unordered>>":["<<string>>","a"]}`, `["a","b"]`, false, true},
		{"array_len", `{"<<array_len>>":2}`, `[1,2]`, false, true},
		{"array_len other", `{"<<array_len>>":2}`, `[1]`, false, false},
		{"array_len absent", `{"a":{"<<array_len>>":0}}`, `{}`, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mismatches := compare(mustDecode(t, tt.want), mustDecode(t, tt.got), tt.exact)
			if ok := len(mismatches) == 0; ok != tt.ok {
				t.Errorf("want %s, got %s: mismatches %v", tt.want, tt.got, mismatches)
			}
		})
	}
}

func mustDecode(t *testing.T, text string) any {
	t.Helper()
	v, err := decodeJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMismatchSaysWhere(t *testing.T) {
	got := compare(mustDecode(t, `{"a":[{"b":"<<string>>"}]}`), mustDecode(t, `{"a":[{"b":5}]}`), false)
	if len(got) != 1 || got[0] != `$.a[0].b: expected "<<string>>", got 5` {
		t.Errorf("mismatches %q", got)
	}
	if s := show(strings.Repeat("x", 10000)); len(s) > 700 || !strings.Contains(s, "10002 bytes") {
		t.Errorf("a long value is shown as %q", s)
	}
}

func TestDecodeStream(t *testing.T) {
	tests := []struct {
		text string
		n    int
		ok   bool
	}{
		{"", 0, true},
		{`{"a":1}{"a":2}`, 2, true},
		{"{}\r\n [] 3\n", 3, true},
		{`{"a":1}x`, 0, false},
		{`{"a":1}{"a":`, 0, false},
	}
	for _, tt := range tests {
		docs, err := decodeStream([]byte(tt.text))
		if (err == nil) != tt.ok || len(docs) != tt.n && tt.ok {
			t.Errorf("%q: %d documents, error %v", tt.text, len(docs), err)
		}
	}
	for _, text := range []string{"", "1 2", "{"} {
		if _, err := decodeJSON([]byte(text)); err == nil {
			t.Errorf("%q passes for one document", text)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"a":"<<int:3>>"}`, `{"a":3}`)
	f.Add(`{"<<array_unordered>>":["<<any>>"]}`, `[1e400]`)
	f.Fuzz(func(t *testing.T, want, got string) {
		w, err := decodeJSON([]byte(want))
		if err != nil || checkMatchers(w) != nil {
			return
		}
		g, err := decodeJSON([]byte(got))
		if err != nil {
			return
		}
		if len(compare(w, g, true)) == 0 && len(compare(w, g, false)) > 0 && !strings.Contains(want, "array_lacks") {
			t.Errorf("%s matches %s exactly and not as a subset", want, got)
		}
	})
}

func TestVariables(t *testing.T) {
	vars := variables{"a": `x"y`, "b": "2"}
	if got, err := vars.expand("${a}-${b}-$b-${}"); err != nil || got != `x"y-2-$b-${}` {
		t.Errorf("%q, error %v", got, err)
	}
	if got, err := vars.expandJSON(`{"k":"${a}"}`); err != nil || got != `{"k":"x\"y"}` {
		t.Errorf("%q, error %v", got, err)
	}
	if _, err := vars.expand("${c}"); err == nil {
		t.Error("a variable without value passes")
	}
}

func TestCapture(t *testing.T) {
	vars := variables{}
	body := []byte(`{"a":[{"b":"x"},{"b/c":9007199254740993,"~":{"d":[1]}}]}`)
	err := vars.capture(map[string]string{"s": "/a/0/b", "n": "/a/1/b~1c", "j": "/a/1/~0"}, body)
	if err != nil || vars["s"] != "x" || vars["n"] != "9007199254740993" || vars["j"] != `{"d":[1]}` {
		t.Errorf("variables %v, error %v", vars, err)
	}
	for _, pointer := range []string{"/b", "/a/2", "/a/-1", "/a/x", "/a/0/b/c", "a"} {
		if err := vars.capture(map[string]string{"v": pointer}, body); err == nil {
			t.Errorf("pointer %s finds something", pointer)
		}
	}
	if err := vars.capture(map[string]string{"v": ""}, []byte("x")); err == nil {
		t.Error("a reply that is not JSON is captured from")
	}
	if v, ok := resolve(json.Number("1"), ""); !ok || v != json.Number("1") {
		t.Errorf("the empty pointer finds %v", v)
	}
}
