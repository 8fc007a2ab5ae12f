package tests

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// receiver takes callbacks and checks their signatures.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	answer func(id string, attempt int) int // the status of an answer
	header http.Header                      // of every answer

	mu       sync.Mutex
	attempts map[string]int
	tasks    map[string]taskReply // those that were answered with 2xx
}

func newReceiver(t testing.TB, answer func(id string, attempt int) int) *receiver {
	t.Helper()
	r := &receiver{t: t, answer: answer, header: http.Header{}, attempts: map[string]int{}, tasks: map[string]taskReply{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed
	}
	id, stamp := req.Header.Get("Webhook-Id"), req.Header.Get("Webhook-Timestamp")
	n, err := strconv.ParseInt(stamp, 10, 64)
	if age := time.Since(time.Unix(n, 0)); err != nil || age > time.Minute || age < -time.Minute {
		r.t.Errorf("timestamp %q", stamp)
	}
	var want []string
	for _, secret := range []string{oldSecret, newSecret} {
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if got := req.Header.Get("Webhook-Signature"); got != strings.Join(want, " ") {
		r.t.Errorf("signature %s, want %s", got, want)
	}
	task := taskOf(r.t, harness.Reply{Body: string(body)})
	if task.ID != id || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" || task.Status == "pending" {
		r.t.Errorf("%s %v %s", req.Method, req.Header, body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[id]++
	maps.Copy(w.Header(), r.header)
	status := r.answer(id, r.attempts[id])
	w.WriteHeader(status)
	if status < 300 {
		r.tasks[id] = task
	}
}

func (r *receiver) count(id string) (attempts int, arrived bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, arrived = r.tasks[id]
	return r.attempts[id], arrived
}

// withCallbacks are settings that allow callbacks to this machine.
func withCallbacks(more ...string) map[string]string {
	return ownTasks(append([]string{"callbacks.allow.hosts", "127.0.0.1:*", "callbacks.allow.private", "true",
		"callbacks.secrets", oldSecret + "," + newSecret, "callbacks.retry.ms", "50,50,100,100,200,200"}, more...)...)
}

// callbackOf waits until a task's callback is over.
func callbackOf(t testing.TB, p *harness.Endpoint, location, state string) taskReply {
	t.Helper()
	var task taskReply
	eventually(t, 30*time.Second, "callback "+state, func() bool {
		task = taskOf(t, p.Do("GET", location, ""))
		return task.Callback != nil && task.Callback.State == state
	})
	return task
}

// The end of a task is reported, signed by both keys, again and again until it is taken; each attempt can be seen on the task.
func TestCallback(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		to := newReceiver(t, func(_ string, attempt int) int { return []int{500, 302, 204}[min(attempt, 3)-1] })
		to.header.Set("Location", to.server.URL+"/elsewhere")
		p := startProxy(t, b, withCallbacks())
		topic := harness.CreateTopic(t, b, 1)
		for _, send := range []func(url string) harness.Reply{
			func(url string) harness.Reply { return p.Do("POST", "/messages/"+topic, "x", "Kafka-Callback", url) },
			func(url string) harness.Reply { return p.Do("PUT", "/messages/"+topic+"?callback="+url, "x") },
		} {
			r := send(to.server.URL + "/hook")
			if r.Status != 202 {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			task := callbackOf(t, &p.Endpoint, r.Header.Get("Location"), "delivered")
			c := task.Callback
			if task.Status != "delivered" || c.Count != 3 || len(c.Attempts) != 3 || c.Attempts[0].Status != 500 || c.Attempts[1].Status != 302 || c.Attempts[2].Status != 204 || c.Next != nil {
				t.Errorf("%+v %+v", task, c)
			}
			if attempts, arrived := to.count(task.ID); attempts != 3 || !arrived {
				t.Errorf("%d attempts, arrived %v", attempts, arrived)
			}
		}
	})
}

// 410 ends a callback; so does the end of the schedule; Retry-After puts an attempt off.
func TestCallbackThatIsGivenUp(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, withCallbacks("callbacks.retry.ms", "20,20"))
	topic := harness.CreateTopic(t, b, 1)
	gone := newReceiver(t, func(string, int) int { return 410 })
	failing := newReceiver(t, func(string, int) int { return 503 })
	busy := newReceiver(t, func(string, int) int { return 429 })
	busy.header.Set("Retry-After", "3600")
	send := func(to string) string {
		return accept(t, &p.Endpoint, "/messages/"+topic, "x", "Kafka-Callback", to)
	}
	if task := callbackOf(t, &p.Endpoint, send(gone.server.URL), "failed"); task.Callback.Count != 1 {
		t.Errorf("%+v", task.Callback)
	}
	if task := callbackOf(t, &p.Endpoint, send(failing.server.URL), "failed"); task.Callback.Count != 3 {
		t.Errorf("%+v", task.Callback)
	}
	location := send(busy.server.URL)
	eventually(t, 10*time.Second, "put off", func() bool {
		c := taskOf(t, p.Do("GET", location, "")).Callback
		return c.Count == 1 && c.State == "pending" && time.Until(*c.Next) > 50*time.Minute
	})
	closed := httptest.NewServer(nil)
	closed.Close()
	if task := callbackOf(t, &p.Endpoint, send(closed.URL), "failed"); task.Callback.Attempts[0].Status != 0 || task.Callback.Attempts[0].Error != "no connection" {
		t.Errorf("%+v", task.Callback)
	}
}

// A receiver that hangs, drips, or answers without end costs one attempt, and holds up nobody else's callbacks.
func TestCallbackToHostileReceivers(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, withCallbacks("callbacks.retry.ms", "60000", "callbacks.timeout.ms", "1000"))
	topic := harness.CreateTopic(t, b, 1)
	stop := make(chan struct{})
	hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hangs":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	}))
	defer hostile.Close()
	defer close(stop)
	var hanging []string
	for range 10 {
		hanging = append(hanging, accept(t, &p.Endpoint, "/messages/"+topic, "x", "Kafka-Callback", hostile.URL+"/hangs"))
	}
	good := newReceiver(t, func(string, int) int { return 200 })
	begin := time.Now()
	callbackOf(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+topic, "x", "Kafka-Callback", good.server.URL), "delivered")
	if took := time.Since(begin); took > 9*time.Second { // of them about five until this node is the group's member
		t.Errorf("another host's callback took %v", took)
	}
	eventually(t, 20*time.Second, "tried", func() bool {
		c := taskOf(t, p.Do("GET", hanging[len(hanging)-1], "")).Callback
		return c.Count == 1 && c.Attempts[0].Error == "no answer in time"
	})
	begin = time.Now()
	callbackOf(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+topic, "x", "Kafka-Callback", hostile.URL+"/endless"), "delivered")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("an endless answer took %v", took)
	}
}

