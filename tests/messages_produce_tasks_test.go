package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// taskReply is a task as clients see it.
type taskReply struct {
	ID       string           `json:"id"`
	Status   string           `json:"status"`
	Created  time.Time        `json:"created"`
	Finished *time.Time       `json:"finished"`
	Offsets  []messageOutcome `json:"offsets"`
	Callback *struct {
		URL      string     `json:"url"`
		State    string     `json:"state"`
		Count    int        `json:"count"`
		Next     *time.Time `json:"next"`
		Attempts []struct {
			At     time.Time `json:"at"`
			Status int       `json:"status"`
			Error  string    `json:"error"`
		} `json:"attempts"`
	} `json:"callback"`
}

func taskOf(t testing.TB, r harness.Reply) taskReply {
	t.Helper()
	var task taskReply
	if err := json.Unmarshal([]byte(r.Body), &task); err != nil || task.ID == "" {
		t.Fatalf("%v in %d %s", err, r.Status, r.Body)
	}
	return task
}

// accept sends a message as a task, wants 202, and gives the task's path.
func accept(t testing.TB, p *harness.Endpoint, path, body string, headers ...string) string {
	t.Helper()
	r := p.Do("POST", path, body, append([]string{"Prefer", "respond-async"}, headers...)...)
	location := r.Header.Get("Location")
	if r.Status != 202 || location != "/tasks/"+taskOf(t, r).ID || r.Header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%d %v %s", r.Status, r.Header, r.Body)
	}
	return location
}

// final waits for a task's end.
func final(t testing.TB, p *harness.Endpoint, location string) taskReply {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		r := p.Do("GET", location, "", "Prefer", "wait=5")
		if r.Status == 503 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if r.Status != 200 {
			t.Fatalf("%s: %d %s", location, r.Status, r.Body)
		}
		if task := taskOf(t, r); task.Status != "pending" {
			return task
		}
	}
	t.Fatalf("%s does not end", location)
	return taskReply{}
}

// ownTasks are settings with a topic of tasks that no other test has.
func ownTasks(more ...string) map[string]string {
	set := map[string]string{"tasks.topic": harness.FreshName("tasks"), "id": harness.FreshName("node")}
	for i := 0; i < len(more); i += 2 {
		set[more[i]] = more[i+1]
	}
	return set
}

// A task from its beginning to its end, and what may be asked of it.
func TestTaskLife(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, ownTasks())
		topic := harness.CreateTopic(t, b, 1)
		for n, send := range []func() harness.Reply{
			func() harness.Reply { return p.Do("POST", "/messages/"+topic, "a", "Prefer", "respond-async") },
			func() harness.Reply { return p.Do("PUT", "/messages/"+topic+"?async=true", "a") },
			func() harness.Reply {
				return p.Do("POST", "/messages/"+topic, "1\n2", "Content-Type", ndjson, "Prefer", "return=minimal, Respond-Async")
			},
			func() harness.Reply {
				return p.Do("POST", "/messages", fmt.Sprintf(`{"records":[{"topic":%q,"value":1},{"topic":%[1]q,"value":2,"partition":9}]}`, topic), "Content-Type", "application/json", "Prefer", "respond-async")
			},
		} {
			r := send()
			if r.Status != 202 {
				t.Fatalf("%d: %d %s", n, r.Status, r.Body)
			}
			task := final(t, &p.Endpoint, r.Header.Get("Location"))
			want := []string{"delivered", "delivered", "delivered", "partial"}[n]
			if task.Status != want || len(task.Offsets) != 1+n/2 || task.Offsets[0].Offset == nil || task.Finished == nil || task.Finished.Before(task.Created) {
				t.Errorf("%d: %+v", n, task)
			}
		}
		location := accept(t, &p.Endpoint, "/messages/"+topic, "last")
		task := final(t, &p.Endpoint, location)
		if r := recordAt(t, b, topic, 0, *task.Offsets[0].Offset); string(r.Value) != "last" {
			t.Errorf("%q is stored", r.Value)
		}
		if r := p.Do("DELETE", location, ""); r.Status != 204 {
			t.Errorf("delete: %d %s", r.Status, r.Body)
		}
		if r := p.Do("GET", location, ""); r.Status != 410 || r.Code() != 41001 {
			t.Errorf("deleted: %d %s", r.Status, r.Body)
		}
		for _, never := range []string{"/tasks/x", "/tasks/" + strings.Repeat("A", 27)} {
			if r := p.Do("GET", never, ""); r.Status != 404 || r.Code() != 40410 {
				t.Errorf("%s: %d %s", never, r.Status, r.Body)
			}
			if r := p.Do("DELETE", never, ""); r.Status != 404 {
				t.Errorf("%s: %d %s", never, r.Status, r.Body)
			}
		}
		if r := p.Do("POST", "/messages/"+topic, "x", "Prefer", "respond-async, wait=10"); r.Status != 200 || len(messageOutcomes(t, r)) != 1 || r.Header.Get("Location") == "" {
			t.Errorf("final within the wait: %d %s", r.Status, r.Body)
		}
		if r := p.Do("GET", "/tasks", ""); r.Status != 200 || !strings.Contains(r.Body, `"durable":true`) || !strings.Contains(r.Body, `"tasks":5`) {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		if r := p.Do("POST", "/messages/"+harness.FreshName("no"), "x", "Prefer", "respond-async"); r.Status != 404 {
			t.Errorf("a topic that is not there: %d %s", r.Status, r.Body)
		}
	})
}

