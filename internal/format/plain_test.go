package format

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
)

func encoded(t *testing.T, f Format, v string) ([]byte, error) {
	t.Helper()
	e, err := f.NewEncoder(t.Context(), Schema{Topic: "t", Side: Value, Text: "ignored", ID: 7})
	if err != nil || e.SchemaID() != 0 {
		t.Fatal(err, e)
	}
	if v == "" { // null, or absent
		return e.Encode(nil)
	}
	return e.Encode(jsontext.Value(v))
}

func TestPlainFormats(t *testing.T) {
	for _, test := range []struct {
		f      Format
		in     string
		out    string
		failed string // a part of the error
	}{
		{Binary{}, `""`, "", ""},
		{Binary{}, `"YQ=="`, "a", ""},
		{Binary{}, `"YQ"`, "a", ""}, // without padding
		{Binary{}, `"YWI="`, "ab", ""},
		{Binary{}, `"YWI"`, "ab", ""},
		{Binary{}, `"YWJj"`, "abc", ""},
		{Binary{}, `"\u0059\u0051=="`, "a", ""},
		{Binary{}, `"+\/8="`, "\xfb\xff", ""},
		{Binary{}, `"-_8="`, "", `Bad Request: data="-_8=" is not a valid base64 string.`}, // the URL-safe alphabet
		{Binary{}, `"YQ="`, "", "is not a valid base64 string"},
		{Binary{}, `"Y"`, "", "is not a valid base64 string"},
		{Binary{}, `"YQ==YQ=="`, "", "is not a valid base64 string"},
		{Binary{}, `"YW\nJj"`, "", "is not a valid base64 string"},
		{Binary{}, `"YW Jj"`, "", "is not a valid base64 string"},
		{Binary{}, `"ü"`, "", "is not a valid base64 string"},
		{Binary{}, `7`, "", "Bad Request: data=7 is not a base64 string."},
		{Binary{}, `{"a":1}`, "", `Bad Request: data={"a":1} is not a base64 string.`},
		{Binary{}, `"` + strings.Repeat("%", 5000) + `"`, "", strings.Repeat("%", 199) + "… is not"},

		{JSON{}, `{"a":1}`, `{"a":1}`, ""},
		{JSON{}, ` { "b" : [ 1.50 , 1e400 , 123456789012345678901234567890 ] , "a" : "x y" } `, `{"b":[1.50,1e400,123456789012345678901234567890],"a":"x y"}`, ""},
		{JSON{}, "\n\"a\\u00fc\\/ b\"\t", `"a\u00fc\/ b"`, ""},
		{JSON{}, `{"a": 1, "a": 2}`, `{"a":1,"a":2}`, ""},
		{JSON{}, `""`, `""`, ""},
		{JSON{}, `false`, `false`, ""},

		{Text{}, `""`, "", ""},
		{Text{}, `"a\"\\\u00fc\ud83d\ude00\n"`, "a\"\\ü😀\n", ""},
		{Text{}, `7`, "", "Bad Request: data=7 is not a string"},
		{Text{}, `["a"]`, "", "is not a string"},
	} {
		got, err := encoded(t, test.f, test.in)
		if test.failed == "" {
			if err != nil || string(got) != test.out || got == nil {
				t.Errorf("%s %s: %q %v, want %q", test.f.Name(), test.in, got, err, test.out)
			}
			continue
		}
		if e := kafkarest.AsError(err); e == nil || e.Code != kafkarest.CodeBadRequest || !strings.Contains(e.Message, test.failed) {
			t.Errorf("%s %.50s: %q %v", test.f.Name(), test.in, got, err)
		}
	}
	for _, f := range Plain() {
		if got, err := encoded(t, f, ""); got != nil || err != nil {
			t.Errorf("%s of null: %q %v", f.Name(), got, err)
		}
		if Plain().Find(strings.ToUpper(f.Name())) != f {
			t.Errorf("%s is not found", f.Name())
		}
	}
	if Plain().Find("string") != nil || Plain().Find("") != nil {
		t.Error("found what is not there")
	}
}

