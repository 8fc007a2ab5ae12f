package faults

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// Row 18 and 27: the proxy is killed (kill -9) at random times while it accepts tasks whose callbacks go to a receiver that fails half of the
// time. Every id that was given answers afterwards; none says delivered that is not in the log, none says failed that is; each callback
// arrives in the end, signed.
func TestRow18TasksSurviveKills(t *testing.T) {
	t.Parallel()
	tasksSurviveKills(t, harness.FakeBroker(t, 2), 600, 4)
}

func TestRow18TasksSurviveKillsOnKafka(t *testing.T) {
	_, b := threeBrokers(t)
	tasksSurviveKills(t, b, 10_000, 20)
}

const taskSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func tasksSurviveKills(t *testing.T, b harness.Broker, count, kills int) {
	receiver := newHookReceiver(t)
	topic := harness.CreateTopic(t, b, 4)
	settings := map[string]string{
		"tasks.topic": harness.FreshName("tasks"), "id": harness.FreshName("node"),
		"tasks.retention.ms": "3600000", "callbacks.allow.hosts": "127.0.0.1:*", "callbacks.allow.private": "true", "callbacks.secrets": taskSecret,
		"callbacks.retry.ms": strings.TrimSuffix(strings.Repeat("300,", 2000), ","),
	}
	p := harness.StartProcess(t, b, settings)
	a := &acceptor{t: t, topic: topic, hook: receiver.server.URL, limit: int64(count), accepted: map[string]string{}}
	a.url.Store(p.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() { a.run(ctx) })
	}
	for n := range kills {
		for until := count * (n + 1) / (kills + 1); a.count() < until && ctx.Err() == nil; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		p.Kill()
		p = harness.StartProcess(t, b, settings)
		a.url.Store(p.URL)
	}
	workers.Wait()
	log := map[string]int{}
	statuses := map[string]int{}
	tasks := a.final(ctx, &p.Endpoint, statuses)
	for _, r := range harness.ReadLog(t, b, topic) {
		log[string(r.Value)]++
	}
	for id, value := range a.accepted {
		switch status := tasks[id]; {
		case status == "delivered" && log[value] != 1, status == "failed" && log[value] != 0, log[value] > 1:
			t.Errorf("task %s is %s, and %d times in the log", id, status, log[value])
		}
	}
	arrived := receiver.await(ctx, a.accepted)
	t.Logf("%d tasks, %d kills: %v; %d callbacks arrived in %d attempts", len(a.accepted), kills, statuses, arrived, receiver.attempts.Load())
	if arrived != len(a.accepted) || statuses["delivered"] < count/2 {
		t.Errorf("%d of %d callbacks arrived; %v", arrived, len(a.accepted), statuses)
	}
	end(t, p)
}

// acceptor has tasks accepted until there are enough.
type acceptor struct {
	t           testing.TB
	url         atomic.Value // of the proxy as it is now
	topic, hook string
	limit, next int64

	mu       sync.Mutex
	accepted map[string]string // id → value
}

func (a *acceptor) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.accepted)
}

func (a *acceptor) run(ctx context.Context) {
	for a.count() < int(a.limit) && ctx.Err() == nil {
		value := fmt.Sprintf("value-%d", atomic.AddInt64(&a.next, 1))
		e := harness.Endpoint{T: a.t, URL: a.url.Load().(string)}
		r, err := e.Try(ctx, "POST", "/messages/"+a.topic, value, "Prefer", "respond-async", "Kafka-Callback", a.hook)
		if err != nil { // it is being restarted
			time.Sleep(5 * time.Millisecond)
			continue
		}
		switch {
		case r.Status == 202:
			a.mu.Lock()
			a.accepted[strings.TrimPrefix(r.Header.Get("Location"), "/tasks/")] = value
			a.mu.Unlock()
		case r.Status != 503 && r.Status != 429:
			a.t.Errorf("%d %s", r.Status, r.Body)
			return
		}
	}
}

// final asks for every task until it has ended.
func (a *acceptor) final(ctx context.Context, p *harness.Endpoint, statuses map[string]int) map[string]string {
	out := map[string]string{}
	for id := range a.accepted {
		for ctx.Err() == nil {
			r, err := p.Try(ctx, "GET", "/tasks/"+id, "", "Prefer", "wait=30")
			if err != nil {
				a.t.Fatal(err)
			}
			var task struct {
				Status string `json:"status"`
			}
			if r.Status == 503 {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err := json.Unmarshal([]byte(r.Body), &task); err != nil || r.Status != 200 {
				a.t.Errorf("task %s: %d %s", id, r.Status, r.Body)
				break
			}
			if task.Status != "pending" {
				out[id] = task.Status
				statuses[task.Status]++
				break
			}
		}
	}
	return out
}

// hookReceiver takes callbacks and fails half of the time.
type hookReceiver struct {
	server   *httptest.Server
	attempts atomic.Int64

	mu      sync.Mutex
	arrived map[string]bool
}

func newHookReceiver(t testing.TB) *hookReceiver {
	t.Helper()
	h := &hookReceiver{arrived: map[string]bool{}}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(taskSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // its sender was killed
		}
		h.attempts.Add(1)
		id := r.Header.Get("Webhook-Id")
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, r.Header.Get("Webhook-Timestamp"), body)
		if got := r.Header.Get("Webhook-Signature"); got != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Errorf("callback of %s: signature %s", id, got)
		}
		if rand.IntN(2) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		h.mu.Lock()
		h.arrived[id] = true
		h.mu.Unlock()
	}))
	t.Cleanup(h.server.Close)
	return h
}

// await counts the callbacks of tasks until all have arrived.
func (h *hookReceiver) await(ctx context.Context, tasks map[string]string) int {
	for {
		n := 0
		h.mu.Lock()
		for id := range tasks {
			if h.arrived[id] {
				n++
			}
		}
		h.mu.Unlock()
		if n == len(tasks) || ctx.Err() != nil {
			return n
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