// holdUp keeps records for one topic from being stored until the returned function is called.
func holdUp(t testing.TB, b broker, topic string) (release func()) {
	t.Helper()
	id := b.Fake.TopicInfo(topic).TopicID
	ctx, cancel := context.WithCancel(context.Background())
	b.Fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if ctx.Err() != nil {
			b.Fake.DropControl()
			return nil, nil, false
		}
		b.Fake.KeepControl()
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			if rt.Topic == topic || rt.TopicID == id {
				b.Fake.SleepControl(func() { <-ctx.Done() })
			}
		}
		return nil, nil, false
	})
	t.Cleanup(cancel)
	return cancel
}

// While a task is pending: waiting is bounded, it cannot be deleted, and limits hold.
func TestTaskPending(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, ownTasks("tasks.max", "2", "messages.wait.max.ms", "1000"))
	topic := harness.CreateTopic(t, b, 1)
	release := holdUp(t, b, topic)
	location := accept(t, &p.Endpoint, "/messages/"+topic, "x")
	begin := time.Now()
	r := p.Do("GET", location, "", "Prefer", "wait=60")
	if took := time.Since(begin); taskOf(t, r).Status != "pending" || took < 900*time.Millisecond || took > 3*time.Second || r.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("%d %s after %v", r.Status, r.Body, took)
	}
	if r := p.Do("DELETE", location, ""); r.Status != 409 || r.Code() != 40910 {
		t.Errorf("delete: %d %s", r.Status, r.Body)
	}
	accept(t, &p.Endpoint, "/messages/"+topic, "x")
	if r := p.Do("POST", "/messages/"+topic, "x", "Prefer", "respond-async"); r.Status != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("above the limit: %d %s", r.Status, r.Body)
	}
	release()
	if task := final(t, &p.Endpoint, location); task.Status != "delivered" {
		t.Errorf("%+v", task)
	}
}

// A task is forgotten after its time, and that it was is remembered, also after a restart.
func TestTaskExpires(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	settings := ownTasks("tasks.retention.ms", "1000")
	p := startProxy(t, b, settings)
	topic := harness.CreateTopic(t, b, 1)
	location := accept(t, &p.Endpoint, "/messages/"+topic, "x")
	final(t, &p.Endpoint, location)
	eventually(t, 10*time.Second, "expired", func() bool { return p.Do("GET", location, "").Status == 410 })
	again := startProxy(t, b, settings)
	eventually(t, 10*time.Second, "known as expired after a restart", func() bool { return again.Do("GET", location, "").Status == 410 })
}

func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s within %v", what, within)
		}
	}
}

// Without the topic tasks are in memory, and that is said.
func TestTasksInMemory(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, ownTasks("tasks.store", "memory"))
	topic := harness.CreateTopic(t, b, 1)
	if task := final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+topic, "x")); task.Status != "delivered" {
		t.Errorf("%+v", task)
	}
	if r := p.Do("GET", "/tasks", ""); !strings.Contains(r.Body, `"durable":false`) || !strings.Contains(r.Body, "reason") {
		t.Error(r.Body)
	}
	if topics := p.Do("GET", "/topics", "").Body; strings.Contains(topics, "tasks") {
		t.Error(topics)
	}
}

