package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMessagesReadPlaces(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 3)
		storeNumbers(t, b, topic, 3, 0, 90)
		m := p.messages(topic)
		for path, want := range map[string][]string{
			"/-/earliest":                      numerals(0, 90),
			"/-/latest":                        nil,
			"/me/-5":                           numerals(85, 90),
			"/-/2023-11-14T22:14:35Z":          numerals(75, 90),
			"/-/2023-11-14T23:14:35%2B01:00":   numerals(75, 90),
			"/-/earliest?limit=2&partition=1":  {"1", "4"},
			"/-/28?partition=2":                {"86", "89"},
			"/-/10?partition=0&max_bytes=1":    {"30"},
			"/-/-2?partition=0":                {"84", "87"},
			"/-/29?partition=0&partition=1":    {"87", "88"},
			"/-/99?partition=0":                nil,
			"/-/earliest?wait=5&limit=1000000": nil,
		} {
			if strings.Contains(path, "limit=1000000") {
				m.want(422, 422, "GET", path)
				continue
			}
			if got := m.get(path).values(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", path, got, want)
			}
		}
		m.want(422, 422, "GET", "/-/5")
		m.want(404, 40402, "GET", "/-/5?partition=3")
		m.want(422, 422, "GET", "/-/yesterday")
		m.want(422, 422, "GET", "/-/AQEBAAAAAAAA")
		m.want(422, 422, "GET", "/-/earliest?partitions=1")
		p.messages("nosuch.topic").want(404, 40401, "GET", "/-/earliest")
	})
}

// TestMessagesReadByCursor reads a topic to its end in small bits, each from another node than the one before.
func TestMessagesReadByCursor(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		nodes := []*proxy{startProxy(t, b, nil), startProxy(t, b, nil)}
		topic := harness.CreateTopic(t, b, 4)
		storeNumbers(t, b, topic, 4, 0, 200)
		var got []string
		next := "earliest"
		for n := 0; ; n++ {
			list := nodes[n%2].messages(topic).get("/-/" + next + "?limit=7")
			if len(list.Messages) == 0 {
				break
			}
			got = append(got, list.values()...)
			next = list.Next
		}
		if !slices.Equal(sortedNumerals(got), numerals(0, 200)) {
			t.Errorf("%d messages, want 200, each once", len(got))
		}
		storeNumbers(t, b, topic, 4, 200, 201)
		if got := nodes[0].messages(topic).get("/-/" + next + "?wait=20").values(); !slices.Equal(got, []string{"200"}) {
			t.Errorf("after the end: %v", got)
		}
	})
}

func TestMessagesReadWaits(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 2)
		m := p.messages(topic)
		begin := time.Now()
		if list := m.get("/-/latest?wait=0.3"); len(list.Messages) > 0 || time.Since(begin) < 300*time.Millisecond {
			t.Errorf("waited %v for %v", time.Since(begin), list)
		}
		var wg sync.WaitGroup
		for range 20 { // all of them get it
			cursor := m.get("/-/latest").Next
			wg.Go(func() {
				if got := m.get("/-/" + cursor + "?wait=20").values(); !slices.Equal(got, []string{"0"}) {
					t.Errorf("got %v", got)
				}
			})
		}
		storeNumbers(t, b, topic, 2, 0, 1)
		wg.Wait()
	})
}

