package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// described asks a broker for a group.
func described(t testing.TB, adm *kadm.Client, group string) kadm.DescribedGroup {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		groups, err := adm.DescribeGroups(ctx, group)
		if err == nil {
			return groups[group]
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the first group of a broker has no coordinator for a moment
	}
}

// share has nodes join a group until each has as many partitions of a topic as the others.
func share(t testing.TB, b broker, topic, group string, each int, nodes ...*proxy) {
	t.Helper()
	adm := harness.Admin(t, b)
	eventually(t, 60*time.Second, "shared among the nodes", func() bool {
		for _, n := range nodes {
			n.messages(topic).get("/" + group + "?wait=0")
		}
		g := described(t, adm, group)
		if g.State != "Stable" || len(g.Members) != len(nodes) {
			return false
		}
		return !slices.ContainsFunc(g.Members, func(m kadm.DescribedGroupMember) bool {
			a, ok := m.Assigned.AsConsumer()
			return !ok || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != each
		})
	})
}

// keptTopic makes a topic that keeps storeNumbers' records, which are years old: half a minute after its start a broker begins to remove such.
func keptTopic(t testing.TB, b broker, partitions int) string {
	t.Helper()
	return harness.CreateTopic(t, b, partitions, "retention.ms=-1")
}

// at is what of an ack URL holds at any node, for a verb of it or "".
func at(ack, verb string) string {
	u, err := url.Parse(ack)
	if err != nil {
		return err.Error()
	}
	if verb != "" {
		u.Path += "/" + verb
	}
	return u.RequestURI()
}

// TestMessagesForwarded acknowledges every message at the node that did not hand it out, and at one that is not in the group at all.
func TestMessagesForwarded(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		const records = 120
		topic, group := keptTopic(t, b, 4), harness.FreshName("g")
		nodes := []*proxy{startProxy(t, b, nil), startProxy(t, b, map[string]string{"consumer.client.id": "mine"})}
		outside := startProxy(t, b, nil)
		share(t, b, topic, group, 2, nodes...)
		storeNumbers(t, b, topic, 4, 0, records)
		var seen []string
		for turn := 0; len(seen) < records; turn++ {
			if turn > 1000 {
				t.Fatalf("%d of %d messages after %d receives", len(seen), records, turn)
			}
			other := []*proxy{nodes[(turn+1)%2], outside}
			for i, got := range nodes[turn%2].messages(topic).get("/" + group + "?limit=7&wait=0.1").Messages {
				seen = append(seen, string(got.Value))
				for range 2 {
					if r := other[i%2].Do("DELETE", at(got.Ack, ""), ""); r.Status != 204 || r.Body != "" {
						t.Fatalf("acknowledge %s through another node: %d %s", got.Value, r.Status, r.Body)
					}
				}
			}
		}
		if !slices.Equal(sortedNumerals(seen), numerals(0, records)) {
			t.Errorf("%d messages came, not each of %d once", len(seen), records)
		}
		for p := range int32(4) {
			if at := harness.Committed(t, b, group, topic, p); at != records/4 {
				t.Errorf("partition %d is committed up to %d of %d", p, at, records/4)
			}
		}
		members := described(t, harness.Admin(t, b), group).Members
		if len(members) != 2 || !slices.ContainsFunc(members, func(m kadm.DescribedGroupMember) bool { return strings.HasPrefix(m.ClientID, "mine.") }) {
			t.Errorf("the group's members are %+v", members)
		}
	})
}

// TestMessagesForwardedReleaseAndRenew has the leases of one node hold at another, and its errors told in the form that is asked for there.
func TestMessagesForwardedReleaseAndRenew(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		topic, group := keptTopic(t, b, 1), harness.FreshName("g")
		p, q := startProxy(t, b, nil), startProxy(t, b, nil)
		storeNumbers(t, b, topic, 1, 0, 1)
		here, there := p.messages(topic), q.messages(topic)
		first := here.receiveN("/"+group+"?wait=5&ack_timeout=2", 1)[0]
		r := q.Do("POST", at(first.Ack, "renew")+"&ack_timeout=100", "", "X-Request-Id", "mine-1")
		if r.Status != 200 || !strings.Contains(r.Body, `{"deadline":"`) || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Request-ID") != "mine-1" {
			t.Errorf("renew: %d %v %s", r.Status, r.Header, r.Body)
		}
		if r := q.Do("POST", at(first.Ack, "release"), ""); r.Status != 204 {
			t.Errorf("release: %d %s", r.Status, r.Body)
		}
		second := here.receiveN("/"+group+"?wait=5", 1)[0]
		if second.Deliveries != 2 {
			t.Errorf("delivery count %d after a release through another node", second.Deliveries)
		}
		for _, verb := range []string{"", "renew", "release"} {
			method := "POST"
			if verb == "" {
				method = "DELETE"
			}
			problem := q.Do(method, at(first.Ack, verb), "", "Accept", "application/problem+json")
			if problem.Status != 409 || problem.Code() != 40906 || problem.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(problem.Body, "another client") {
				t.Errorf("%s with the first lease: %d %v %s", method, problem.Status, problem.Header, problem.Body)
			}
		}
		there.want(422, 422, "DELETE", fmt.Sprintf("/%s/77?partition=0", group))
		there.want(404, 40402, "DELETE", fmt.Sprintf("/%s/0?partition=7", group))
		q.messages("nosuch.topic").want(404, 40401, "DELETE", "/"+group+"/0?partition=0")
		there.want(204, 0, "DELETE", second.Ack)
		there.want(204, 0, "DELETE", first.Ack) // what is acknowledged stays so
		here.want(204, 0, "DELETE", "/"+group)
		eventually(t, 20*time.Second, "left", func() bool { return len(described(t, harness.Admin(t, b), group).Members) == 0 })
		there.want(204, 0, "DELETE", second.Ack) // nobody is there to be asked: this node joins
	})
}