// Any node answers for the tasks of any other.
func TestTaskOnAnotherNode(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		p, q := startProxy(t, b, settings), startProxy(t, b, map[string]string{"tasks.topic": settings["tasks.topic"], "id": harness.FreshName("node")})
		topic := harness.CreateTopic(t, b, 1)
		for n := range 10 { // before the first there is no topic of tasks
			if r := q.Do("GET", "/tasks/"+strings.Repeat("A", 27), ""); r.Status != 404 {
				t.Errorf("%d %s", r.Status, r.Body)
			}
			if r := q.Do("GET", accept(t, &p.Endpoint, "/messages/"+topic, "x"), ""); r.Status != 200 {
				t.Errorf("task %d, asked for at the other node at once: %d %s", n, r.Status, r.Body)
			}
		}
		location := accept(t, &p.Endpoint, "/messages/"+topic, "x")
		final(t, &p.Endpoint, location)
		eventually(t, 20*time.Second, "known to the other node", func() bool {
			r := q.Do("GET", location, "", "Prefer", "wait=2")
			return r.Status == 200 && taskOf(t, r).Status == "delivered"
		})
		if r := q.Do("DELETE", location, ""); r.Status != 204 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		eventually(t, 20*time.Second, "deleted for the first node", func() bool { return p.Do("GET", location, "").Status == 410 })
	})
}

// eachOutside runs a test on brokers that a process of its own can reach.
func eachOutside(t *testing.T, body func(t *testing.T, b broker)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) { body(t, harness.FakeBroker(t, 1)) })
	t.Run("kafka", func(t *testing.T) { body(t, harness.RealBroker(t)) })
}

// An id that was given survives kill -9. What was interrupted is unknown, never delivered; what ended says what it said.
func TestTasksSurviveKill(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		p := harness.StartProcess(t, b, settings)
		topic := harness.CreateTopic(t, b, 1)
		before := map[string]taskReply{}
		for range 5 {
			location := accept(t, &p.Endpoint, "/messages/"+topic, "x")
			before[location] = final(t, &p.Endpoint, location)
		}
		var interrupted []string
		if b.Fake != nil {
			stuck := harness.CreateTopic(t, b, 1)
			holdUp(t, b, stuck)
			for range 3 {
				interrupted = append(interrupted, accept(t, &p.Endpoint, "/messages/"+stuck, "x"))
			}
		}
		p.Kill()
		p = harness.StartProcess(t, b, settings)
		for location, was := range before {
			is := final(t, &p.Endpoint, location)
			if is.Status != "delivered" || *is.Offsets[0].Offset != *was.Offsets[0].Offset || !is.Finished.Equal(*was.Finished) {
				t.Errorf("%+v was %+v", is, was)
			}
		}
		for _, location := range interrupted {
			if is := final(t, &p.Endpoint, location); is.Status != "unknown" || is.Offsets != nil || is.Finished == nil {
				t.Errorf("%+v", is)
			}
		}
	})
}

// The same key with the same request gives the first answer again and stores nothing; with another it is refused.
func TestIdempotencyKey(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		p := startProxy(t, b, settings)
		topic, other := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
		path := "/messages/" + topic
		first := p.Do("PUT", path, "x", "Idempotency-Key", `"k1"`)
		if first.Status != 200 || first.Header.Get("Idempotent-Replayed") != "" {
			t.Fatalf("%d %s", first.Status, first.Body)
		}
		again := func(p *proxy) {
			t.Helper()
			r := p.Do("PUT", path, "x", "Idempotency-Key", "k1")
			if r.Status != 200 || r.Body != first.Body || r.Header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("again: %d %s %v", r.Status, r.Body, r.Header)
			}
		}
		again(p)
		for _, different := range [][]string{{path, "y"}, {path + "?key=k", "x"}, {path, "x", "Kafka-Header-A", "b"}, {path, "x", "Content-Type", "a/b"}} {
			if r := p.Do("PUT", different[0], different[1], append([]string{"Idempotency-Key", "k1"}, different[2:]...)...); r.Status != 422 || r.Code() != 42221 {
				t.Errorf("%v: %d %s", different, r.Status, r.Body)
			}
		}
		if r := p.Do("PUT", "/messages/"+other, "x", "Idempotency-Key", "k1"); r.Status != 200 || r.Header.Get("Idempotent-Replayed") != "" {
			t.Errorf("for another topic: %d %s", r.Status, r.Body)
		}
		partial := `{"records":[{"value":1},{"value":2,"partition":5}]}`
		some := p.Do("POST", path, partial, "Content-Type", harness.JSON, "Idempotency-Key", "k2")
		if r := p.Do("POST", path, partial, "Content-Type", harness.JSON, "Idempotency-Key", "k2"); r.Status != 207 || r.Body != some.Body || r.Header.Get("Kafka-Failed-Records") != "1" {
			t.Errorf("%d %s, first %s", r.Status, r.Body, some.Body)
		}
		location := accept(t, &p.Endpoint, path, "z", "Idempotency-Key", "k3")
		final(t, &p.Endpoint, location)
		if r := p.Do("POST", path, "z", "Prefer", "respond-async", "Idempotency-Key", "k3"); r.Status != 202 || r.Header.Get("Location") != location || taskOf(t, r).Status != "delivered" {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		again(startProxy(t, b, settings))
		if got := values(harness.ReadLog(t, b, topic)); got != "x 1 z " {
			t.Errorf("stored %s", got)
		}
	})
}

