package v2

import (
	"strings"
	"testing"

	"kafkarest"
	"kafkarest/internal/format"

	"github.com/google/go-cmp/cmp"
)

var envelopes = []string{
	`{"records":[{"value":1}]}`, ` { "records" : [ { "key" : "k" , "value" : { "a" : [1, null] } , "partition" : 3 } , { } ] } ` + "\n", `{"records":[{"key":null,"value":null}]}`,
	`{"records":[]}`, `{"records":[{}]}`, `{"records":[{"value":1,"value":2}]}`, `{"records":[{"value":1},]}`, `{"records":[{"value":1,}]}`, `{"records":[{"partition":"1"}]}`,
	`{"records":[{"partition":01}]}`, `{"records":[{"partition":1.5}]}`, `{"records":[{"partition":-1}]}`, `{"records":[{"partition":1e2}]}`, `{"records":[{"partition":99999999999}]}`,
	`{"records":[{"partition":2147483648}]}`, `{"records":[{"partition":null}]}`, `{"records":[{"value":nul}]}`, `{"records":[{"value":nullx}]}`, `{"records":[{"value":"a\ud800"}]}`,
	`{"records":[{"value":1}],"key_schema":"x"}`, `{"records":[{"value":1}]}x`, `{"records":[{"value":1}]`, `{"rec\u006frds":[{"value":1}]}`, `{"records":[{"v\u0061lue":1}]}`,
	`{"records":[{"value":1,"headers":[]}]}`, `[]`, `null`, ``, `{"records":[null]}`, `{"records":[{"value":"` + strings.Repeat("x", 40) + `é"}]}`,
	`{"records":[{"value":` + strings.Repeat("[", 6) + strings.Repeat("]", 6) + `}]}`, "{\"records\":[{\"value\":\"\x01\"}]}", "{\"records\":[{\"value\":\"12345678\xff\"}]}",
}

// agree holds the fast parser against the general one: what it accepts must be what the other gives.
func agree(t *testing.T, a *API, body string) {
	t.Helper()
	fast, ok := a.parseFast([]byte(body), kafkarest.AnyPartition)
	if !ok {
		return
	}
	env, err := a.parseGeneral([]byte(body), "produceJson.arg2", kafkarest.AnyPartition)
	if err != nil {
		t.Fatalf("%q: the fast parser takes what the general one refuses: %v", body, err)
	}
	if diff := cmp.Diff(env.items, fast); diff != "" {
		t.Fatalf("%q (-general +fast):\n%s", body, diff)
	}
}

func testAPI() *API { return New(Config{MaxRecords: 10, MaxDepth: 5}, nil, nil, nil, format.Plain()) }

func TestFastParserAgrees(t *testing.T) {
	taken := 0
	for _, body := range envelopes {
		agree(t, testAPI(), body)
		if _, ok := testAPI().parseFast([]byte(body), 0); ok {
			taken++
		}
	}
	if taken < 4 {
		t.Errorf("the fast parser took %d of the samples: it must take the ordinary ones", taken)
	}
}

func FuzzFastParser(f *testing.F) {
	for _, body := range envelopes {
		f.Add(body)
	}
	a := testAPI()
	f.Fuzz(func(t *testing.T, body string) { agree(t, a, body) })
}
