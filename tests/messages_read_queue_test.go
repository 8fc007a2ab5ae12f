package tests

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMessagesQueueShow is what the first page of the documentation promises.
func TestMessagesQueueShow(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := harness.CreateTopic(t, b, 1)
		m := p.messages(topic)
		file := string([]byte{0, 1, 0xff}) + "file"
		if r := p.Do("PUT", "/messages/"+topic, file); r.Status != 200 {
			t.Fatalf("PUT: %d %s", r.Status, r.Body)
		}
		if raw := p.Do("GET", "/messages/"+topic+"/me/0", "", "Accept", "application/octet-stream"); raw.Body != file {
			t.Errorf("GET …/me/0: %q", raw.Body)
		}
		got := m.get("/me").Messages
		if len(got) != 1 || got[0].Deliveries != 1 || time.Until(got[0].Deadline) < 20*time.Second || !strings.HasPrefix(got[0].Ack, p.URL+"/messages/"+topic+"/me/0?") {
			t.Fatalf("GET …/me: %+v", got)
		}
		if again := m.get("/me?wait=0"); len(again.Messages) != 0 {
			t.Errorf("held, and handed out again: %v", again)
		}
		m.want(204, 0, "DELETE", got[0].Ack)
		m.want(204, 0, "DELETE", got[0].Ack)
		if again := m.get("/me?wait=0"); len(again.Messages) != 0 {
			t.Errorf("acknowledged, and handed out again: %v", again)
		}
		if at := harness.Committed(t, b, "me", topic, 0); at != 1 {
			t.Errorf("committed offset %d after the 204, want 1", at)
		}
	})
}

func TestMessagesQueueSurvivesARestart(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		topic, group := harness.CreateTopic(t, b, 2), harness.FreshName("g")
		storeNumbers(t, b, topic, 2, 0, 40)
		p, err := newProxy(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.T = t
		m := p.messages(topic)
		var left []string
		for i, got := range m.receiveN("/"+group+"?limit=40", 40) {
			if i%3 == 0 {
				left = append(left, string(got.Value))
				continue
			}
			m.want(204, 0, "DELETE", got.Ack)
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		m = startProxy(t, b, nil).messages(topic)
		if got := messageValues(m.receiveN("/"+group, len(left))); !slices.Equal(sortedNumerals(got), sortedNumerals(left)) {
			t.Errorf("after the restart %v, want %v", sortedNumerals(got), sortedNumerals(left))
		}
		if more := m.get("/" + group + "?wait=0.5"); len(more.Messages) > 0 {
			t.Errorf("and more: %v", more.values())
		}
	})
}

func TestMessagesQueueLeases(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 1)
		m := p.messages(topic)
		take := func(query string) message { return m.receiveN("/"+group+"?wait=5&"+query, 1)[0] }
		sub := func(ack, verb string) string {
			u, _ := url.Parse(ack)
			u.Path += "/" + verb
			return u.String()
		}
		first := take("ack_timeout=0.2")
		second := take("ack_timeout=60")
		if second.Deliveries != 2 {
			t.Errorf("delivery count %d", second.Deliveries)
		}
		m.want(409, 40906, "DELETE", first.Ack)
		m.want(409, 40906, "POST", sub(first.Ack, "renew"))
		m.want(409, 40906, "POST", sub(first.Ack, "release"))
		m.want(200, 0, "POST", sub(second.Ack, "renew")+"&ack_timeout=100")
		m.want(204, 0, "POST", sub(second.Ack, "release")+"&delay=0.2")
		if early := m.get("/" + group + "?wait=0"); len(early.Messages) > 0 {
			t.Error("handed out before the delay was over")
		}
		third := take("")
		m.want(204, 0, "POST", sub(third.Ack, "release"))
		fourth := take("")
		if fourth.Deliveries != 4 {
			t.Errorf("delivery count %d", fourth.Deliveries)
		}
		m.want(204, 0, "DELETE", fmt.Sprintf("/%s/0?partition=0", group)) // without a lease: for whoever holds it
		m.want(204, 0, "DELETE", first.Ack)
		m.want(422, 422, "DELETE", "/"+group+"/0")
		m.want(422, 422, "DELETE", "/"+group+"/1?partition=0")
		m.want(404, 40402, "DELETE", "/"+group+"/1?partition=7")
		m.want(422, 422, "DELETE", "/"+group+"/0?partition=0&lease=x")
		m.want(422, 422, "GET", "/-")
		m.want(422, 422, "GET", "/"+group+"?max_deliveries=3")
		m.want(204, 0, "DELETE", "/"+group)
		m.want(204, 0, "DELETE", "/"+group)
		p.messages("nosuch.topic").want(404, 40401, "GET", "/"+group)
	})
}

func TestMessagesQueueUpToAndAuto(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 20)
		m := p.messages(topic)
		got := m.receiveN("/"+group+"?limit=10", 10)
		m.want(204, 0, "DELETE", got[7].Ack+"&upto=true")
		if at := harness.Committed(t, b, group, topic, 0); at != 8 {
			t.Errorf("committed %d", at)
		}
		if auto := m.get("/" + group + "?ack=auto&limit=4").values(); !slices.Equal(auto, numerals(10, 14)) {
			t.Errorf("ack=auto gives %v", auto)
		}
		m.want(204, 0, "DELETE", got[8].Ack)
		m.want(204, 0, "DELETE", got[9].Ack)
		if at := harness.Committed(t, b, group, topic, 0); at != 14 {
			t.Errorf("committed %d", at)
		}
	})
}