// TestMessagesForwardedOnlyOnce has a request that was sent on reach the wrong node: nobody sends it on again.
func TestMessagesForwardedOnlyOnce(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		topic, group := keptTopic(t, b, 1), harness.FreshName("g")
		p, q := startProxy(t, b, nil), startProxy(t, b, nil)
		storeNumbers(t, b, topic, 1, 0, 1)
		got := p.messages(topic).receiveN("/"+group+"?wait=5", 1)[0]
		r := q.Do("DELETE", at(got.Ack, ""), "", "Kafka-Rest-Forwarded", "1")
		if r.Status != 409 || r.Code() != 40906 || r.Header.Get("Kafka-Rest-Forwarded") != "elsewhere" {
			t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
		}
		if g := described(t, harness.Admin(t, b), group); len(g.Members) != 1 || g.State != "Stable" {
			t.Errorf("the group is %+v", g)
		}
		if r = p.Do("DELETE", at(got.Ack, ""), "", "Kafka-Rest-Forwarded", "1"); r.Status != 204 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	})
}

// TestMessagesForwardedToTheDead kills the node that has the partition (-9). Until the group notices, others can only say that it gives no
// answer; then they take over.
func TestMessagesForwardedToTheDead(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		settings := map[string]string{"messages.queue.session.timeout.ms": "6000"} // Kafka's least
		if b.Fake != nil {
			settings = map[string]string{"messages.queue.session.timeout.ms": "1500"}
		}
		topic, group := keptTopic(t, b, 1), harness.FreshName("g")
		storeNumbers(t, b, topic, 1, 0, 2)
		p, q := harness.StartProcess(t, b, settings), startProxy(t, b, settings)
		got := messageReader{&p.Endpoint, topic}.receiveN("/"+group+"?wait=5", 2)
		p.Kill()
		r := q.Do("DELETE", at(got[0].Ack, ""), "")
		if r.Status != 503 || r.Code() != 50304 || r.Header.Get("Retry-After") != "1" || !strings.Contains(r.Body, "gives no answer") {
			t.Errorf("with its owner dead: %d %v %s", r.Status, r.Header, r.Body)
		}
		eventually(t, 60*time.Second, "acknowledged", func() bool {
			r := q.Do("DELETE", at(got[0].Ack, ""), "")
			if r.Status != 204 && r.Status != 503 {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			return r.Status == 204
		})
		if again := q.messages(topic).receiveN("/"+group+"?wait=5", 1); string(again[0].Value) != "1" {
			t.Errorf("after that comes %v", messageValues(again))
		}
	})
}

