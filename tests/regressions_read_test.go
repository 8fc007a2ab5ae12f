package tests

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// D8: a record as large as max_bytes was answered with [] for ever.
func TestD8RecordLargerThanMaxBytesComesAlone(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		for i, size := range []int{10, 10, 200_000, 10, 10} {
			more(t, p, topic, i, i+1, size)
		}
		i := p.Reader("json", topic)
		var reads []int
		var all []harness.Record
		for len(all) < 5 {
			list := p.ReadSome(i, harness.JSON, "?timeout=5000&max_bytes=1000")
			reads, all = append(reads, len(list)), append(all, list...)
		}
		wantOffsets(t, all, 0, 5)
		if fmt.Sprint(reads) != "[2 1 2]" {
			t.Errorf("the reads returned %v records", reads)
		}
	})
}

// D9: a record that could not be decoded took those before it away with it, and stayed at the head for ever.
func TestD9GoodRecordsBeforeABadOneComeFirst(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := poisoned(t, b)
		i := p.Reader("json", topic)
		wantOffsets(t, p.ReadN(i, harness.JSON, "?timeout=5000", poisonAt), 0, poisonAt)
		for range 2 {
			r := p.Read(i, harness.JSON, "?timeout=5000")
			if r.Status != 422 || !strings.Contains(r.Body, topic) || !strings.Contains(r.Body, fmt.Sprintf("offset %d", poisonAt)) {
				t.Fatalf("the bad record: %d %s", r.Status, r.Body)
			}
		}
		p.Want(204, "POST", i+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":%d}]}`, topic, poisonAt+1))
		wantOffsets(t, p.ReadN(i, harness.JSON, "?timeout=5000", 10-poisonAt-1), poisonAt+1, 10)
	})
}

// Beyond a seek there are two ways past a bad record, on the read or from the beginning.
func TestPoisonIsReportedOrSkipped(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := poisoned(t, b)
		for _, where := range []string{"read", "creation"} {
			for policy, want := range map[string]int{"report": 10, "skip": 9} {
				t.Run(policy+" on "+where, func(t *testing.T) {
					settings, query := `{"format":"json","auto.offset.reset":"earliest"}`, "?timeout=5000"
					if where == "read" {
						query += "&on_decode_error=" + policy
					} else {
						settings = fmt.Sprintf(`{"format":"json","auto.offset.reset":"earliest","on_decode_error":%q}`, policy)
					}
					i := p.Instance(harness.FreshName("g"), settings)
					p.Subscribe(i, topic)
					list := p.ReadN(i, harness.JSON, query, want)
					if len(list) != want || list[len(list)-1].Offset != 9 {
						t.Errorf("%d records, want %d: %+v", len(list), want, list)
					}
					p.Want(200, "POST", i+"/offsets", "")
					if at := harness.Committed(t, b, strings.Split(i, "/")[2], topic, 0); at != 10 {
						t.Errorf("the commit after it covers %d", at)
					}
				})
			}
		}
	})
}

// D11: creating instances took one lock for all, and 20 to 200 s under load.
func TestD11CreationWaitsForNobody(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 1, 10)
		if b.Fake != nil { // a broker that answers no group request: what waits for it must not hold up creation
			awake := stall(b, kmsg.JoinGroup)
			defer awake()
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		for range 10 {
			i := p.Reader("json", topic)
			wg.Go(func() { p.Read(i, harness.JSON, "?timeout=3000") })
		}
		begin := time.Now()
		var creations sync.WaitGroup
		for range 20 {
			creations.Go(func() {
				for range 10 {
					p.Want(200, "POST", "/consumers/"+harness.FreshName("g"), `{"format":"json"}`)
				}
			})
		}
		creations.Wait()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("200 instances took %v", took)
		}
	})
}

// stall keeps requests of a kind unanswered until the returned function is called.
func stall(b broker, key kmsg.Key) (awake func()) {
	gate := make(chan struct{})
	b.Fake.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-gate:
			b.Fake.DropControl()
		default:
			b.Fake.KeepControl()
			b.Fake.SleepControl(func() { <-gate })
		}
		return nil, nil, false
	})
	return sync.OnceFunc(func() { close(gate) })
}

// D12 and D14: records beyond max_bytes were thrown away, silently or with a 422; records of one size did not show it.
func TestD12MixedSizesAreAllDelivered(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		random := rand.New(rand.NewPCG(12, 0))
		for i := range 200 {
			size := random.IntN(1500)
			if i == 77 {
				size = 100_000
			}
			more(t, p, topic, i, i+1, size)
		}
		for _, limit := range []string{"1", "2000", "100000"} {
			i := p.Reader("json", topic)
			wantOffsets(t, p.ReadN(i, harness.JSON, "?timeout=5000&max_bytes="+limit, 200), 0, 200)
		}
	})
}

// D14: a reply larger than max_bytes was a 422 and its records were lost; so was everything polled together with a record that is no JSON.
func TestD14NothingIsLostToARefusal(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		var records []*kgo.Record
		for i := range 40 {
			value := fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, strings.Repeat("x", 700))
			if i%10 == 5 {
				value = []byte("no JSON")
			}
			records = append(records, &kgo.Record{Topic: topic, Value: value})
		}
		harness.Store(t, b, records...)
		i := p.Reader("json", topic)
		var got []harness.Record
		for refused := 0; len(got) < 36; {
			r := p.Read(i, harness.JSON, "?timeout=5000&max_bytes=2000")
			if r.Status == 422 {
				if refused++; refused > 4 {
					t.Fatalf("refused a fifth time: %s", r.Body)
				}
				got = append(got, harness.Records(t, p.Read(i, harness.JSON, "?timeout=5000&max_bytes=1&on_decode_error=skip"))...)
				continue
			}
			got = append(got, harness.Records(t, r)...)
		}
		for k, r := range got {
			if want := int64(k + (k+4)/9); r.Offset != want {
				t.Fatalf("good record %d has offset %d, want %d", k, r.Offset, want)
			}
		}
	})
}

// D13: instances were kept under the literal Authorization header, and a renewed token could not see its own.
func TestD13InstancesOutliveATokenOfTheirClient(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 2, 10)
		i := p.Reader("json", topic)
		r := p.Do("GET", i+"/records?timeout=10000", "", "Accept", harness.JSON, "Authorization", "Bearer first")
		wantOffsets(t, harness.Records(t, r), 0, 2)
		more(t, p, topic, 2, 3, 10)
		r = p.Do("GET", i+"/records?timeout=10000", "", "Accept", harness.JSON, "Authorization", "Bearer second")
		wantOffsets(t, harness.Records(t, r), 2, 3)
		if r := p.Do("DELETE", i, "", "Authorization", "Bearer third"); r.Status != 204 {
			t.Errorf("delete: %d %s", r.Status, r.Body)
		}
	})
}
