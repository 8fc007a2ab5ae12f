package faults

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// seed makes a failed schedule repeatable: FAULTS_SEED=… sets it.
var seed = sync.OnceValue(func() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("FAULTS_SEED"), 10, 64); err == nil {
		return n
	}
	return rand.Uint64()
})

// run is one fault's history: what was asked for, what was answered, and at the end what is stored.
type run struct {
	t      *testing.T
	b      harness.Broker
	name   string
	topics []string
	random *rand.Rand // for the test's own goroutine
	url    atomic.Pointer[string]
	client *http.Client

	*checker.Writer
	history *bytes.Buffer
	workers atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration
	refusals  map[string]int // by status and code
}

func newRun(t *testing.T, b harness.Broker, topics ...string) *run {
	t.Helper()
	t.Logf("FAULTS_SEED=%d", seed())
	r := &run{t: t, b: b, name: harness.FreshName("run"), topics: topics, random: rand.New(rand.NewPCG(seed(), 0)), history: &bytes.Buffer{},
		refusals: map[string]int{}}
	r.Writer = checker.NewWriter(r.history, r.name)
	r.client = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// use sends what comes from now on to this proxy.
func (r *run) use(p *harness.Process) {
	r.url.Store(&p.URL)
}

// worker is one client that sends a request after the other.
func (r *run) worker() *checker.Worker { return r.Worker(int(r.workers.Add(1))) }

// key is one of a few keys of a worker's own, as the JSON that is stored.
func key(w, seq int) []byte { return fmt.Appendf(nil, `"w%d-%d"`, w, seq%3) }

// body is a produce request of one record.
func body(rec checker.Record) []byte {
	return fmt.Appendf(nil, `{"records":[{"key":%s,"value":%s}]}`, rec.Key, rec.Value)
}

// produce asks for one record and notes the outcome, which it returns.
func (r *run) produce(ctx context.Context, w *checker.Worker, topic string, n int) checker.Op {
	rec := w.Next(topic, checker.AnyPartition, key(n%1000, n), 100)
	r.Invoke(rec)
	begin := time.Now()
	op, why := r.post(ctx, rec)
	took := time.Since(begin)
	switch op {
	case checker.Failed:
		r.Failed(rec.ID, why)
	case checker.Unknown:
		r.Unknown(rec.ID, why)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, took)
	if op != checker.OK {
		r.refusals[why]++
	}
	return op
}

// post sends a record and classifies the answer; OK is noted here, with the place.
func (r *run) post(ctx context.Context, rec checker.Record) (checker.Op, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, *r.url.Load()+"/topics/"+rec.Topic, bytes.NewReader(body(rec)))
	if err != nil {
		return checker.Failed, err.Error()
	}
	req.Header.Set("Content-Type", harness.JSON)
	req.GetBody = nil // no second try behind our back
	resp, err := r.client.Do(req)
	if err != nil {
		return checker.Unknown, "no answer"
	}
	defer resp.Body.Close()
	var reply struct {
		Code    int               `json:"error_code"`
		Offsets []harness.Outcome `json:"offsets"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return checker.Unknown, "half an answer"
	}
	if len(reply.Offsets) == 1 {
		o := reply.Offsets[0]
		if o.Offset != nil {
			r.OK(rec.ID, *o.Partition, *o.Offset)
			return checker.OK, ""
		}
		reply.Code = *o.Code
	}
	why := fmt.Sprint(resp.StatusCode, "/", reply.Code)
	if reply.Code == 50401 || reply.Code == 500 {
		return checker.Unknown, why
	}
	return checker.Failed, why
}

// load has workers produce to the topics in turn until the returned function is called, each at most one record in every pause.
func (r *run) load(workers int, pause time.Duration, topics ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range workers {
		w, number := r.worker(), int(r.workers.Load())
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				wait := pause
				if r.produce(context.Background(), w, topics[n%len(topics)], number*1000+n%1000) != checker.OK {
					wait = max(pause, 20*time.Millisecond) // a proxy that is gone answers at once
				}
				sleep(ctx, wait)
			}
		})
	}
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// check reads the raw log and judges the run. The proxy must be gone by then, with everything that it had buffered.
func (r *run) check(o checker.Options) *checker.Report {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	history, err := checker.ReadHistory(bytes.NewReader(r.history.Bytes()))
	if err != nil {
		r.t.Fatal(err)
	}
	log, err := checker.ReadLog(ctx, r.topics, r.b.Client...)
	if err != nil {
		r.t.Fatal(err)
	}
	report := checker.Check(history, log, o)
	r.t.Logf("%d produced: %d ok, %d failed, %d in doubt %v; %d delivered, %d commits; lost %d, dup %d, skipped %d, max latency %v",
		report.Invoked, report.OK, report.Failed, report.Unknown, r.refusals, report.Deliveries, report.Commits, report.Count(checker.Lost),
		report.Count(checker.DuplicateOK)+report.Count(checker.DuplicateUnknown), report.Count(checker.Skipped),
		report.MaxLatency.Round(time.Millisecond))
	if err := report.Err(); err != nil {
		r.t.Error(err)
	}
	return report
}

// end stops the proxy in order, which flushes what is in doubt as far as Kafka takes it.
func end(t *testing.T, p *harness.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 35*time.Second)
	defer cancel()
	if code, took, err := p.Terminate(ctx); err != nil || code != 0 {
		t.Errorf("the proxy ended with %d after %v: %v\n%s", code, took, err, p.Log())
	}
}

// percentile gives a latency that so many percent did not exceed, and forgets the latencies.
func (r *run) percentile(percent int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.latencies) == 0 {
		r.t.Fatal("nothing was measured")
	}
	slices.Sort(r.latencies)
	p := r.latencies[min(len(r.latencies)*percent/100, len(r.latencies)-1)]
	r.latencies = nil
	return p
}

// decode gives the bytes of a value in the binary format.
func decode(value any) []byte {
	s, _ := value.(string)
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return raw
}