// While the first request with a key is under way the second is told so; a request of which nothing was stored does not use its key up.
func TestIdempotencyKeyUnderWay(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, ownTasks("messages.overrides.allow", "timeout"))
	topic := harness.CreateTopic(t, b, 1)
	release := holdUp(t, b, topic)
	var wg sync.WaitGroup
	wg.Go(func() {
		if r := p.Do("PUT", "/messages/"+topic, "x", "Idempotency-Key", "k"); r.Status != 200 {
			t.Errorf("first: %d %s", r.Status, r.Body)
		}
	})
	eventually(t, 10*time.Second, "refused", func() bool {
		r := p.Do("PUT", "/messages/"+topic+"?timeout=300", "x", "Idempotency-Key", "k2")
		return r.Status == 504 || r.Status == 409
	})
	eventually(t, 10*time.Second, "in use", func() bool {
		r := p.Do("PUT", "/messages/"+topic, "x", "Idempotency-Key", "k")
		return r.Status == 409 && r.Code() == 40911 && r.Header.Get("Retry-After") != ""
	})
	release()
	wg.Wait()
	eventually(t, 10*time.Second, "answered after all", func() bool { // the first answer was 504; what became of it is known by now
		r := p.Do("PUT", "/messages/"+topic+"?timeout=300", "x", "Idempotency-Key", "k2")
		return r.Status == 200 && r.Header.Get("Idempotent-Replayed") == "true"
	})
	late := harness.FreshName("t")
	if r := p.Do("PUT", "/messages/"+late, "x", "Idempotency-Key", "k4"); r.Status != 404 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	harness.CreateNamed(t, b, late, 1, -1)
	eventually(t, 10*time.Second, "stored", func() bool { return p.Do("PUT", "/messages/"+late, "x", "Idempotency-Key", "k4").Status == 200 })
	if got := values(harness.ReadLog(t, b, late)); got != "x " {
		t.Errorf("stored %s", got)
	}
}

// Somebody deletes the topic of tasks: after a moment tasks are taken again.
func TestTopicOfTasksDeleted(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		p := startProxy(t, b, settings)
		topic := harness.CreateTopic(t, b, 1)
		final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+topic, "x"))
		if _, err := harness.Admin(t, b).DeleteTopic(t.Context(), settings["tasks.topic"]); err != nil {
			t.Fatal(err)
		}
		var location string
		eventually(t, 30*time.Second, "accepted again", func() bool {
			r := p.Do("POST", "/messages/"+topic, "x", "Prefer", "respond-async")
			if r.Status != 202 && r.Status != 503 {
				t.Errorf("%d %s", r.Status, r.Body)
			}
			location = r.Header.Get("Location")
			return r.Status == 202
		})
		if task := final(t, &p.Endpoint, location); task.Status != "delivered" {
			t.Errorf("%+v", task)
		}
	})
}

// A proxy that may not create the topic, or whose cluster's policy has no such topic, keeps tasks in memory, and says so from the start.
func TestTasksWithoutPermission(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.PolicyViolation} {
		t.Run(refusal.Message, func(t *testing.T) { tasksWithoutPermission(t, refusal) })
	}
}

func tasksWithoutPermission(t *testing.T, refusal *kerr.Error) {
	t.Helper()
	b := harness.FakeBroker(t, 1)
	topic := harness.CreateTopic(t, b, 1)
	b.Fake.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, rt := range req.(*kmsg.CreateTopicsRequest).Topics {
			out := kmsg.NewCreateTopicsResponseTopic()
			out.Topic, out.ErrorCode = rt.Topic, refusal.Code
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil, true
	})
	p := startProxy(t, b, ownTasks())
	eventually(t, 10*time.Second, "said", func() bool {
		return strings.Contains(p.Do("GET", "/tasks", "").Body, `"durable":false,"reason":"the proxy may not create`)
	})
	if task := final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+topic, "x")); task.Status != "delivered" {
		t.Errorf("%+v", task)
	}
}