func TestMessagesReadRepresentations(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		at := time.UnixMilli(1_700_000_000_123)
		harness.Store(t, b,
			&kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("{\n \"n\": 1.10, \"big\": 12345678901234567890123\n}"), Timestamp: at,
				Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("text/x-odd")}, {Key: "bin", Value: []byte{0xff}}, {Key: "null"}}},
			&kgo.Record{Topic: topic, Key: []byte{0xfe, 0xff}, Value: []byte("plain \"text\"\n")},
			&kgo.Record{Topic: topic, Key: []byte{}, Value: []byte{0x00, 0xff}},
			&kgo.Record{Topic: topic, Key: []byte("gone")},
		)
		m := p.messages(topic)
		list := m.get("/-/earliest").Messages
		want := []struct{ key, value, keyAs, valueAs string }{
			{`"k"`, `{"n":1.10,"big":12345678901234567890123}`, "text", "json"},
			{`"/v8="`, `"plain \"text\"\n"`, "base64", "text"},
			{`""`, `"AP8="`, "text", "base64"},
			{`"gone"`, `null`, "text", ""},
		}
		for i, w := range want {
			g := list[i]
			if string(g.Key) != w.key || string(g.Value) != w.value || g.Encoding["key"] != w.keyAs || g.Encoding["value"] != w.valueAs {
				t.Errorf("%d: %s %s %v, want %+v", i, g.Key, g.Value, g.Encoding, w)
			}
		}
		if h := list[0].Headers; len(h) != 3 || h[0] != (messageHeader{"content-type", "text/x-odd", ""}) || h[1] != (messageHeader{"bin", "/w==", "base64"}) || list[0].Timestamp != at.UnixMilli() {
			t.Errorf("headers %v, timestamp %d", h, list[0].Timestamp)
		}
		json := m.get("/-/earliest?value_format=json&key_format=base64").Messages
		if e := json[1].Error; e == nil || e.Code != 42209 || e.Side != "value" || string(json[1].Value) != `"cGxhaW4gInRleHQiCg=="` || json[0].Error != nil {
			t.Errorf("a value that is no JSON, read as JSON: %+v %s", e, json[1].Value)
		}
		if len(json) != 4 || string(json[3].Key) != `"Z29uZQ=="` {
			t.Errorf("its neighbours: %v", json)
		}
		m.want(422, 422, "GET", "/-/0?value_format=xml")
		raw := m.Do("GET", "/messages/"+topic+"/-/1", "", "Accept", "application/octet-stream")
		if raw.Body != "plain \"text\"\n" || raw.Header.Get("Kafka-Offset") != "1" || raw.Header.Get("Kafka-Key-Base64") != "/v8=" ||
			raw.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("raw: %q %v", raw.Body, raw.Header)
		}
		if raw := m.Do("GET", "/messages/"+topic+"/-/"+raw.Header.Get("Kafka-Next"), "", "Accept", "application/octet-stream"); raw.Header.Get("Kafka-Offset") != "2" {
			t.Errorf("the one after it: %v", raw.Header)
		}
		if raw := m.Do("GET", "/messages/"+topic+"/-/latest", "", "Accept", "application/octet-stream"); raw.Status != 204 {
			t.Errorf("nothing, raw: %d", raw.Status)
		}
		checkParts(t, m)
	})
}

func checkParts(t *testing.T, m messageReader) {
	t.Helper()
	r := m.Do("GET", "/messages/"+m.topic+"/-/earliest", "", "Accept", "multipart/mixed")
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(strings.NewReader(r.Body), params["boundary"])
	for i := 0; ; i++ {
		part, err := parts.NextPart()
		if err == io.EOF {
			if i != 4 {
				t.Errorf("%d parts", i)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(part)
		h := part.Header
		if h.Get("Kafka-Offset") != fmt.Sprint(i) {
			t.Errorf("part %d: %v", i, h)
		}
		switch i {
		case 0:
			if h.Get("Content-Type") != "text/x-odd" || h.Get("Kafka-Key") != "k" || h.Get("Kafka-Headers-Left-Out") != "2" {
				t.Errorf("part 0: %v", h)
			}
		case 1:
			if string(body) != "plain \"text\"\n" {
				t.Errorf("part 1: %q", body)
			}
		case 3:
			if h.Get("Kafka-Tombstone") != "true" || len(body) > 0 {
				t.Errorf("part 3: %v %q", h, body)
			}
		}
	}
}

func TestMessagesEventStream(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p, other := startProxy(t, b, nil), startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 3)
		s := p.messages(topic).open("/-/latest", "text/event-stream")
		s.line("retry: ")
		var slowest time.Duration
		last := ""
		for i := range 20 {
			if r := p.Do("PUT", "/messages/"+topic, fmt.Sprint(i)); r.Status != 200 {
				t.Fatalf("PUT: %d %s", r.Status, r.Body)
			}
			stored := time.Now()
			got, id := s.event()
			if string(got.Value) != fmt.Sprint(i) {
				t.Fatalf("message %d: %s", i, got.Value)
			}
			slowest = max(slowest, time.Since(stored))
			if i == 9 {
				last = id
			}
		}
		t.Logf("the slowest of 20 came %v after its 200", slowest)
		if slowest > 250*time.Millisecond { // 50 ms where the machine does nothing else
			t.Errorf("the slowest came %v after its 200", slowest)
		}
		// On another node, from the tenth on; the place in the path is where a first connection begins.
		again := other.messages(topic).open("/-/latest", "text/event-stream", "Last-Event-ID", last)
		for i := 10; i < 20; i++ {
			if got, _ := again.event(); string(got.Value) != fmt.Sprint(i) {
				t.Fatalf("resumed, message %d: %s", i, got.Value)
			}
		}
	})
}