func TestMessagesQueueDeadLetter(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, dead, group := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 2)
		m := p.messages(topic)
		path := "/" + group + "?ack_timeout=0.1&max_deliveries=3&dead_letter_topic=" + dead
		for n := range 3 {
			if got := m.receiveN(path+"&wait=5", 2); got[0].Deliveries != n+1 {
				t.Fatalf("delivery %d: %+v", n+1, got)
			}
		}
		time.Sleep(150 * time.Millisecond)
		if got := m.get(path + "&wait=0"); len(got.Messages) > 0 {
			t.Fatalf("a fourth delivery: %v", got.values())
		}
		letters := p.messages(dead).get("/-/earliest?wait=10").Messages
		if len(letters) != 2 || string(letters[1].Value) != "1" {
			t.Fatalf("in the dead-letter topic: %v", letters)
		}
		headers := map[string]string{}
		for _, h := range letters[1].Headers {
			headers[h.Key] = h.Value
		}
		if headers["dead-letter-topic"] != topic || headers["dead-letter-offset"] != "1" || headers["dead-letter-deliveries"] != "3" || headers["dead-letter-consumer"] != group {
			t.Errorf("its headers: %v", headers)
		}
	})
}

func TestMessagesQueueStream(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 10)
		m := p.messages(topic)
		s := m.open("/"+group+"?limit=3", "application/x-ndjson")
		var got []message
		for range 3 {
			got = append(got, s.parse(s.line("")))
		}
		select {
		case l := <-s.lines:
			t.Errorf("a fourth with three held: %s", l)
		case <-time.After(300 * time.Millisecond):
		}
		m.want(204, 0, "DELETE", got[1].Ack)
		if next := s.parse(s.line("")); string(next.Value) != "3" {
			t.Errorf("after an acknowledgement: %s", next.Value)
		}
		s.cancel() // what is held comes again at once
		if rest := m.receiveN("/"+group+"?limit=20&wait=5", 9); !slices.Equal(sortedNumerals(messageValues(rest)), append([]string{"0"}, numerals(2, 10)...)) {
			t.Errorf("after the stream: %v", messageValues(rest))
		}
		auto := m.open("/"+group+"?ack=auto", "text/event-stream")
		auto.line("retry: ")
		storeNumbers(t, b, topic, 1, 10, 30)
		for i := 10; i < 30; i++ {
			if got := auto.parse(auto.line("data: ")); string(got.Value) != fmt.Sprint(i) {
				t.Errorf("%d: %s", i, got.Value)
			}
		}
	})
}

// TestMessagesQueueLostReply has clients give up while they wait: what they were given goes to the next one at once.
func TestMessagesQueueLostReply(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
	m := p.messages(topic)
	m.get("/" + group + "?wait=1") // joins
	for i := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = p.Try(ctx, "GET", "/messages/"+topic+"/"+group+"?wait=20&ack_timeout=600", "")
		}()
		time.Sleep(20 * time.Millisecond)
		cancel()
		<-done
		storeNumbers(t, b, topic, 1, i, i+1)
		got := m.receiveN("/"+group+"?wait=5", 1)
		m.want(204, 0, "DELETE", got[0].Ack)
		if string(got[0].Value) != fmt.Sprint(i) {
			t.Errorf("message %d: %s", i, got[0].Value)
		}
	}
}

// TestMessagesQueueBesideV2 shares a group with a member of the v2 API.
func TestMessagesQueueBesideV2(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 10)
		m := p.messages(topic)
		got := m.receiveN("/"+group+"?limit=5", 5)
		m.want(204, 0, "DELETE", got[4].Ack+"&upto=true")
		m.want(204, 0, "DELETE", "/"+group)
		i := p.Instance(group, `{"format":"binary","auto.offset.reset":"earliest"}`)
		p.Subscribe(i, topic)
		if r := p.ReadSome(i, harness.Binary, ""); r[0].Offset != 5 {
			t.Errorf("the v2 member begins at %d, want 5", r[0].Offset)
		}
	})
}

// TestMessagesQueueRefusals is what is refused before anything is joined.
func TestMessagesQueueRefusals(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	m := p.messages(harness.CreateTopic(t, b, 1))
	for _, consumer := range []string{"-", "%2E", "%2e%2E", strings.Repeat("x", 250)} {
		m.want(422, 422, "GET", "/"+consumer+"?wait=0")
		m.want(422, 0, "HEAD", "/"+consumer)
	}
	m.want(200, 0, "GET", "/...?wait=0")
	m.want(422, 422, "GET", "/me?wait=0&max_deliveries=1&dead_letter_topic="+m.topic)
	m.want(204, 0, "HEAD", "/me")
	p.messages("nosuch.topic").want(404, 0, "HEAD", "/me")
}

// TestMessagesQueueOfAnUnfitGroup has a member in the group that offers no assignor that queues have.
func TestMessagesQueueOfAnUnfitGroup(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
		in := make(chan struct{}, 10)
		foreign, err := kgo.NewClient(append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { in <- struct{}{} })}, b.Client...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		<-in
		r := p.Do("GET", "/messages/"+topic+"/"+group+"?wait=20", "")
		for _, part := range []string{`"error_code":40907`, `"name":"INCONSISTENT_GROUP_PROTOCOL"`, `"retriable":false`, "group " + group, "CooperativeStickyAssignor"} {
			if r.Status != 409 || !strings.Contains(r.Body, part) {
				t.Errorf("%d without %s: %s", r.Status, part, r.Body)
			}
		}
		foreign.Close()
		storeNumbers(t, b, topic, 1, 0, 1)
		if got := p.messages(topic).receiveN("/"+group+"?wait=5", 1); string(got[0].Value) != "0" {
			t.Errorf("after the other member has left: %v", messageValues(got))
		}
	})
}