// A replay is the first answer, in the form that is asked for: how and when a client wants to hear of its request is no part of the request.
func TestReplayForms(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, ownTasks("messages.overrides.allow", "timeout", "callbacks.allow.hosts", "hooks.example", "callbacks.secrets", newSecret))
	topic := harness.CreateTopic(t, b, 1)
	path, set := "/messages/"+topic, `{"records":[{"value":1},{"value":2,"partition":5},{"value":3}]}`
	twice := func(key, query, body string, headers ...string) (first, again harness.Reply) {
		t.Helper()
		headers = append(headers, "Idempotency-Key", key)
		first = p.Do("POST", path+query, body, headers...)
		eventually(t, 10*time.Second, "final", func() bool {
			again = p.Do("POST", path+query, body, headers...)
			return again.Status != 409
		})
		if again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %d %s", key, again.Status, again.Body)
		}
		return first, again
	}
	for key, headers := range map[string][]string{
		"lines": {"Accept", ndjson}, "problem": {"Accept", "application/problem+json"}, "waits": {"Prefer", "respond-async, wait=10"},
		"waits for lines": {"Prefer", "respond-async, wait=10", "Accept", ndjson},
	} {
		first, again := twice(key, "", set, append(headers, "Content-Type", harness.JSON)...)
		if first.Status != 207 || again.Status != 207 || again.Body != first.Body || again.Header.Get("Content-Type") != first.Header.Get("Content-Type") ||
			again.Header.Get("Kafka-Failed-Records") != "1" || again.Header.Get("Location") != first.Header.Get("Location") {
			t.Errorf("%s: %d %v %s\nfirst %d %v %s", key, again.Status, again.Header, again.Body, first.Status, first.Header, first.Body)
		}
	}
	first, _ := twice("sync", "?key=k", "x")
	for _, later := range [][]string{{"?key=k&async=true"}, {"?timeout=5000&key=k"}, {"?key=k", "Kafka-Callback", "https://hooks.example/"},
		{"?key=k&callback=https://hooks.example/"}, {"?key=k", "Prefer", "respond-async"}} {
		r := p.Do("POST", path+later[0], "x", append(later[1:], "Idempotency-Key", "sync")...)
		if r.Status != 200 || r.Body != first.Body || r.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%v: %d %s", later, r.Status, r.Body)
		}
	}
}

// A task of which certainly nothing was stored does not use its key up, on any node, nor after a restart; while the first is under way the
// second is told where it is.
func TestKeyOfAFailedTask(t *testing.T) {
	b := harness.FakeBroker(t, 1)
	settings := ownTasks()
	p := startProxy(t, b, settings)
	topic := harness.CreateTopic(t, b, 1)
	var refuse atomic.Bool
	refuse.Store(true)
	id := b.Fake.TopicInfo(topic).TopicID
	b.Fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			if refuse.Load() && (rt.Topic == topic || rt.TopicID == id) {
				return refusedRecords(req.(*kmsg.ProduceRequest)), nil, true
			}
		}
		return nil, nil, false
	})
	send := func(p *proxy) harness.Reply {
		return p.Do("POST", "/messages/"+topic, "x", "Prefer", "respond-async", "Idempotency-Key", "k")
	}
	first := send(p)
	location := first.Header.Get("Location")
	if task := final(t, &p.Endpoint, location); task.Status != "failed" {
		t.Fatalf("%+v", task)
	}
	refuse.Store(false)
	again := startProxy(t, b, settings)
	release := holdUp(t, b, topic)
	second := send(again)
	if second.Status != 202 || second.Header.Get("Idempotent-Replayed") != "" || second.Header.Get("Location") == location {
		t.Fatalf("%d %v %s", second.Status, second.Header, second.Body)
	}
	if r := send(again); r.Status != 409 || r.Code() != 40911 || r.Header.Get("Location") != second.Header.Get("Location") {
		t.Errorf("under way: %d %v %s", r.Status, r.Header, r.Body)
	}
	release()
	if task := final(t, &again.Endpoint, second.Header.Get("Location")); task.Status != "delivered" {
		t.Errorf("%+v", task)
	}
	if r := send(again); r.Status != 202 || r.Header.Get("Location") != second.Header.Get("Location") {
		t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
	}
	if task := final(t, &again.Endpoint, location); task.Status != "failed" {
		t.Errorf("the first: %+v", task)
	}
}

// refusedRecords is what a broker says that refuses the records themselves.
func refusedRecords(req *kmsg.ProduceRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, rt := range req.Topics {
		out := kmsg.NewProduceResponseTopic()
		out.Topic, out.TopicID = rt.Topic, rt.TopicID
		for _, p := range rt.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.InvalidRecord.Code
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
