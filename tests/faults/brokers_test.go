package faults

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/testkafka"
	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"
)

// threeBrokers starts three brokers with min.insync.replicas=2 for one test; nodes that a test leaves down are gone with it.
func threeBrokers(t *testing.T) (*testkafka.Cluster, harness.Broker) {
	t.Helper()
	return startBrokers(t, 3)
}

func startBrokers(t *testing.T, nodes int) (*testkafka.Cluster, harness.Broker) {
	t.Helper()
	if os.Getenv("KAFKA_REST_FAULTS") != "1" {
		t.Skip("NOT TESTED: faults of real brokers run with KAFKA_REST_FAULTS=1")
	}
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cluster, err := testkafka.Start(ctx, testkafka.Config{Nodes: nodes, Properties: map[string]string{"group.min.session.timeout.ms": "500"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster, harness.ClusterBroker(cluster)
}

// leader gives the node that leads a partition.
func leader(t *testing.T, c *testkafka.Cluster, b harness.Broker, topic string, partition int32) *testkafka.Node {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		topics, err := harness.Admin(t, b).ListTopics(ctx, topic)
		cancel()
		if err != nil {
			continue
		}
		for _, n := range c.Nodes() {
			if n.ID == topics[topic].Partitions[partition].Leader {
				return n
			}
		}
	}
	t.Fatalf("partition %d of %s has no leader", partition, topic)
	return nil
}

// inSync waits until all replicas are.
func inSync(t *testing.T, c *testkafka.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := c.AwaitInSync(ctx); err != nil {
		t.Fatal(err)
	}
}

func restart(t *testing.T, n *testkafka.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := n.Restart(ctx); err != nil {
		t.Fatal(err)
	}
}

// must fails the test at once.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Row 1: the leader is killed (kill -9) under load, five times, and comes back some seconds later. Every answer comes by its deadline, what
// was acknowledged is stored once, and what has failed is not.
func TestRow1LeaderKilled(t *testing.T) {
	c, b := threeBrokers(t)
	topic := harness.CreateTopic(t, b, 3)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, map[string]string{"produce.timeout.ms": "10000"})
	r.use(p)
	stop := r.load(8, 2*time.Millisecond, topic)
	defer stop()
	for kill := range 5 {
		time.Sleep(time.Duration(500+r.random.IntN(500)) * time.Millisecond)
		n := leader(t, c, b, topic, int32(kill%3))
		must(t, n.Kill())
		time.Sleep(5 * time.Second)
		restart(t, n)
		inSync(t, c)
	}
	time.Sleep(time.Second)
	stop()
	end(t, p)
	if report := r.check(checker.Options{Deadline: 10500 * time.Millisecond}); report.OK < 1000 {
		t.Errorf("%d were ok", report.OK)
	}
}

// Row 2: the followers are frozen, and after three seconds of producing the leader is killed, then the followers go on. With acks=1, as some
// proxies have it, everything of these seconds is lost; here nothing of it may have been acknowledged that is not there afterwards.
func TestRow2FollowersFrozenLeaderKilled(t *testing.T) {
	c, b := threeBrokers(t)
	topic := harness.CreateTopic(t, b, 1)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, map[string]string{"produce.timeout.ms": "10000"})
	r.use(p)
	stop := r.load(20, 5*time.Millisecond, topic)
	defer stop()
	time.Sleep(time.Second)
	first := leader(t, c, b, topic, 0)
	for _, n := range c.Nodes() {
		if n != first {
			must(t, n.Pause())
		}
	}
	time.Sleep(3 * time.Second)
	must(t, first.Kill())
	for _, n := range c.Nodes() {
		if n != first {
			must(t, n.Resume())
		}
	}
	time.Sleep(5 * time.Second)
	restart(t, first)
	inSync(t, c)
	time.Sleep(2 * time.Second)
	stop()
	end(t, p)
	if report := r.check(checker.Options{Deadline: 10500 * time.Millisecond}); report.OK < 100 {
		t.Errorf("%d were ok", report.OK)
	}
}

