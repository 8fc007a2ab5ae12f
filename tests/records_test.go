package tests

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Headers and timestamps go in always, and come out only when they are asked for: strict clients refuse members that they do not know.
func TestHeadersAndTimestamps(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		p.Produce(topic, harness.JSON, `{"records":[
			{"value":1,"headers":[{"key":"a","value":"AQI="},{"key":"a","value":null},{"key":"","value":""}],"timestamp":1700000000123},
			{"value":2,"timestamp":"2020-02-29T12:00:00.5+02:00"},
			{"value":3}]}`)
		log := harness.ReadLog(t, b, topic)
		want := []kgo.RecordHeader{{Key: "a", Value: []byte{1, 2}}, {Key: "a"}, {Key: "", Value: []byte{}}}
		if got := log[0].Headers; fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("headers are stored as %#v", got)
		}
		if got := log[0].Timestamp.UnixMilli(); got != 1700000000123 {
			t.Errorf("the first timestamp is stored as %d", got)
		}
		if got := log[1].Timestamp.UTC().Format(time.RFC3339Nano); got != "2020-02-29T10:00:00.5Z" {
			t.Errorf("the second timestamp is stored as %s", got)
		}
		if age := time.Since(log[2].Timestamp); age < -time.Minute || age > time.Minute {
			t.Errorf("a record without a timestamp is stored as %v old", age)
		}

		plain := p.Read(p.Reader("json", topic), harness.JSON, "?timeout=10000").Body
		if strings.Contains(plain, "headers") || strings.Contains(plain, "timestamp") {
			t.Errorf("nobody asked for more than the contract: %s", plain)
		}
		list := p.ReadN(p.Reader("json", topic), harness.JSON, "?timeout=10000&include=headers,timestamp", 3)
		if h := *list[0].Headers; len(h) != 3 || string(h[0].Value) != "\x01\x02" || h[1].Value != nil || h[2].Value == nil {
			t.Errorf("headers are read as %+v", h)
		}
		if *list[0].Timestamp != 1700000000123 || *list[1].Timestamp != 1582970400500 || len(*list[1].Headers) != 0 {
			t.Errorf("read as %+v", list)
		}
	})
}

// A timestamp is the client's own affair: one of long ago or of the future must not decide whether a record is stored, nor what becomes of
// the records of others on the same partition.
func TestTimestampsDoNotDecideDelivery(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1, "message.timestamp.before.max.ms=9223372036854775807", "message.timestamp.after.max.ms=9223372036854775807")
		p.Produce(topic, harness.JSON, `{"records":[{"value":0},{"value":1,"timestamp":0},{"value":2,"timestamp":1000},{"value":3,"timestamp":"2199-01-01T00:00:00Z"},{"value":4}]}`)
		wantValues(t, stored(t, b, topic), []byte("0"), []byte("1"), []byte("2"), []byte("3"), []byte("4"))
	})
}

func TestCompressedRequests(t *testing.T) {
	gzipped := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s)) // into memory
		_ = z.Close()
		return b.String()
	}
	zstded := func(s string) string {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(z.EncodeAll([]byte(s), nil))
	}
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		body := `{"records":[{"value":"` + strings.Repeat("x", 100_000) + `"}]}`
		for _, c := range []struct {
			encoding, body string
			status         int
		}{
			{"gzip", gzipped(body), 200}, {"zstd", zstded(body), 200}, {"identity", body, 200},
			{"gzip", body, 400}, {"zstd", body, 400}, {"gzip", gzipped(body)[:100], 400}, {"br", body, 415},
		} {
			r := p.Do("POST", "/topics/"+topic, c.body, "Content-Type", harness.JSON, "Content-Encoding", c.encoding)
			if r.Status != c.status {
				t.Errorf("%s of %d bytes: %d %.200s, want %d", c.encoding, len(c.body), r.Status, r.Body, c.status)
			}
		}
		if log := stored(t, b, topic); len(log) != 3 {
			t.Errorf("%d records are stored, want 3", len(log))
		}
	})
}

// A topic that does not exist is known not to within the request's deadline, and nobody else waits for it.
func TestUnknownTopicIsQuickAndAlone(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		good := harness.CreateTopic(t, b, 1)
		p.Produce(good, harness.JSON, `{"records":[{"value":0}]}`)
		unknown := make(chan time.Duration, 20)
		for range cap(unknown) {
			go func() {
				begin := time.Now()
				r, err := p.Try(t.Context(), "POST", "/topics/"+harness.FreshName("missing"), `{"records":[{"value":1}]}`, "Content-Type", harness.JSON)
				if o := r.Outcomes(); err != nil || len(o) != 1 || o[0].Code == nil || *o[0].Code != 50003 {
					t.Errorf("unknown topic: %d %s %v", r.Status, r.Body, err)
				}
				unknown <- time.Since(begin)
			}()
		}
		for range 20 {
			begin := time.Now()
			p.Produce(good, harness.JSON, `{"records":[{"value":1}]}`)
			if took := time.Since(begin); took > 500*time.Millisecond {
				t.Errorf("a good topic took %v", took)
			}
		}
		for range cap(unknown) {
			if took := <-unknown; took > 2*time.Second {
				t.Errorf("an unknown topic took %v", took)
			}
		}
		r := p.Do("POST", "/topics/"+harness.FreshName("missing"), `{"records":[{"value":1}]}`, "Content-Type", harness.JSON, "Prefer", "status=strict")
		if r.Status != 404 {
			t.Errorf("with strict status: %d %s", r.Status, r.Body)
		}
	})
}

func TestPartitionOutOfRange(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 2)
		begin := time.Now()
		r := p.Do("POST", "/topics/"+topic, `{"records":[{"value":0,"partition":0},{"value":1,"partition":7},{"value":2,"partition":1}]}`, "Content-Type", harness.JSON)
		o := r.Outcomes()
		if len(o) != 3 || o[0].Offset == nil || o[2].Offset == nil || o[1].Code == nil || *o[1].Code != 50003 {
			t.Errorf("records: %d %s", r.Status, r.Body)
		}
		r = p.Do("POST", "/topics/"+topic+"/partitions/9", `{"records":[{"value":0}]}`, "Content-Type", harness.JSON)
		if o := r.Outcomes(); len(o) != 1 || o[0].Code == nil {
			t.Errorf("path: %d %s", r.Status, r.Body)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("both took %v", took)
		}
		if n := len(harness.ReadLog(t, b, topic)); n != 2 {
			t.Errorf("%d records are stored, want 2", n)
		}
	})
}
