package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Row 20: records that are no JSON lie among good ones. Each read that meets one names it and keeps its position, and every good neighbour
// is delivered, once.
func TestRow20PoisonRecords(t *testing.T) {
	t.Parallel()
	b := harness.FakeBroker(t, 1)
	topic := harness.CreateTopic(t, b, 1)
	r := newRun(t, b, topic)
	w := r.worker()
	const records = 200
	bad := map[int64]bool{}
	var log []*kgo.Record
	for n := range int64(records) {
		rec := w.Next(topic, checker.AnyPartition, key(1, int(n)), 100)
		if r.random.IntN(6) == 0 {
			bad[n] = true
			log = append(log, &kgo.Record{Topic: topic, Value: []byte("\x00\x00\x00\x00\x07avro")})
			continue
		}
		r.Invoke(rec)
		r.OK(rec.ID, 0, n)
		log = append(log, &kgo.Record{Topic: topic, Key: rec.Key, Value: rec.Value})
	}
	harness.Store(t, b, log...)
	p := harness.StartProcess(t, b, nil)
	group := harness.FreshName("g")
	path := p.Instance(group, `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(path, topic)
	refused, reported := 0, 0
	for next, deadline := int64(0), time.Now().Add(30*time.Second); next < records; {
		if time.Now().After(deadline) {
			t.Fatalf("at offset %d after 30 s", next)
		}
		reply := p.Read(path, harness.JSON, fmt.Sprintf("?timeout=1000&max_bytes=%d", 500+r.random.IntN(5000)))
		if reply.Status == 422 {
			refused++
			if !bad[next] || !strings.Contains(reply.Body, fmt.Sprintf("topic %s, partition 0, offset %d ", topic, next)) {
				t.Fatalf("at offset %d: %s", next, reply.Body)
			}
			if r.random.IntN(2) == 0 {
				p.Want(204, "POST", path+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":%d}]}`, topic, next+1))
				r.Delivered(group, topic, 0, next, "") // the client knows of it
				next++
				continue
			}
			reply = p.Read(path, harness.JSON, "?timeout=1000&max_bytes=300&on_decode_error=report")
		}
		for _, rec := range harness.Records(t, reply) {
			if (rec.Error != "") != bad[rec.Offset] {
				t.Errorf("offset %d: error %q", rec.Offset, rec.Error)
			}
			if rec.Error != "" {
				reported++
			}
			r.Delivered(group, topic, 0, rec.Offset, id(rec))
			next = rec.Offset + 1
		}
	}
	end(t, p)
	t.Logf("%d bad records: %d reads refused, %d reported", len(bad), refused, reported)
	if refused < len(bad)/2 {
		t.Errorf("%d refusals for %d bad records", refused, len(bad))
	}
	r.check(checker.Options{Complete: true, Unstamped: true})
}

// id is the stamped id of a JSON record, "" for none.
func id(rec harness.Record) string {
	value, _ := rec.Value.(map[string]any)
	s, _ := value["id"].(string)
	return s
}

// Row 21: records larger than max_bytes come alone, each within one read, and nothing is lost around them.
func TestRow21RecordsLargerThanMaxBytes(t *testing.T) {
	t.Parallel()
	b := harness.FakeBroker(t, 1)
	topic := harness.CreateTopic(t, b, 1)
	r := newRun(t, b, topic)
	w := r.worker()
	var log []*kgo.Record
	for n := range int64(100) {
		rec := w.Next(topic, checker.AnyPartition, key(1, int(n)), 10<<r.random.IntN(16))
		r.Invoke(rec)
		r.OK(rec.ID, 0, n)
		log = append(log, &kgo.Record{Topic: topic, Key: rec.Key, Value: rec.Value})
	}
	harness.Store(t, b, log...)
	p := harness.StartProcess(t, b, nil)
	group := harness.FreshName("g")
	path := p.Instance(group, `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(path, topic)
	alone := 0
	for next := int64(0); next < 100; {
		list := harness.Records(t, p.Read(path, harness.JSON, "?timeout=5000&max_bytes=2000"))
		if len(list) == 0 {
			t.Fatalf("nothing came within 5 s at offset %d", next)
		}
		size := 0
		for _, rec := range list {
			size += len(log[rec.Offset].Key) + len(log[rec.Offset].Value)
			r.Delivered(group, topic, 0, rec.Offset, id(rec))
			next = rec.Offset + 1
		}
		if size > 2000 {
			alone++
			if len(list) > 1 {
				t.Errorf("%d records of %d bytes in all were let through", len(list), size)
			}
		}
	}
	end(t, p)
	if alone == 0 {
		t.Error("no record was larger than max_bytes")
	}
	r.check(checker.Options{Complete: true})
}
