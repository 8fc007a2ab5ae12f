package tests

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The tests TestD1 … TestD17 are named after the defects that users of other proxies have reported, each of which they would show if this
// proxy had it. D15 belongs to the v3 API and D16 to formats with schemas.

// stored gives the values of a topic with one partition, in order.
func stored(t *testing.T, b broker, topic string) [][]byte {
	t.Helper()
	var values [][]byte
	for _, r := range harness.ReadLog(t, b, topic) {
		values = append(values, r.Value)
	}
	return values
}

// wantValues compares values byte by byte; nil is Kafka's null and differs from empty.
func wantValues(t *testing.T, got [][]byte, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records are stored, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if string(got[i]) != string(want[i]) || (got[i] == nil) != (want[i] == nil) {
			t.Errorf("record %d is stored as %s, want %s", i, show(got[i]), show(want[i]))
		}
	}
}

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes %q", len(b), b)
}

// D1: JSON 0, false, "", {}, [] and null all became empty bytes, and read back as null.
func TestD1FalsyJSONValuesKeepTheirBytes(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		r := p.Produce(topic, harness.JSON, `{"records":[{"value":0},{"value":false},{"value":""},{"value":{}},{"value":[]},{"value":null}]}`)
		for i, o := range r.Outcomes() {
			if *o.Offset != int64(i) {
				t.Errorf("record %d is acknowledged at offset %d", i, *o.Offset)
			}
		}
		wantValues(t, stored(t, b, topic), []byte("0"), []byte("false"), []byte(`""`), []byte("{}"), []byte("[]"), nil)
		list := p.ReadN(p.Reader("json", topic), harness.JSON, "?timeout=5000", 6)
		for i, want := range []string{"0", "false", `""`, "{}", "[]", "null"} {
			if got, _ := json.Marshal(list[i].Value); string(got) != want {
				t.Errorf("record %d reads back as %s, want %s", i, got, want)
			}
		}
	})
}

// D2: a JSON null was stored as the four bytes null, a binary null as three bytes of junk, text refused it, and nothing could write a
// tombstone. JSON numbers and booleans as values were refused.
func TestD2EveryFormatWritesTombstones(t *testing.T) {
	formats := []struct{ name, mediaType, empty string }{
		{"json", harness.JSON, `""`}, {"binary", harness.Binary, ""}, {"text", harness.Text, ""},
	}
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		for _, f := range formats {
			t.Run(f.name, func(t *testing.T) {
				topic := harness.CreateTopic(t, b, 1)
				p.Produce(topic, f.mediaType, `{"records":[{"key":"YQ==","value":null},{"key":"YQ=="},{"key":null,"value":""},{"key":"","value":""},{"value":""}]}`)
				log := harness.ReadLog(t, b, topic)
				wantValues(t, stored(t, b, topic), nil, nil, []byte(f.empty), []byte(f.empty), []byte(f.empty))
				for i, wantNull := range []bool{false, false, true, false, true} {
					if (log[i].Key == nil) != wantNull {
						t.Errorf("the key of record %d is stored as %s", i, show(log[i].Key))
					}
				}
				if got := string(log[3].Key); got != f.empty {
					t.Errorf("the empty key is stored as %q, want %q", got, f.empty)
				}
				list := p.ReadN(p.Reader(f.name, topic), f.mediaType, "?timeout=5000", 5)
				if list[0].Value != nil || list[1].Value != nil || list[2].Value != "" || list[2].Key != nil || list[3].Key != "" {
					t.Errorf("read back as %+v", list)
				}
			})
		}
	})
}

// D3: numbers went through a double: 1.10 became 1.1, and long ones were cut.
func TestD3JSONReachesKafkaAsSent(t *testing.T) {
	values := []string{
		"1.10", "0.1000000000000000055511151231257827", "9007199254740993", "-170141183460469231731687303715884105728", "1E400", "-0", "1e-7",
		`"\u0041\/\u00e9"`, `"é😀"`, `{"b":1,"a":2,"b":3}`, `[1.0,[],{"x":"a b"}]`, `"  two  spaces  "`,
	}
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		var body strings.Builder
		var want [][]byte
		for i, v := range values {
			fmt.Fprintf(&body, "%s{\"value\": \n%s\t}", strings.Repeat(",", min(i, 1)), v)
			want = append(want, []byte(v))
		}
		body.WriteString(`, {"value" : { "a" : [ 1 , 2.50 ] , "s" : " \" { " } }`)
		want = append(want, []byte(`{"a":[1,2.50],"s":" \" { "}`))
		p.Produce(topic, harness.JSON, `{"records":[`+body.String()+`]}`)
		wantValues(t, stored(t, b, topic), want...)
		reply := p.Read(p.Reader("json", topic), harness.JSON, "?timeout=10000").Body
		for _, v := range values {
			if !strings.Contains(reply, `"value":`+v+`,`) {
				t.Errorf("%s does not read back as sent: %s", v, reply)
			}
		}
	})
}

// D4: one record that was no JSON failed the whole fetch; a JSON null was stored as text.
func TestD4OneBadRecordDoesNotFailTheOthers(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := poisoned(t, b)
		list := p.ReadN(p.Reader("json", topic), harness.JSON, "?timeout=5000&on_decode_error=report", 10)
		for i, r := range list {
			if bad := i == poisonAt; bad != (r.Error != "") {
				t.Errorf("record %d: error %q", i, r.Error)
			}
		}
		if raw := list[poisonAt].RawValue; raw == nil || *raw != base64.StdEncoding.EncodeToString([]byte(poison)) {
			t.Errorf("the bad record comes with raw_value %v", raw)
		}
	})
}

// poison is no JSON; it is the record at offset poisonAt of poisoned's topic.
const (
	poison   = `{"cut`
	poisonAt = 4
)

// poisoned makes a topic with ten JSON records, of which one is broken.
func poisoned(t *testing.T, b broker) string {
	t.Helper()
	topic := harness.CreateTopic(t, b, 1)
	var records []*kgo.Record
	for i := range 10 {
		r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, `{"n":%d}`, i)}
		if i == poisonAt {
			r.Value = []byte(poison)
		}
		records = append(records, r)
	}
	harness.Store(t, b, records...)
	return topic
}

// Keyed records must land where the Java client puts them, or a consumer that counts on its partition misses them.
func TestKeysLandWhereJavaPutsThem(t *testing.T) {
	data, err := os.ReadFile("../internal/produce/testdata/murmur2.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Counts  []int `json:"partition_counts"`
		Vectors []struct {
			Key        []byte  `json:"key"`
			Partitions []int32 `json:"partitions"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		for c, count := range file.Counts {
			if count > 12 {
				continue // no more is learned from many partitions, and they take their time
			}
			topic := harness.CreateTopic(t, b, count)
			var records []string
			for _, v := range file.Vectors {
				records = append(records, fmt.Sprintf(`{"key":%q,"value":"AA=="}`, base64.StdEncoding.EncodeToString(v.Key)))
			}
			r := p.Produce(topic, harness.Binary, `{"records":[`+strings.Join(records, ",")+`]}`)
			for i, o := range r.Outcomes() {
				if v := file.Vectors[i]; *o.Partition != v.Partitions[c] {
					t.Errorf("key %x is on partition %d of %d, Java puts it on %d", v.Key, *o.Partition, count, v.Partitions[c])
				}
			}
			if len(r.Outcomes()) != len(file.Vectors) || len(file.Vectors) == 0 {
				t.Errorf("%d outcomes of %d keys", len(r.Outcomes()), len(file.Vectors))
			}
		}
	})
}