// member is a member of a group that is no node of ours.
func member(t *testing.T, b broker, topic, group, clientID string, opts ...kgo.Opt) {
	t.Helper()
	opts = append(opts, kgo.ClientID(clientID), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	client, err := kgo.NewClient(append(opts, b.Client...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
}

// foreign is a member that has all partitions of a topic once it is returned.
func foreign(t *testing.T, b broker, topic, group, clientID string) {
	t.Helper()
	member(t, b, topic, group, clientID, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	adm := harness.Admin(t, b)
	eventually(t, 30*time.Second, "a member", func() bool {
		g := described(t, adm, group)
		return g.State == "Stable" && len(g.AssignedPartitions()[topic]) > 0
	})
}

// TestMessagesForwardedToForeigners asks for partitions of members that no request can be sent on to, whatever they call themselves.
func TestMessagesForwardedToForeigners(t *testing.T) {
	eachOutside(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		var dialled atomic.Int64
		trap := listenFor(t, &dialled)
		for _, id := range []string{"consumer-1", "kafka-rest-queue.http.0", "kafka-rest-queue.ftp." + trap, "kafka-rest-queue.http." + trap + "/x",
			"kafka-rest-queue.http." + trap + "@127.0.0.1", "kafka-rest-queue.https." + trap, "kafka-rest-queue.http.127.0.0.1:" + trap} {
			topic, group := keptTopic(t, b, 1), harness.FreshName("g")
			storeNumbers(t, b, topic, 1, 0, 1)
			foreign(t, b, topic, group, id)
			p.messages(topic).want(409, 40906, "DELETE", "/"+group+"/0?partition=0")
			if g := described(t, harness.Admin(t, b), group); len(g.Members) != 1 {
				t.Errorf("%q: the group has %d members after a mere acknowledgement", id, len(g.Members))
			}
		}
		if n := dialled.Load(); n > 0 {
			t.Errorf("%d connections were made to a port that nobody gave properly", n)
		}
	})
}

// listenFor counts who connects to a port.
func listenFor(t *testing.T, count *atomic.Int64) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait()
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// TestMessagesForwardedBesideNewerMembers has a member of the protocol of KIP-848 in the group, alone at first.
func TestMessagesForwardedBesideNewerMembers(t *testing.T) {
	b := harness.RealBroker(t) // the other broker cannot mix them
	topic, group := keptTopic(t, b, 2), harness.FreshName("g")
	storeNumbers(t, b, topic, 2, 0, 2)
	p, q := startProxy(t, b, nil), startProxy(t, b, nil)
	member(t, b, topic, group, "java", kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer())
	adm := harness.Admin(t, b)
	members := func(assigned int) bool {
		groups, err := adm.DescribeConsumerGroups(t.Context(), group)
		n := 0
		for _, m := range groups[group].Members {
			n += len(m.Assignment[topic])
		}
		return err == nil && groups[group].State == "Stable" && len(groups[group].Members) == assigned && n == 2
	}
	eventually(t, 30*time.Second, "a member", func() bool { return members(1) })
	q.messages(topic).want(409, 40906, "DELETE", "/"+group+"/0?partition=0")
	if !members(1) {
		t.Error("a mere acknowledgement has joined the group")
	}
	eventually(t, 60*time.Second, "two members", func() bool {
		p.messages(topic).get("/" + group + "?wait=0&ack_timeout=0.1")
		return members(2)
	})
	got := p.messages(topic).receiveN("/"+group+"?wait=5", 1)[0]
	q.messages(topic).want(204, 0, "DELETE", got.Ack)
	q.messages(topic).want(409, 40906, "DELETE", fmt.Sprintf("/%s/0?partition=%d", group, 1-got.Partition))
}

// TestMessagesForwardedToAnImpostor has a member that is found at a server of its own: it gets what it needs to know and no more, and what it
// answers goes no further than a proxy's answers would.
func TestMessagesForwardedToAnImpostor(t *testing.T) {
	b := harness.FakeBroker(t, 1)
	var asked atomic.Pointer[http.Request]
	var requests, followed atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer other.Close()
	answers := map[string]func(w http.ResponseWriter){
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"html": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<script>")
		},
		"large": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(make([]byte, 1<<20))
		},
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Kafka-Rest-Forwarded", "elsewhere")
			w.WriteHeader(http.StatusConflict)
		},
		"broken": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); _, _ = io.WriteString(w, "x") },
		"json": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error_code":429}`)
		},
	}
	impostor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		requests.Add(1)
		answers[r.URL.Query().Get("lease")](w)
	}))
	defer impostor.Close()
	names := map[string]string{} // the lease says which answer is wanted
	for n, name := range []string{"redirect", "html", "large", "elsewhere", "broken", "json"} {
		names[name] = fmt.Sprintf("AAAAAAAAAA%c", 'A'+4*(n+1))
		answers[names[name]] = answers[name]
	}
	_, port, _ := net.SplitHostPort(impostor.Listener.Addr().String())
	p, topic, group := startProxy(t, b, nil), keptTopic(t, b, 1), harness.FreshName("g")
	foreign(t, b, topic, group, "kafka-rest-queue.http."+port)
	for name, lease := range names {
		path := "/messages/" + topic + "/" + group + "/0?partition=0&lease=" + lease
		requests.Store(0)
		r := p.Do("DELETE", path, "", "Authorization", "Basic eDp5", "Cookie", "c=d", "Accept", "application/json", "Prefer", "x", "X-Forwarded-For", "1.2.3.4", "Kafka-Key", "k")
		if name == "json" {
			if r.Status != 429 || r.Header.Get("Retry-After") != "7" || r.Body != `{"error_code":429}` || r.Header.Get("Set-Cookie") != "" || r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d %v %s", name, r.Status, r.Header, r.Body)
			}
		} else if r.Status != 503 || r.Code() != 50304 || r.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v %s", name, r.Status, r.Header, r.Body)
		}
		got := asked.Load()
		if got.Method != "DELETE" || got.RequestURI != path || got.Host != impostor.Listener.Addr().String() || got.Header.Get("Kafka-Rest-Forwarded") != "1" {
			t.Errorf("%s was asked: %s %s of %s, %v", name, got.Method, got.RequestURI, got.Host, got.Header)
		}
		for h := range got.Header {
			if !slices.Contains([]string{"Accept", "Prefer", "User-Agent", "X-Request-Id", "Kafka-Rest-Forwarded"}, h) {
				t.Errorf("%s was sent the header %s", name, h)
			}
		}
		if n := requests.Load(); n > 1 && name != "elsewhere" || n > 20 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	if followed.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// TestMessagesForwardedWhileRebalancing waits a moment for a group that is being rebalanced, and no longer.
