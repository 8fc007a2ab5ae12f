package faults

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"
)

// Row 15: SIGTERM under 500 requests a second. /readyz says no while requests are still served, no request fails, a consumer that waits
// gets its answer, and connections that are idle or were never used do not hold up the end.
func TestRow15TerminatedUnderLoad(t *testing.T) {
	terminatedUnderLoad(t, harness.FakeBroker(t, 1))
}

func terminatedUnderLoad(t *testing.T, b harness.Broker) {
	topic := harness.CreateTopic(t, b, 2)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, map[string]string{"shutdown.settle.ms": "2000"})
	r.use(p)
	for range 3 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	instance := p.Reader("json", topic)
	waiting := make(chan error, 1)
	empty := harness.CreateTopic(t, b, 1)
	idle := p.Reader("json", empty)
	go func() {
		reply, err := p.Try(context.Background(), "GET", idle+"/records?timeout=50000", "", "Accept", harness.JSON)
		if err == nil && reply.Status != 200 {
			t.Errorf("the read that waited: %d %s", reply.Status, reply.Body)
		}
		waiting <- err
	}()
	p.Read(instance, harness.JSON, "?timeout=100")

	stop, sent := r.steady(500, topic)
	time.Sleep(time.Second)
	ready := watchReady(t, p.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 35*time.Second)
	defer cancel()
	went := make(chan struct{})
	var code int
	var took time.Duration
	var err error
	go func() {
		defer close(went)
		code, took, err = p.Terminate(ctx)
	}()
	select {
	case <-ready: // a load balancer sends no more from here on
		time.Sleep(300 * time.Millisecond) // but some time after it
		stop()
	case <-went:
		stop()
		t.Error("the proxy ended before /readyz said so")
	}
	<-went
	if err != nil || code != 0 || took > 30*time.Second {
		t.Errorf("it ended with %d after %v: %v\n%s", code, took, err, p.Log())
	}
	if err := <-waiting; err != nil {
		t.Errorf("the read that waited: %v", err)
	}
	report := r.check(checker.Options{Deadline: 5 * time.Second})
	t.Logf("%d requests, exit %d after %v", sent(), code, took.Round(time.Millisecond))
	if report.OK != report.Invoked || report.OK < 500 {
		t.Errorf("%d of %d were ok: %v", report.OK, report.Invoked, r.refusals)
	}
}

// steady sends so many requests a second, whatever the answers do, until stop is called, which waits for the last answer.
func (r *run) steady(perSecond int, topic string) (stop func(), sent func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var count atomic.Int64
	workers := make(chan *checker.Worker, 2000)
	wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			n := int(count.Add(1))
			wg.Go(func() {
				var w *checker.Worker
				select {
				case w = <-workers:
				default:
					w = r.worker()
				}
				r.produce(context.Background(), w, topic, n)
				workers <- w
			})
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	}), count.Load
}

// watchReady closes its channel when /readyz answers 503.
func watchReady(t *testing.T, url string) <-chan struct{} {
	t.Helper()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("/readyz before: %d", resp.StatusCode)
	}
	unready := make(chan struct{})
	go func() {
		for {
			resp, err := client.Get(url + "/readyz")
			if err != nil {
				return // the end came first: the test sees that
			}
			_ = resp.Body.Close()
			if resp.StatusCode == 503 {
				close(unready)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return unready
}