// Row 3: each node in turn is restarted in order, the next one when all replicas are in sync. Nobody notices: no request fails.
func TestRow3RollingRestart(t *testing.T) {
	c, b := threeBrokers(t)
	topic := harness.CreateTopic(t, b, 3)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, nil)
	r.use(p)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reader := &consumer{run: r, group: harness.FreshName("g"), topic: topic, commit: true, most: 100_000}
	done := make(chan struct{})
	var all atomic.Pointer[map[int32]int64]
	reader.stop = func() bool {
		want := all.Load()
		if want == nil {
			return false
		}
		reader.until = *want
		return reader.complete()
	}
	go func() {
		defer close(done)
		reader.read(ctx, p)
	}()
	stop := r.load(4, 5*time.Millisecond, topic)
	defer stop()
	for _, n := range c.Nodes() {
		time.Sleep(time.Second)
		restart(t, n)
		inSync(t, c)
	}
	time.Sleep(2 * time.Second)
	stop()
	want := ends(t, b, topic)
	all.Store(&want)
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		cancel()
		<-done
		t.Errorf("the reader has come to %v of %v", reader.next, want)
	}
	end(t, p)
	report := r.check(checker.Options{Deadline: 30500 * time.Millisecond, AtLeastOnce: true, Complete: true})
	if report.OK != report.Invoked {
		t.Errorf("%d of %d were ok: %v", report.OK, report.Invoked, r.refusals)
	}
}

// Row 5: a broker is frozen (SIGSTOP). Every endpoint answers by its own deadline, and when the broker goes on, what was in doubt is stored
// once at the most.
func TestRow5BrokerFrozen(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			c, b := startBrokers(t, nodes)
			topic := harness.CreateTopic(t, b, 1)
			r := newRun(t, b, topic)
			p := harness.StartProcess(t, b, map[string]string{
				"produce.timeout.ms": "5000", "admin.timeout.ms": "3000", "consumer.commit.timeout.ms": "3000", "ready.timeout.ms": "1000",
			})
			r.use(p)
			frozenBroker(t, c, r, p, topic)
		})
	}
}