func TestMessagesForwardedWhileRebalancing(t *testing.T) {
	b := harness.FakeBroker(t, 1)
	topic, group := keptTopic(t, b, 1), harness.FreshName("g")
	p, q := startProxy(t, b, nil), startProxy(t, b, nil)
	storeNumbers(t, b, topic, 1, 0, 1)
	got := p.messages(topic).receiveN("/"+group+"?wait=5", 1)[0]
	var unsettled atomic.Int64 // answers of the coordinator that are still to say so
	b.Fake.ControlKey(int16(kmsg.DescribeGroups), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		if unsettled.Add(-1) < 0 {
			return nil, nil, false
		}
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.State, g.ProtocolType = group, "PreparingRebalance", "consumer"
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
	unsettled.Store(1000)
	r := q.Do("DELETE", at(got.Ack, ""), "")
	if r.Status != 503 || r.Code() != 50304 || r.Header.Get("Retry-After") != "1" || !strings.Contains(r.Body, "rebalanced") {
		t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
	}
	if n := 1000 - unsettled.Load(); n < 2 || n > 40 {
		t.Errorf("the coordinator was asked %d times", n)
	}
	unsettled.Store(2)
	q.messages(topic).want(204, 0, "DELETE", got.Ack)
}

// TestMessagesForwardedBurst counts what many acknowledgements cost the coordinator.
func TestMessagesForwardedBurst(t *testing.T) {
	const records = 300
	b := harness.FakeBroker(t, 1)
	topic, group := keptTopic(t, b, 2), harness.FreshName("g")
	p, q := startProxy(t, b, nil), startProxy(t, b, nil)
	storeNumbers(t, b, topic, 2, 0, records)
	got := p.messages(topic).receiveN(fmt.Sprintf("/%s?wait=5&limit=%d&ack_timeout=600", group, records), records)
	var asked, described atomic.Int64
	b.Fake.ControlKey(int16(kmsg.DescribeGroups), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		described.Add(1)
		return nil, nil, false
	})
	begin := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for n := asked.Add(1) - 1; n < records; n = asked.Add(1) - 1 {
				q.messages(topic).want(204, 0, "DELETE", got[n].Ack)
			}
		})
	}
	wg.Wait()
	if most := int64(time.Since(begin)/time.Second) + 2; described.Load() > most {
		t.Errorf("%d acknowledgements asked the coordinator %d times in %v", records, described.Load(), time.Since(begin))
	}
	for p := range int32(2) {
		if at := harness.Committed(t, b, group, topic, p); at != records/2 {
			t.Errorf("partition %d is committed up to %d of %d", p, at, records/2)
		}
	}
}

// TestMessagesForwardedWhoeverIsAsked has workers ask a different node each time, for messages as for acknowledgements, while a node joins and
// leaves.
func TestMessagesForwardedWhoeverIsAsked(t *testing.T) {
	b := harness.FakeBroker(t, 1)
	run := &harness.QueueRun{T: t, Broker: b, Topic: keptTopic(t, b, 4), Consumer: "workers", Partitions: 4, Records: 2000, Workers: 6}
	run.Store()
	nodes := []*proxy{startProxy(t, b, nil), startProxy(t, b, nil)}
	var turn atomic.Int64
	run.URL = func(int) string { return nodes[turn.Add(1)%2].URL }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for k := 1; k <= 3 && ctx.Err() == nil; {
			if run.Done() < k*run.Records/4 {
				time.Sleep(5 * time.Millisecond)
				continue
			}
			nodes[k%2].messages(run.Topic).want(204, 0, "DELETE", "/workers")
			k++
		}
	}()
	run.Work(ctx)
	<-done
	if err := run.Judge(); err != nil {
		t.Error(err)
	}
	for p := range int32(4) {
		if at := harness.Committed(t, b, "workers", run.Topic, p); at != 500 {
			t.Errorf("partition %d is committed up to %d of 500", p, at)
		}
	}
}
