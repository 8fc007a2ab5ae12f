package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// noise is what a percentile may differ by without meaning anything on a busy machine.
const noise = 15 * time.Millisecond

// Row 9: one topic's leader takes no records. Its own requests are in doubt at their deadline, or get 429; those of others do not notice.
func TestRow9OneLeaderStalls(t *testing.T) {
	b := harness.FakeBroker(t, 2)
	stuck, good := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
	for node, topic := range []string{stuck, good} {
		if err := b.Fake.MoveTopicPartition(topic, 0, int32(node)); err != nil {
			t.Fatal(err)
		}
	}
	r := newRun(t, b, stuck, good)
	p := harness.StartProcess(t, b, map[string]string{"produce.timeout.ms": "2000"})
	r.use(p)
	r.produce(t.Context(), r.worker(), stuck, 0)
	stop := r.load(4, time.Millisecond, good)
	defer stop()
	r.percentile(99) // of the start
	time.Sleep(2 * time.Second)
	before := r.percentile(99)

	gate := make(chan struct{})
	b.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		if b.Fake.CurrentNode() == 0 {
			b.Fake.SleepControl(func() { <-gate })
		}
		return nil, nil, false
	})
	s := newRun(t, b) // its latencies are apart
	s.Writer, s.workers = r.Writer, atomic.Int64{}
	s.workers.Store(100)
	s.use(p)
	stopStuck := s.load(20, 0, stuck)
	time.Sleep(4 * time.Second)
	during := r.percentile(99)
	stuckMost := s.percentile(100)
	close(gate)
	stopStuck()
	stop()
	end(t, p)
	t.Logf("p99 of others: %v before, %v during; slowest answer of the stuck topic %v; %v", before, during, stuckMost, s.refusals)
	if during > 2*before+noise {
		t.Errorf("the p99 of another topic went from %v to %v", before, during)
	}
	if s.refusals["504/50401"] == 0 {
		t.Errorf("the stuck topic's answers: %v", s.refusals)
	}
	r.check(checker.Options{Deadline: 2500 * time.Millisecond})
}

// Row 10: ten thousand requests for names that do not exist. Each is answered soon, a good topic does not notice, and memory stays.
func TestRow10UnknownTopicFlood(t *testing.T) {
	unknownTopicFlood(t, harness.FakeBroker(t, 1), 1000, 0) // it may create topics, as far as is known: each waits the second that one has to appear
}

// unknownTopicFlood has so many clients at once ask for names, and pause after each.
func unknownTopicFlood(t *testing.T, b harness.Broker, flood int, pause time.Duration) {
	good := harness.CreateTopic(t, b, 1)
	r := newRun(t, b, good)
	p := harness.StartProcess(t, b, map[string]string{"log.requests": "false"})
	r.use(p)
	stop := r.load(2, 2*time.Millisecond, good)
	defer stop()
	time.Sleep(2 * time.Second)
	r.percentile(99) // of the start
	time.Sleep(2 * time.Second)
	before := r.percentile(99)
	rss := p.RSS()

	var wg sync.WaitGroup
	var next, wrong, slowest atomic.Int64
	begin := time.Now()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: flood}}
	defer client.CloseIdleConnections()
	for range flood {
		wg.Go(func() {
			for n := next.Add(1); n <= 10_000; n = next.Add(1) {
				asked := time.Now()
				code := unknownTopic(client, p.URL, fmt.Sprintf("%s-%d", r.name, n))
				for old := slowest.Load(); int64(time.Since(asked)) > old && !slowest.CompareAndSwap(old, int64(time.Since(asked))); old = slowest.Load() {
				}
				if code != 404 {
					wrong.Add(1)
				}
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	during := r.percentile(99)
	stop()
	grown := p.RSS() - rss
	end(t, p)
	t.Logf("10,000 unknown names in %v, slowest %v; p99 of a good topic %v before, %v during; memory grew by %d MiB",
		took, time.Duration(slowest.Load()), before, during, grown>>20)
	if wrong.Load() > 0 {
		t.Errorf("%d answers were not 404", wrong.Load())
	}
	if s := time.Duration(slowest.Load()); s > 1600*time.Millisecond { // the second, and half a one for a busy machine
		t.Errorf("the slowest answer took %v", s)
	}
	if during > 2*before+noise {
		t.Errorf("the p99 of a good topic went from %v to %v", before, during)
	}
	if grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	if report := r.check(checker.Options{Deadline: 5 * time.Second}); report.OK != report.Invoked {
		t.Errorf("%d of %d were ok", report.OK, report.Invoked)
	}
}

// unknownTopic gives the status with which producing to a topic is refused, 0 without an answer.
func unknownTopic(client *http.Client, url, topic string) int {
	req, err := http.NewRequest(http.MethodPost, url+"/topics/"+topic, strings.NewReader(`{"records":[{"value":1}]}`))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", harness.JSON)
	req.Header.Set("Prefer", "status=strict")
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