func TestPlainDecode(t *testing.T) {
	for _, test := range []struct {
		f         Format
		data, out string // "" for an error
	}{
		{Binary{}, "", `""`}, {Binary{}, "a", `"YQ=="`}, {Binary{}, "\xfb\xff", `"+/8="`},
		{JSON{}, `{"a": 1.50}`, `{"a": 1.50}`}, {JSON{}, " 1 ", " 1 "}, {JSON{}, "", ""}, {JSON{}, "{", ""}, {JSON{}, "1 2", ""}, {JSON{}, "\"\xff\"", ""},
		{JSON{}, strings.Repeat("[", 1000) + strings.Repeat("]", 1000), strings.Repeat("[", 1000) + strings.Repeat("]", 1000)},
		{JSON{}, strings.Repeat("[", 1001) + strings.Repeat("]", 1001), ""},
		{Text{}, "", `""`}, {Text{}, "a\"ü\n", `"a\"ü\n"`}, {Text{}, "\xff", ""},
	} {
		got, err := test.f.Decode(context.Background(), []byte(test.data))
		if string(got) != test.out || (err == nil) != (test.out != "") {
			t.Errorf("%s %.50q: %.50q %v", test.f.Name(), test.data, got, err)
		}
		if err != nil && test.data != "" && len(test.data) > 1 && strings.Contains(err.Error(), test.data) {
			t.Errorf("the error shows data: %v", err)
		}
	}
}

// FuzzPlain: what is stored comes back as it was, and what comes back is JSON that stores the same bytes.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"", "a", `{"a":[1.50,null]}`, "\xff\x00", "ü😀\u2028", `"\ud800"`, "[[[", " 7 "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		for _, format := range Plain() {
			v, err := format.Decode(context.Background(), data)
			if err != nil {
				if format.Name() == "binary" || format.Name() == "text" && utf8.Valid(data) || format.Name() == "json" && json.Valid(data) && utf8.Valid(data) && !TooDeep(data, MaxDepth) && !loneSurrogate(data) {
					t.Errorf("%s cannot decode %q: %v", format.Name(), data, err)
				}
				continue
			}
			if !json.Valid(v) {
				t.Errorf("%s: %q is not JSON", format.Name(), v)
			}
			again, err := encoded(t, format, string(v))
			want := data
			if format.Name() == "json" {
				want = compact(t, data)
			}
			if err != nil || !bytes.Equal(again, want) {
				t.Errorf("%s: %q became %q (%v)", format.Name(), data, again, err)
			}
		}
		if !bytes.Equal(data, before) {
			t.Errorf("decoding has changed the data: %q, %q", before, data)
		}
	})
}

// loneSurrogate says that JSON holds \u escapes, some of which are no text.
func loneSurrogate(data []byte) bool { return bytes.Contains(data, []byte(`\u`)) }

func compact(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzBinary: base64 as the standard library reads it, strictly or without padding.
func FuzzBinary(f *testing.F) {
	for _, seed := range []string{"", "YQ==", "YQ", "Y", "YQ=", "====", "a\nb", "-_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			return
		}
		got, err := encoded(t, Binary{}, string(quoted))
		want, stdErr := base64.StdEncoding.DecodeString(s)
		if stdErr != nil {
			want, stdErr = base64.RawStdEncoding.DecodeString(s)
		}
		if strings.ContainsAny(s, "\r\n") {
			if err == nil {
				t.Errorf("%q has line breaks", s)
			}
			return
		}
		if (err == nil) != (stdErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q %v", s, got, err, want, stdErr)
		}
	})
}

func TestTooDeep(t *testing.T) {
	for _, test := range []struct {
		json  string
		depth int
	}{
		{`1`, 0}, {`"[[["`, 0}, {`[]`, 1}, {`[[],[]]`, 2}, {`{"a":{"b":[1]}}`, 3}, {`["\"[[[[",["\\"]]`, 2}, {`[[[1]],[[[2]]]]`, 4},
	} {
		for limit := range 6 {
			if got := TooDeep([]byte(test.json), limit); got != (test.depth > limit) {
				t.Errorf("%s, limit %d: %v", test.json, limit, got)
			}
		}
	}
}
