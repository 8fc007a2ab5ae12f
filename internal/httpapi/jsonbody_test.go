package httpapi

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
)

func gunzip(t *testing.T, s string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type document struct {
	Text *Text   `json:"text"`
	Int  *Int    `json:"int"`
	List *[]Text `json:"list"`
	Bool bool    `json:"bool"`
}

func TestDecodeJSON(t *testing.T) {
	for _, body := range []string{"", " ", "\n\t", "null", " null\n"} {
		if present, err := DecodeJSON([]byte(body), new(document)); present || err != nil {
			t.Errorf("%q: %v %v", body, present, err)
		}
	}
	for _, test := range []struct {
		body string
		text string
		n    int64
	}{
		{`{"text":"a","int":1}`, "a", 1},
		{` {"text":"ü","int":"12"} `, "ü", 12},
		{`{"text":1.50,"int":1.7}`, "1.50", 1},
		{`{"text":true,"int":-1.7}`, "true", -1},
		{`{"text":"","int":" 5 "}`, "", 5},
		{`{"text":"null","int":9223372036854775807}`, "null", 9223372036854775807},
		{`{"text":"x","int":1e3}`, "x", 1000},
	} {
		var d document
		if present, err := DecodeJSON([]byte(test.body), &d); !present || err != nil || string(*d.Text) != test.text || int64(*d.Int) != test.n {
			t.Errorf("%s: %v %v %+v", test.body, present, err, d)
		}
	}
	for _, test := range []struct {
		body    string
		code    kafkarest.Code
		message string
	}{
		{`{"other":1}`, 422, "Unrecognized field: other"},
		{`{"text":"a","text":"b"}`, 400, "Duplicate field 'text'"},
		{`{"text":`, 400, "Unexpected end-of-input: the document ends at byte 8, before it is complete"},
		{`{`, 400, "Unexpected end-of-input: the document ends at byte 1, before it is complete"},
		{`foobar`, 400, "Unrecognized token 'foobar': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false') at byte "},
		{`{"text":nope}`, 400, "Unrecognized token 'nope': was expecting"},
		{`{"text":"a"} x`, 400, "Unrecognized token 'x'"},
		{`{"text":"a"}{}`, 400, "Unexpected character or structure at byte 12"},
		{`{"text":"a",}`, 400, "Unexpected character or structure at byte"},
		{`[]`, 400, "Cannot deserialize value of type `document` from Array value (token `JsonToken.START_ARRAY`): the document"},
		{`"a"`, 400, "Cannot deserialize value of type `document` from String value: the document"},
		{`{"text":[]}`, 400, "Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`): /text"},
		{`{"text":{}}`, 400, "Cannot deserialize value of type `java.lang.String` from Object value (token `JsonToken.START_OBJECT`): /text"},
		{`{"int":"x"}`, 400, "Cannot deserialize value of type `int` from String value: /int"},
		{`{"int":true}`, 400, "Cannot deserialize value of type `int` from Boolean value: /int"},
		{`{"int":1e30}`, 400, "Cannot deserialize value of type `int` from Number value: /int"},
		{`{"int":9223372036854775808}`, 400, "Cannot deserialize value of type `int` from Number value: /int"},
		{`{"int":"9223372036854775808"}`, 400, "Cannot deserialize value of type `int` from String value: /int"},
		{`{"int":"1.5"}`, 400, "Cannot deserialize value of type `int` from String value: /int"},
		{`{"list":{}}`, 400, "Cannot deserialize value of type `java.util.ArrayList` from Object value (token `JsonToken.START_OBJECT`): /list"},
		{`{"list":["a",[]]}`, 400, "Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`): /list/1"},
		{`{"bool":1}`, 400, "Cannot deserialize value of type `bool` from Number value: /bool"},
		{"{\"text\":\"\xff\"}", 400, "Unexpected character or structure at byte"},
		{"\x00", 400, "Unexpected character or structure at byte 0"},
	} {
		_, err := DecodeJSON([]byte(test.body), new(document))
		if e := kafkarest.AsError(err); e == nil || e.Code != test.code || !strings.HasPrefix(e.Message, test.message) {
			t.Errorf("%s:\n got %+v\nwant %d %s", test.body, e, test.code, test.message)
		}
	}
}

func TestJSONErrorOfOtherErrors(t *testing.T) {
	known := kafkarest.Errorf(42201, "known")
	if got := JSONError(nil, errors.Join(errors.New("x"), known)); !errors.Is(got, known) {
		t.Errorf("%v", got)
	}
	for err, message := range map[error]string{
		io.EOF:               "Unexpected end-of-input",
		errors.New("secret"): "The request body is not the JSON that is expected here.",
	} {
		if e := kafkarest.AsError(JSONError(nil, err)); e.Code != 400 || !strings.HasPrefix(e.Message, message) {
			t.Errorf("%v: %+v", err, e)
		}
	}
}

// FuzzDecodeJSON: what is refused is refused with a code of the client's, what is taken is JSON.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"text":"a","int":1}`, `{"int":1.5e2}`, `{"list":["a",1,true]}`, `{"text":"\ud800"}`, `null`, ` `, `{"a":`, `[[[[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := string(body)
		present, err := DecodeJSON(body, new(document))
		if err == nil && present && !json.Valid([]byte(sent)) {
			t.Errorf("taken and not JSON: %q", sent)
		}
		if e := kafkarest.AsError(err); e != nil && e.Code != 400 && e.Code != 422 {
			t.Errorf("%q: %v", sent, err)
		}
	})
}

// FuzzParseInt: a whole number that fits is taken as it is, in quotes too.
func FuzzParseInt(f *testing.F) {
	for _, seed := range []string{"0", "-1", `"7"`, "1.9", "9223372036854775807", "-9223372036854775808", "1e18", "null"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := jsontext.Value(s)
		if !v.IsValid() {
			return
		}
		got, err := ParseInt(v)
		var want int64
		if json.Unmarshal([]byte(s), &want) == nil && v.Kind() == '0' && (err != nil || got != want) {
			t.Errorf("%q: %d %v", s, got, err)
		}
	})
}