// TestMessagesEventIDs has the first event of a stream name the place that a read to there gives: neither waits in a topic that was made anew.
func TestMessagesEventIDs(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		storeNumbers(t, b, topic, 1, 0, 3)
		m := p.messages(topic)
		s := m.open("/-/0", "text/event-stream")
		s.line("retry: ")
		_, id := s.event()
		if next := m.get("/-/0?limit=1").Next; id != next {
			t.Errorf("the id of the first event is %s, and next after its message is %s", id, next)
		}
	})
}

func TestMessagesLineStream(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 2)
		storeNumbers(t, b, topic, 2, 0, 500)
		m := p.messages(topic)
		s := m.open("/-/earliest", "application/x-ndjson")
		var got []string
		for len(got) < 500 {
			if line := s.line(`{"topic"`); line != "" {
				got = append(got, string(s.parse(`{"topic"`+line).Value))
			}
		}
		if !slices.Equal(got, numerals(0, 500)) {
			t.Errorf("not each once and by time: %v", got)
		}
		next := s.line(`{"next":"`)
		storeNumbers(t, b, topic, 2, 500, 501)
		if got := string(s.parse(s.line("")).Value); got != "500" {
			t.Errorf("after the end: %s", got)
		}
		if got := m.get("/-/" + next[:len(next)-2]).values(); !slices.Equal(got, []string{"500"}) {
			t.Errorf("from the cursor of the stream: %v", got)
		}
	})
}

// TestMessagesSlowReader has clients that never read beside one that does: it gets everything at its own pace.
func TestMessagesSlowReader(t *testing.T) {
	const records, size = 4000, 10_000
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"response.write.timeout.ms": "2000"})
	topic := harness.CreateTopic(t, b, 1)
	m := p.messages(topic)
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /messages/%s/-/earliest HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", topic); err != nil {
			t.Fatal(err)
		}
	}
	s := m.open("/-/latest", "text/event-stream")
	s.line("retry: ")
	begin := time.Now()
	value := strings.Repeat("x", size)
	go func() {
		for i := 0; i < records; i += 100 {
			var list []*kgo.Record
			for n := range 100 {
				list = append(list, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d %s", i+n, value)})
			}
			harness.Store(t, b, list...)
		}
	}()
	for i := range records {
		var text string
		got, _ := s.event()
		if err := json.Unmarshal(got.Value, &text); err != nil || !strings.HasPrefix(text, fmt.Sprintf("%d ", i)) {
			t.Fatalf("message %d: %v %.40s", i, err, text)
		}
	}
	t.Logf("%d messages of %d bytes in %v", records, size, time.Since(begin))
	if time.Since(begin) > 20*time.Second {
		t.Error("those that do not read held up the one that does")
	}
}

// TestMessagesAndV2 reads what one API wrote through the other.
func TestMessagesAndV2(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		m := p.messages(topic)
		p.Produce(topic, harness.JSON, `{"records":[{"key":"a","value":{"n":1.10}},{"value":null}]}`)
		if r := p.Do("PUT", "/messages/"+topic+"?key=b", `{"n": 2}`, "Content-Type", "application/json"); r.Status != 200 {
			t.Fatalf("PUT: %d %s", r.Status, r.Body)
		}
		list := m.get("/-/earliest").Messages
		if len(list) != 3 || string(list[0].Value) != `{"n":1.10}` || string(list[1].Value) != "null" || string(list[2].Key) != `"b"` {
			t.Errorf("through messages: %v", list)
		}
		i := p.Reader("binary", topic)
		var values []any
		for _, r := range p.ReadN(i, harness.Binary, "", 3) {
			values = append(values, r.Value)
		}
		if fmt.Sprint(values) != "[eyJuIjoxLjEwfQ== <nil> eyJuIjogMn0=]" {
			t.Errorf("through v2: %v", values)
		}
	})
}
