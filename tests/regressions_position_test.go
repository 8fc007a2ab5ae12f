package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// numbered makes a topic of one partition with the JSON values 0, 1, …, n-1, each padded to size bytes.
func numbered(t *testing.T, p *proxy, b broker, n, size int) string {
	t.Helper()
	topic := harness.CreateTopic(t, b, 1)
	more(t, p, topic, 0, n, size)
	return topic
}

// more produces the values from, …, to-1.
func more(t *testing.T, p *proxy, topic string, from, to, size int) {
	t.Helper()
	var records []string
	for i := from; i < to; i++ {
		records = append(records, fmt.Sprintf(`{"value":{"n":%d,"pad":%q}}`, i, strings.Repeat("x", size)))
	}
	p.Produce(topic, harness.JSON, `{"records":[`+strings.Join(records, ",")+`]}`)
}

// wantOffsets wants exactly these offsets in order.
func wantOffsets(t *testing.T, got []harness.Record, from, to int64) {
	t.Helper()
	if int64(len(got)) != to-from {
		t.Errorf("%d records, want the offsets %d to %d", len(got), from, to-1)
	}
	for i, r := range got {
		if r.Offset != from+int64(i) {
			t.Fatalf("record %d has offset %d, want %d", i, r.Offset, from+int64(i))
		}
	}
}

// reopen deletes an instance and makes another in the same group.
func reopen(p *proxy, instance, topic string) string {
	p.T.Helper()
	p.Want(204, "DELETE", instance, "")
	group := strings.Split(instance, "/")[2]
	i := p.Instance(group, `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(i, topic)
	return i
}

// manualReader does not commit by itself.
func manualReader(p *proxy, topic string) string {
	p.T.Helper()
	i := p.Instance(harness.FreshName("g"), `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(i, topic)
	return i
}

// D5: a commit without a body committed what the proxy had fetched, not what the client had got.
func TestD5CommitWithoutBodyCoversWhatWasDelivered(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 100, 1000)
		i := manualReader(p, topic)
		got := p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=5000")
		if len(got) >= 100 {
			t.Fatalf("max_bytes let %d records through", len(got))
		}
		p.Want(200, "POST", i+"/offsets", "")
		if at := harness.Committed(t, b, strings.Split(i, "/")[2], topic, 0); at != int64(len(got)) {
			t.Errorf("committed %d after %d records were delivered", at, len(got))
		}
		next := p.ReadN(reopen(p, i, topic), harness.JSON, "?timeout=5000", 100-len(got))
		wantOffsets(t, next, int64(len(got)), 100)
	})
}

// D6: a seek did not drop what had been fetched, and old records came first after it.
func TestD6SeekDropsWhatWasFetched(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 100, 1000)
		i := p.Reader("json", topic)
		p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=5000")
		at := func(offset int) string {
			return fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":%d}]}`, topic, offset)
		}
		one := fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic)
		for _, seek := range []struct {
			path, body  string
			first, last int64
		}{
			{"/positions", at(90), 90, 100}, {"/positions", at(2), 2, 100}, {"/positions/beginning", one, 0, 100},
		} {
			p.Want(204, "POST", i+seek.path, seek.body)
			wantOffsets(t, p.ReadN(i, harness.JSON, "?timeout=5000", int(seek.last-seek.first)), seek.first, seek.last)
		}
		p.Want(204, "POST", i+"/positions", at(10))
		p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=5000")
		p.Want(204, "POST", i+"/positions/end", one)
		if list := harness.Records(t, p.Read(i, harness.JSON, "?timeout=500")); len(list) != 0 {
			t.Errorf("%d records after a seek to the end, the first at offset %d", len(list), list[0].Offset)
		}
	})
}

// D7: a seek to a time after the last record was an internal error.
func TestD7SeekBehindTheLastTimestampGoesToTheEnd(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		p.Produce(topic, harness.JSON, `{"records":[{"value":0,"timestamp":1700000000000},{"value":1,"timestamp":1700000010000},{"value":2,"timestamp":1700000020000}]}`)
		i := p.Reader("json", topic)
		p.ReadSome(i, harness.JSON, "?timeout=5000")
		p.Want(204, "POST", i+"/positions", fmt.Sprintf(`{"timestamps":[{"topic":%q,"partition":0,"timestamp":"2099-01-01T00:00:00Z"}]}`, topic))
		p.Produce(topic, harness.JSON, `{"records":[{"value":3}]}`)
		wantOffsets(t, p.ReadSome(i, harness.JSON, "?timeout=5000"), 3, 4)
		p.Want(204, "POST", i+"/positions", fmt.Sprintf(`{"timestamps":[{"topic":%q,"partition":0,"timestamp":"2023-11-14T22:13:25Z"}]}`, topic))
		wantOffsets(t, p.ReadN(i, harness.JSON, "?timeout=5000", 3), 1, 4)
	})
}

// D10: a read always waited for its whole timeout, and could not ask for more than the server's default.
func TestD10ReadsAnswerWhenThereIsData(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"consumer.request.timeout.ms": "100"})
		topic := numbered(t, p, b, 3, 10)
		i := p.Reader("json", topic)
		p.ReadN(i, harness.JSON, "?timeout=5000", 3)

		more(t, p, topic, 3, 4, 10)
		begin := time.Now()
		wantOffsets(t, harness.Records(t, p.Read(i, harness.JSON, "?timeout=10000")), 3, 4)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("a read with data at hand took %v", took)
		}

		late := time.AfterFunc(700*time.Millisecond, func() { more(t, p, topic, 4, 5, 10) })
		defer late.Stop()
		begin = time.Now()
		wantOffsets(t, harness.Records(t, p.Read(i, harness.JSON, "?timeout=10000")), 4, 5)
		if took := time.Since(begin); took < 500*time.Millisecond || took > 5*time.Second {
			t.Errorf("a read of a record that came after 0.7 s took %v", took)
		}

		begin = time.Now()
		if list := harness.Records(t, p.Read(i, harness.JSON, "")); len(list) != 0 {
			t.Errorf("%d records out of nothing", len(list))
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("an empty read with a default of 100 ms took %v", took)
		}
	})
}

// D17: two proxies store the offset that a commit names, two others the one after it. The contract is the reference's: the last processed
// record is named, and the next one is stored.
func TestD17CommitOfNStoresNPlusOne(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 10, 10)
		i := manualReader(p, topic)
		p.ReadN(i, harness.JSON, "?timeout=5000", 10)
		p.Want(200, "POST", i+"/offsets", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":3}]}`, topic))
		if at := harness.Committed(t, b, strings.Split(i, "/")[2], topic, 0); at != 4 {
			t.Errorf("Kafka has %d", at)
		}
		r := p.Want(200, "GET", i+"/offsets", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic))
		if !strings.Contains(r.Body, `"offset":4`) {
			t.Errorf("the proxy says %s", r.Body)
		}
		wantOffsets(t, p.ReadN(reopen(p, i, topic), harness.JSON, "?timeout=5000", 6), 4, 10)
	})
}