// What an operator has not allowed is refused when it is given.
func TestCallbackRefused(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	topic := harness.CreateTopic(t, b, 1)
	p := startProxy(t, b, withCallbacks("callbacks.allow.private", "false", "callbacks.allow.hosts", "*:*"))
	for _, url := range []string{"http://example.com/", "https://127.0.0.1/", "https://2130706433/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://a:b@example.com/", "x", "",
		"https://localhost/", "https://metadata.google.internal/", "https://b\u00fccher.example/", "https://example.com:0/", "https://example.com:65536/"} {
		if r := p.Do("POST", "/messages/"+topic, "x", "Kafka-Callback", url); r.Status != 422 || r.Code() != 42222 {
			t.Errorf("%s: %d %s", url, r.Status, r.Body)
		}
		if r := p.Do("POST", "/messages/"+topic+"?callback="+neturl.QueryEscape(url), "x"); r.Status != 422 || r.Code() != 42222 {
			t.Errorf("callback=%s: %d %s", url, r.Status, r.Body)
		}
	}
	if log := harness.ReadLog(t, b, topic); len(log) != 0 {
		t.Errorf("stored %s", dump(log...))
	}
	if _, err := newProxy(b, ownTasks("callbacks.allow.hosts", "*")); err == nil || !strings.Contains(err.Error(), "callbacks.secrets") {
		t.Errorf("callbacks without a secret: %v", err)
	}
	if _, err := newProxy(b, ownTasks("callbacks.secrets", "whsec_short")); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a bad secret: %v", err)
	}
}

// A callback that was owed before kill -9 arrives after it, also when another node has to send it.
func TestCallbackSurvivesKill(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		var mu sync.Mutex
		up := false
		to := newReceiver(t, func(string, int) int {
			mu.Lock()
			defer mu.Unlock()
			return map[bool]int{true: 200, false: 500}[up]
		})
		settings := withCallbacks("callbacks.retry.ms", strings.Repeat("200,", 500)+"200")
		p := harness.StartProcess(t, b, settings)
		topic := harness.CreateTopic(t, b, 1)
		location := accept(t, &p.Endpoint, "/messages/"+topic, "x", "Kafka-Callback", to.server.URL)
		eventually(t, 20*time.Second, "tried", func() bool { return taskOf(t, p.Do("GET", location, "")).Callback.Count > 0 })
		p.Kill()
		mu.Lock()
		up = true
		mu.Unlock()
		settings["id"] = harness.FreshName("node")
		q := harness.StartProcess(t, b, settings)
		eventually(t, 30*time.Second, "arrived", func() bool {
			_, arrived := to.count(strings.TrimPrefix(location, "/tasks/"))
			return arrived
		})
		callbackOf(t, &q.Endpoint, location, "delivered")
	})
}