func frozenBroker(t *testing.T, c *testkafka.Cluster, r *run, p *harness.Process, topic string) {
	stop := r.load(4, 10*time.Millisecond, topic)
	defer stop()
	i := p.Instance(harness.FreshName("g"), `{"format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(i, topic)
	p.ReadSome(i, harness.JSON, "?timeout=5000")
	n := leader(t, c, r.b, topic, 0)
	must(t, n.Pause())
	frozen := time.Now()
	time.Sleep(300 * time.Millisecond)
	one := fmt.Sprintf(`[{"topic":%q,"partition":0}]`, topic)
	at := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":0}]}`, topic)
	for round := 0; round < 2 || time.Since(frozen) < 12*time.Second; round++ {
		name := harness.FreshName("i")
		fresh := "/consumers/frozen/instances/" + name
		for _, q := range []struct {
			method, path, body string
			deadline           time.Duration
		}{
			{"GET", "/livez", "", 0}, {"GET", "/readyz", "", time.Second}, {"GET", "/", "", 0},
			{"GET", "/topics", "", 3 * time.Second}, {"GET", "/brokers", "", 3 * time.Second},
			{"GET", "/topics/" + topic, "", 3 * time.Second}, {"GET", "/topics/" + topic + "/partitions", "", 3 * time.Second},
			{"GET", "/topics/" + topic + "/partitions/0/offsets", "", 3 * time.Second},
			{"GET", i + "/records?timeout=1000", "", time.Second}, {"POST", i + "/offsets", "", 3 * time.Second}, {"POST", i + "/offsets", at, 3 * time.Second},
			{"GET", i + "/offsets", `{"partitions":` + one + `}`, 3 * time.Second},
			{"POST", "/consumers/frozen", fmt.Sprintf(`{"name":%q,"format":"json"}`, name), 0}, {"POST", fresh + "/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), 0},
			{"GET", fresh + "/records?timeout=1000", "", time.Second}, {"GET", fresh + "/assignments", "", 0}, {"DELETE", fresh, "", 3 * time.Second},
		} {
			begin := time.Now()
			accept := harness.V2
			if q.method == "GET" && len(q.path) > 12 && q.path[len(q.path)-12:] == "timeout=1000" {
				accept = harness.JSON
			}
			reply := p.Do(q.method, q.path, q.body, "Content-Type", harness.V2, "Accept", accept+", application/json;q=0.5")
			if took := time.Since(begin); took > q.deadline+500*time.Millisecond {
				t.Errorf("%s %s answered %d after %v, its deadline is %v", q.method, q.path, reply.Status, took.Round(time.Millisecond), q.deadline)
			}
			if reply.Status == 500 || q.path == "/livez" && reply.Status != 200 || q.path == "/readyz" && len(c.Nodes()) == 1 && reply.Status == 200 {
				t.Errorf("%s %s: %d %s", q.method, q.path, reply.Status, reply.Body)
			}
		}
	}
	must(t, n.Resume())
	inSync(t, c)
	time.Sleep(2 * time.Second)
	stop()
	end(t, p)
	r.check(checker.Options{Deadline: 5500 * time.Millisecond})
}

// Row 9: the only replica of one topic is on a broker that is killed. The others go on.
func TestRow9LeaderDead(t *testing.T) {
	c, b := threeBrokers(t)
	stuck := harness.CreateNamed(t, b, harness.FreshName("stuck"), 1, 1, "min.insync.replicas=1")
	dead := leader(t, c, b, stuck, 0)
	var good string
	for good == "" {
		if name := harness.CreateNamed(t, b, harness.FreshName("good"), 1, 1, "min.insync.replicas=1"); leader(t, c, b, name, 0) != dead {
			good = name
		}
	}
	r := newRun(t, b, stuck, good)
	p := harness.StartProcess(t, b, map[string]string{"produce.timeout.ms": "4000"})
	r.use(p)
	r.produce(t.Context(), r.worker(), stuck, 0)
	stop := r.load(4, 2*time.Millisecond, good)
	defer stop()
	time.Sleep(3 * time.Second)
	r.percentile(99) // of the start
	time.Sleep(5 * time.Second)
	before := r.percentile(99)
	s := newRun(t, b)
	s.Writer = r.Writer
	s.workers.Store(100)
	s.use(p)
	stopStuck := s.load(10, 5*time.Millisecond, stuck)
	must(t, dead.Kill())
	time.Sleep(10 * time.Second)
	during := r.percentile(99)
	restart(t, dead)
	inSync(t, c)
	time.Sleep(2 * time.Second)
	stopStuck()
	stop()
	end(t, p)
	t.Logf("p99 of others: %v before, %v during; the topic without a leader: %v", before, during, s.refusals)
	if during > 2*before+noise {
		t.Errorf("the p99 of another topic went from %v to %v", before, during)
	}
	r.check(checker.Options{Deadline: 4500 * time.Millisecond})
}

// Row 10 on real brokers, which say that they create no topics and so have each name answered at once: the clients leave them some room.
func TestRow10OnBrokers(t *testing.T) {
	_, b := threeBrokers(t)
	unknownTopicFlood(t, b, 50, 50*time.Millisecond)
}

// Row 11 on real brokers.
func TestRow11OnBrokers(t *testing.T) {
	_, b := threeBrokers(t)
	proxyKilledWhileProducing(t, b, 20)
}

// Row 12 on real brokers.
func TestRow12OnBrokers(t *testing.T) {
	_, b := threeBrokers(t)
	proxyKilledWhileConsuming(t, b, 5)
}

// Row 15 on real brokers.
func TestRow15OnBrokers(t *testing.T) {
	_, b := threeBrokers(t)
	terminatedUnderLoad(t, b)
}
