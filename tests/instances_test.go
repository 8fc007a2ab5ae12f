package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// A second read answers 409 at once, while commits, seeks and DELETE do not wait behind the first.
func TestBusyInstance(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 3, 10)
		i := p.Reader("json", topic)
		p.ReadN(i, harness.JSON, "?timeout=5000", 3)
		first := make(chan harness.Reply, 1)
		go func() {
			r, err := p.Try(t.Context(), "GET", i+"/records?timeout=20000", "", "Accept", harness.JSON)
			if err != nil {
				t.Error(err)
			}
			first <- r
		}()
		awaitBusy(t, p, i)
		at := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":2}]}`, topic)
		quick := func(status int, method, path, body string) {
			t.Helper()
			begin := time.Now()
			p.Want(status, method, path, body)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%s %s took %v", method, path, took)
			}
		}
		begin := time.Now()
		if r := p.Read(i, harness.JSON, ""); r.Status != 409 || time.Since(begin) > time.Second {
			t.Errorf("a second read: %d after %v", r.Status, time.Since(begin))
		}
		quick(200, "POST", i+"/offsets", at)
		quick(200, "POST", i+"/offsets", "")
		quick(204, "POST", i+"/positions", at)
		r := <-first // the seek gave it something to return
		wantOffsets(t, harness.Records(t, r), 2, 3)

		go func() {
			r, err := p.Try(t.Context(), "GET", i+"/records?timeout=20000", "", "Accept", harness.JSON)
			if err != nil {
				t.Error(err)
			}
			first <- r
		}()
		awaitBusy(t, p, i)
		quick(204, "DELETE", i, "")
		if r := <-first; r.Status != 404 || r.Code() != 40403 {
			t.Errorf("the read of a deleted instance: %d %s", r.Status, r.Body)
		}
	})
}

// Auto-commit covers only what a later call has proven received.
func TestAutoCommitCoversOnlyWhatIsProven(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"consumer.auto.commit.interval.ms": "100"})
		topic := numbered(t, p, b, 10, 1000)
		group := harness.FreshName("g")
		i := p.Instance(group, `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"true"}`)
		p.Subscribe(i, topic)
		one := p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=3000")
		proven := int64(len(one))
		time.Sleep(2500 * time.Millisecond) // more than two rounds of committing: nothing may happen, and that cannot be waited for
		if at := harness.Committed(t, b, group, topic, 0); at > 0 {
			t.Errorf("committed %d before the client has shown that it got anything", at)
		}
		two := p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=3000")
		for deadline := time.Now().Add(10 * time.Second); harness.Committed(t, b, group, topic, 0) != proven; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("committed %d, want the %d records that the second read has proven", harness.Committed(t, b, group, topic, 0), proven)
			}
		}
		p.Want(204, "DELETE", i, "")
		if at := harness.Committed(t, b, group, topic, 0); at != proven {
			t.Errorf("the end of the instance committed %d, want %d", at, proven)
		}
		wantOffsets(t, two, proven, proven+int64(len(two)))
	})
}

// An instance that nobody calls expires; one that is called, or read for a long time, does not.
func TestExpiry(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"consumer.instance.timeout.ms": "1500"})
		topic := numbered(t, p, b, 1, 10)
		idle, read := p.Reader("json", topic), p.Reader("json", topic)
		p.ReadN(read, harness.JSON, "?timeout=5000", 1)
		if r := p.Read(read, harness.JSON, "?timeout=4000"); r.Status != 200 {
			t.Errorf("an instance that is being read: %d %s", r.Status, r.Body)
		}
		if r := p.Read(read, harness.JSON, "?timeout=1"); r.Status != 200 {
			t.Errorf("an instance that has just been read: %d %s", r.Status, r.Body)
		}
		r := p.Read(idle, harness.JSON, "")
		if r.Status != 404 || r.Code() != 40403 {
			t.Errorf("an idle instance after 4 s: %d %s", r.Status, r.Body)
		}
	})
}

// A second member of the group takes over half of the partitions: nothing is skipped, and a commit for what was lost is refused.
func TestRebalanceLosesNothing(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 4)
		const total = 400
		var body []string
		for n := range total {
			body = append(body, fmt.Sprintf(`{"value":{"n":%d,"pad":%q},"partition":%d}`, n, strings.Repeat("x", 500), n%4))
		}
		p.Produce(topic, harness.JSON, `{"records":[`+strings.Join(body, ",")+`]}`)
		group := harness.FreshName("g")
		settings := `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`
		got := map[string]bool{}
		take := func(i string, most int) int {
			r := p.Read(i, harness.JSON, fmt.Sprintf("?timeout=500&max_bytes=%d", most))
			if r.Status != 200 {
				t.Fatalf("read: %d %s", r.Status, r.Body)
			}
			list := harness.Records(t, r)
			for _, rec := range list {
				got[fmt.Sprint(rec.Partition, "@", rec.Offset)] = true
			}
			if len(list) > 0 { // what cannot be committed any more is another member's to read again
				if c := p.Do("POST", i+"/offsets", "", "Content-Type", harness.V2); c.Status != 200 && c.Code() != 40905 {
					t.Fatalf("commit: %d %s", c.Status, c.Body)
				}
			}
			return len(list)
		}
		one := p.Instance(group, settings)
		p.Subscribe(one, topic)
		for len(got) == 0 {
			take(one, 1)
		}
		two := p.Instance(group, settings)
		p.Subscribe(two, topic)
		seen := 0
		for deadline := time.Now().Add(30 * time.Second); seen == 0 && time.Now().Before(deadline); {
			take(one, 1) // so that something is left to share
			seen += take(two, 1)
		}
		for deadline := time.Now().Add(30 * time.Second); len(got) < total; {
			take(one, 20_000)
			seen += take(two, 20_000)
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d records within 30 s", len(got), total)
			}
		}
		if seen == 0 {
			t.Error("the second member got nothing")
		}
		p.Want(204, "DELETE", one, "")
		p.Want(204, "DELETE", two, "")
		for n := range int32(4) {
			if at := harness.Committed(t, b, group, topic, n); at > total/4 {
				t.Errorf("committed %d of %d in partition %d", at, total/4, n)
			}
		}
	})
}
