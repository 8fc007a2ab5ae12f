package testkafka_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kafkarest/internal/testkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a cluster for one test and sees to it that nothing of it is left.
func start(t *testing.T, cfg testkafka.Config) (context.Context, *testkafka.Cluster) {
	t.Helper()
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // the first run on a machine downloads
	t.Cleanup(cancel)
	begin := time.Now()
	c, err := testkafka.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Kafka %s with %d nodes was ready after %v", c.Version(), len(c.Nodes()), time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, n := range c.Nodes() {
			if err := syscall.Kill(n.PID(), 0); err != syscall.ESRCH {
				t.Errorf("process %d of node %d is still there: %v", n.PID(), n.ID, err)
			}
		}
	})
	return ctx, c
}

func client(t *testing.T, c *testkafka.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func produce(ctx context.Context, t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %q: %v", v, err)
		}
	}
}

// read returns the first n values of a topic with one partition.
func read(ctx context.Context, t *testing.T, c *testkafka.Cluster, topic string, n int) []string {
	t.Helper()
	cl := client(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var values []string
	for len(values) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(values), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestOneNode(t *testing.T) {
	ctx, c := start(t, testkafka.Config{AutoCreate: true})
	node := c.Nodes()[0]

	t.Run("records survive kill -9", func(t *testing.T) {
		cl := client(t, c, kgo.AllowAutoTopicCreation())
		want := []string{"one", "two", "three"}
		produce(ctx, t, cl, "survive", want...)
		pid := node.PID()
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		if node.Running() {
			t.Error("the node runs after Kill")
		}
		begin := time.Now()
		if err := node.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("ready again after %v", time.Since(begin).Round(time.Millisecond))
		if node.PID() == pid {
			t.Error("the pid is still that of the killed process")
		}
		produce(ctx, t, cl, "survive", "four") // the old client finds the new process at the same address
		if got := read(ctx, t, c, "survive", 4); !slices.Equal(got, append(want, "four")) {
			t.Errorf("read %q", got)
		}
	})
	t.Run("a paused node does not answer", func(t *testing.T) {
		if err := node.Pause(); err != nil {
			t.Fatal(err)
		}
		adm := kadm.NewClient(client(t, c, kgo.RequestTimeoutOverhead(time.Second))) // a new connection heeds no context
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := adm.ListTopics(short); err == nil {
			t.Error("a paused broker answered")
		}
		if err := node.Resume(); err != nil {
			t.Fatal(err)
		}
		if _, err := adm.ListTopics(ctx); err != nil {
			t.Errorf("after Resume: %v", err)
		}
	})
	t.Run("the Java client reads what Go wrote and answers", func(t *testing.T) { roundTripWithJava(ctx, t, c) })
	t.Run("terminate", func(t *testing.T) {
		if err := node.Terminate(ctx); err != nil {
			t.Fatal(err)
		}
		if err := node.Pause(); err == nil {
			t.Error("Pause of a node that has gone gave no error")
		}
	})
}

func TestThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: three nodes")
	}
	ctx, c := start(t, testkafka.Config{Nodes: 3, Authorizer: true, Properties: map[string]string{"num.partitions": "4"}})
	adm := kadm.NewClient(client(t, c))
	if _, err := adm.CreateTopic(ctx, -1, -1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitInSync(ctx); err != nil {
		t.Fatal(err)
	}
	topics, err := adm.ListTopics(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	if p := topics["t"].Partitions; len(p) != 4 || len(p[0].Replicas) != 3 {
		t.Errorf("the topic is not as the properties say: %v", p)
	}
	if got := topicConfig(ctx, t, adm, "min.insync.replicas"); got != "2" {
		t.Errorf("min.insync.replicas is %s, not 2", got)
	}
	if _, err := adm.CreateACLs(ctx, kadm.NewACLs().Topics("t").Allow("User:alice").AllowHosts().Operations(kadm.OpRead).
		ResourcePatternType(kadm.ACLPatternLiteral)); err != nil {
		t.Errorf("create an ACL: %v", err)
	}

	leader := c.Nodes()[topics["t"].Partitions[0].Leader-1]
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	cl := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("after the leader's death")}).FirstErr(); err != nil {
		t.Errorf("produce with two of three nodes: %v", err)
	}
	if err := leader.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitInSync(ctx); err != nil {
		t.Error(err)
	}
	// A paused node that is never resumed must not hold up Close, which start's clean-up verifies.
	if err := leader.Pause(); err != nil {
		t.Fatal(err)
	}
}

func topicConfig(ctx context.Context, t *testing.T, adm *kadm.Client, key string) string {
	t.Helper()
	configs, err := adm.DescribeTopicConfigs(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == key {
			return c.MaybeValue()
		}
	}
	t.Fatalf("the topic has no %s", key)
	return ""
}

func TestStartNamesTheCause(t *testing.T) {
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port, err := strconv.Atoi(strings.TrimPrefix(l.Addr().String(), "127.0.0.1:"))
	if err != nil {
		t.Fatal(err)
	}
	before := leftovers(t)
	if _, err := testkafka.Start(ctx, testkafka.Config{Port: port}); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("start on a port in use: %v", err)
	}
	bad := map[string]string{"log.retention.bytes": "many"}
	if _, err := testkafka.Start(ctx, testkafka.Config{Properties: bad}); err == nil || !strings.Contains(err.Error(), "log.retention.bytes") {
		t.Errorf("start with a bad property: %v", err)
	}
	for dir := range leftovers(t) {
		if !before[dir] {
			t.Errorf("a failed start left %s", dir)
		}
	}
}

// leftovers are the data folders of this process's clusters.
func leftovers(t *testing.T) map[string]bool {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("testkafka-%d-*", os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]bool)
	for _, d := range dirs {
		out[d] = true
	}
	return out
}
