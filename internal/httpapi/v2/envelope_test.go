package v2

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, body string) (envelope, *kafkarest.Error) {
	t.Helper()
	env, err := testAPI().parse([]byte(body), "produceJson.arg2", kafkarest.AnyPartition)
	return env, kafkarest.AsError(err)
}

// TestEnvelope reads everything that an envelope may have. What is wrong with others is in testdata/produce_errors.txt.
func TestEnvelope(t *testing.T) {
	env, err := parse(t, `{"key_schema":"\"string\"","value_schema_id":"7","key_schema_id":null,"value_schema":null,
		"key_schema_references":[{"name":"a","subject":"b","version":1}],"value_schema_references":null,
		"records":[
			{"key":1.50,"value":{"a" : [ 1 ]},"partition":2,"timestamp":"2026-01-31T12:00:00.5Z","headers":[{"key":"h","value":"YQ=="},{"value":null,"key":"h"}]},
			{"timestamp":"1000","headers":null,"partition":null,"key":null},
			{"timestamp":0,"headers":[]}
		]}`)
	if err != nil {
		t.Fatal(err)
	}
	if env.keySchema != `"string"` || env.valueSchemaID != 7 || env.keySchemaID != 0 || env.valueSchema != "" || len(env.keyReferences) != 1 || env.valueReferences != nil {
		t.Errorf("schemas: %+v", env)
	}
	first, second, third := env.items[0], env.items[1], env.items[2]
	if string(first.Key) != "1.50" || string(first.Value) != `{"a" : [ 1 ]}` || first.Partition != 2 || !first.Timestamp.Equal(time.UnixMilli(1769860800500)) {
		t.Errorf("%+v", first)
	}
	if d := cmp.Diff([]kafkarest.Header{{Key: "h", Value: []byte("a")}, {Key: "h"}}, first.Headers); d != "" {
		t.Error(d)
	}
	if second.Key != nil || second.Value != nil || second.Partition != kafkarest.AnyPartition || !second.Timestamp.Equal(time.UnixMilli(1000)) || second.Headers != nil {
		t.Errorf("%+v", second)
	}
	if !third.Timestamp.Equal(time.UnixMilli(0)) || len(third.Headers) > 0 {
		t.Errorf("%+v", third)
	}
}

// The Kafka client would store a later time as one before 1970.
func TestEnvelopeTimestamps(t *testing.T) {
	for _, timestamp := range []string{`9223372036855`, `"9223372036855"`, `253402300799000`, `"9999-12-31T23:59:59Z"`, `-1`} {
		if _, err := parse(t, `{"records":[{"timestamp":`+timestamp+`}]}`); err == nil || err.Code != 422 || !strings.Contains(err.Message, "2262") {
			t.Errorf("%s: %v", timestamp, err)
		}
	}
	for _, timestamp := range []string{`9223372036854`, `"2262-04-11T23:47:16.854Z"`} {
		if env, err := parse(t, `{"records":[{"timestamp":`+timestamp+`}]}`); err != nil || env.items[0].Timestamp.UnixMilli() != produce.MaxTimestamp {
			t.Errorf("%s: %v", timestamp, err)
		}
	}
}

