package testkafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testjava"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// recorder stands in for a test that Require ends.
type recorder struct {
	testing.TB
	fatal, skip string
}

func (*recorder) Helper()                        {}
func (*recorder) Name() string                   { return "TestX" }
func (r *recorder) Fatalf(s string, args ...any) { r.fatal = fmt.Sprintf(s, args...) }
func (r *recorder) Skipf(s string, args ...any)  { r.skip = fmt.Sprintf(s, args...) }

func TestRequireWithoutMaven(t *testing.T) {
	_, _ = findJava() // keeps its answer, which for the other tests must not come from the PATH below
	t.Setenv("PATH", t.TempDir())
	t.Setenv(testjava.CacheVariable, t.TempDir())
	if err := Available(); err == nil || !strings.Contains(err.Error(), "mvn") {
		t.Errorf("Available without Maven and jars: %v", err)
	}
	for ci, fails := range map[string]bool{"true": true, "": false} {
		t.Setenv("CI", ci)
		var r recorder
		Require(&r)
		if (r.fatal != "") != fails || (r.skip != "") == fails {
			t.Errorf("with CI=%q: fatal %q, skip %q", ci, r.fatal, r.skip)
		}
		if message := r.fatal + r.skip; !strings.Contains(message, "NOT TESTED") || strings.Count(message, "\n") < 5 {
			t.Errorf("not loud enough: %q", message)
		}
	}
}

func TestVersionAndCacheFolder(t *testing.T) {
	if v := Version(); !strings.HasPrefix(v, "4.") {
		t.Errorf("version %q", v)
	}
	t.Setenv(testjava.CacheVariable, "/somewhere")
	dir, err := artifacts().Folder()
	if want := "/somewhere/kafka-" + testjava.ShortHash(pom); err != nil || dir != want {
		t.Errorf("jars in %q, %v; want %q", dir, err, want)
	}
}

func TestServerProperties(t *testing.T) {
	nodes := func(n int) (out []nodeAddresses) {
		for i := range n {
			out = append(out, nodeAddresses{id: int32(i + 1), broker: 1000 + i, controller: 2000 + i})
		}
		return out
	}
	tests := []struct {
		name  string
		cfg   Config
		nodes int
		want  map[string]string
	}{
		{"one node", Config{}, 1, map[string]string{
			"node.id": "1", "listeners": "PLAINTEXT://127.0.0.1:1000,CONTROLLER://127.0.0.1:2000", "auto.create.topics.enable": "false",
			"min.insync.replicas": "1", "offsets.topic.replication.factor": "1", "transaction.state.log.min.isr": "1",
			"group.initial.rebalance.delay.ms": "0", "authorizer.class.name": "", "broker.session.timeout.ms": "3000",
		}},
		{"two nodes", Config{AutoCreate: true}, 2, map[string]string{
			"min.insync.replicas": "1", "default.replication.factor": "2", "auto.create.topics.enable": "true",
		}},
		{"three nodes", Config{}, 3, map[string]string{
			"min.insync.replicas": "2", "default.replication.factor": "3", "transaction.state.log.replication.factor": "3",
			"controller.quorum.bootstrap.servers": "127.0.0.1:2000,127.0.0.1:2001,127.0.0.1:2002",
		}},
		{"five nodes", Config{}, 5, map[string]string{"min.insync.replicas": "2", "default.replication.factor": "3"}},
		{"authorizer", Config{Authorizer: true}, 1, map[string]string{
			"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"allow.everyone.if.no.acl.found": "true", "super.users": "User:ANONYMOUS",
		}},
		{"the caller wins", Config{Throughput: true, Properties: map[string]string{"min.insync.replicas": "7", "x": "y"}}, 3, map[string]string{
			"min.insync.replicas": "7", "x": "y", "broker.session.timeout.ms": "",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := nodes(tt.nodes)
			got := serverProperties(tt.cfg, all[0], all, "/data")
			for key, want := range tt.want {
				if got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
		})
	}
}

func TestEncodeProperties(t *testing.T) {
	got := string(encodeProperties(map[string]string{"b": `C:\x`, "a": "1\n2"}))
	if want := "a=1\\n2\nb=C:\\\\x\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFreePortsAreFreeAndDifferent(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("ports %v", ports)
	}
	l, err := net.Listen("tcp", loopback(ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if canListen(ports[0]) {
		t.Errorf("port %d counts as free while somebody listens", ports[0])
	}
}

func TestKafkaID(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := kafkaID()
		if len(id) != 22 || id[0] == '-' || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestPollGivesUp(t *testing.T) {
	gone := make(chan struct{})
	close(gone)
	fails := func(context.Context) error { return errors.New("not yet") }
	if err := poll(t.Context(), gone, fails); !errors.Is(err, errExited) {
		t.Errorf("after the end of the process: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := poll(ctx, nil, fails); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("after the deadline: %v", err)
	}
}

func TestLagging(t *testing.T) {
	topic := kmsg.MetadataResponseTopic{Topic: new("t"), Partitions: []kmsg.MetadataResponseTopicPartition{
		{Partition: 0, Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}},
	}}
	resp := &kmsg.MetadataResponse{Topics: []kmsg.MetadataResponseTopic{topic}}
	if err := lagging(resp); err != nil {
		t.Error(err)
	}
	for name, p := range map[string]kmsg.MetadataResponseTopicPartition{
		"behind":    {Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1}},
		"no leader": {Leader: -1, Replicas: []int32{1}, ISR: []int32{1}},
		"error":     {Leader: 1, Replicas: []int32{1}, ISR: []int32{1}, ErrorCode: 5},
	} {
		resp.Topics[0].Partitions = []kmsg.MetadataResponseTopicPartition{p}
		if lagging(resp) == nil {
			t.Errorf("%s counts as in sync", name)
		}
	}
}