func TestEnvelopeLimits(t *testing.T) { // of testAPI: 10 records, 5 levels
	many := func(n int, record string) string {
		return `{"records":[` + strings.TrimSuffix(strings.Repeat(record+",", n), ",") + `]}`
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct {
		body string
		code kafkarest.Code
		text string
	}{
		{many(10, `{"value":1}`), 0, ""},
		{many(11, `{"value":1}`), 413, "more than 10 records (request.max.records)"},
		{many(11, `{"other":1}`), 422, "Unrecognized field"},
		{many(1, `{"value":`+deep(5)+`}`), 0, ""},
		{many(1, `{"value":`+deep(6)+`}`), 400, "records[0].value nests deeper than 5 levels (request.max.depth)"},
		{many(1, `{"value":1},{"key":`+deep(6)+`}`), 400, "records[1].key nests deeper"},
		{many(1, `{"value":`+strings.Repeat("[", 1<<20)), 400, ""}, // no stack is used up
		{many(1, `{"value":`+deep(1<<16)+`}`), 400, ""},
		{`{"value_schema_references":` + deep(1<<16) + `,"records":[{}]}`, 400, ""},
		{strings.Repeat(`{"records":`, 1<<16), 400, ""},
	} {
		if _, err := parse(t, test.body); (err == nil) != (test.code == 0) || err != nil && (err.Code != test.code || !strings.Contains(err.Message, test.text)) {
			t.Errorf("%.80s: %v, want %d %s", test.body, err, test.code, test.text)
		} else if err != nil && len(err.Message) > 1000 {
			t.Errorf("%.80s: the message has %d bytes", test.body, len(err.Message))
		}
	}
}

// FuzzEnvelope holds the parser against encoding/json: what is taken is JSON, and its keys and values are the bytes that were sent.
func FuzzEnvelope(f *testing.F) {
	for _, body := range envelopes {
		f.Add(body)
	}
	for _, body := range []string{
		`{"records":[{"headers":[{"key":"a","value":"YQ=="}],"timestamp":1}],"key_schema":"x","value_schema_id":1}`,
		`{"records":[{"timestamp":"2026-01-31T12:00:00Z","partition":"1"}],"value_schema_references":[{"name":"a","subject":"b","version":1}]}`,
	} {
		f.Add(body)
	}
	a := testAPI()
	f.Fuzz(func(t *testing.T, body string) {
		sent := []byte(body)
		env, err := a.parse(sent, "produceJson.arg2", kafkarest.AnyPartition)
		if string(sent) != body {
			t.Fatalf("%q was changed to %q", body, sent)
		}
		if e := kafkarest.AsError(err); e != nil {
			if e.Code != 400 && e.Code != 413 && e.Code != 422 {
				t.Fatalf("%q: %v", body, e)
			}
			return
		}
		var oracle struct{ Records []map[string]json.RawMessage }
		if err := json.Unmarshal(sent, &oracle); err != nil || len(oracle.Records) != len(env.items) {
			t.Fatalf("%q: taken with %d records, encoding/json has %d: %v", body, len(env.items), len(oracle.Records), err)
		}
		for i, item := range env.items {
			for name, got := range map[string]jsontext.Value{"key": item.Key, "value": item.Value} {
				want := oracle.Records[i][name]
				if string(want) == "null" {
					want = nil
				}
				if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
					t.Errorf("%q: records[%d].%s is %q, want %q", body, i, name, got, want)
				}
			}
		}
	})
}

func TestParseTime(t *testing.T) {
	for _, test := range []struct {
		json  string
		milli int64 // -1 for none
	}{
		{`0`, 0}, {`1`, 1000}, {`1.5`, 1500}, {`0.0019`, 1}, {`1769860800`, 1769860800000}, {`1e3`, 1000000}, {`9223372036854774`, 9223372036854774000},
		{`"1970-01-01T00:00:00Z"`, 0}, {`"2026-01-31T12:00:00Z"`, 1769860800000}, {`"2026-01-31T14:00:00.123456789+02:00"`, 1769860800123}, {`"2026-01-31T12:00Z"`, 1769860800000},
		{`"2026-01-31T12:00:00\u005a"`, 1769860800000}, {`"9999-12-31T23:59:59Z"`, 253402300799000},
		{`-1`, -1}, {`-0.5`, -1}, {`1e30`, -1}, {`9223372036854775807`, -1}, {`"1969-12-31T23:59:59Z"`, -1}, {`"2026-01-31"`, -1}, {`"1769860800"`, -1}, {`""`, -1}, {`null`, -1}, {``, -1},
		{`true`, -1}, {`{}`, -1}, {`[]`, -1},
	} {
		got, err := parseTime(jsontext.Value(test.json), "where")
		if e := kafkarest.AsError(err); test.milli < 0 && (e == nil || e.Code != 422 || !strings.HasPrefix(e.Message, "where.timestamp must be an ISO 8601 time")) ||
			test.milli >= 0 && (e != nil || got.UnixMilli() != test.milli) {
			t.Errorf("%s: %d %v, want %d", test.json, got.UnixMilli(), err, test.milli)
		}
	}
}

// FuzzParseTime: no time before 1970 and none that milliseconds cannot hold.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{`1.5`, `1e3`, `"2026-01-31T12:00:00Z"`, `"2026-01-31T12:00+01:00"`, `-0`, `9223372036854775`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v := jsontext.Value(s); v.IsValid() {
			if at, err := parseTime(bytes.TrimSpace(v), "where"); err == nil && (at.UnixMilli() < 0 || !time.UnixMilli(at.UnixMilli()).Equal(at.Truncate(time.Millisecond))) {
				t.Errorf("%q: %v", s, at)
			}
		}
	})
}

// TestPool: a parser that is used again remembers nothing, whatever ended its use before.
func TestPool(t *testing.T) {
	for _, before := range []string{`{"records":[{"value":`, `{"records":[{"value":1,"headers":[]}],"key_schema":"old","value_schema_id":9}`, "\xff", ``} {
		_, _ = parse(t, before)
		env, err := parse(t, `{"records":[{"value":2,"headers":null}]}`)
		if err != nil || len(env.items) != 1 || string(env.items[0].Value) != "2" || env.keySchema != "" || env.valueSchemaID != 0 {
			t.Errorf("after %q: %+v %v", before, env, err)
		}
	}
}
