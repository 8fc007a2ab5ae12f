package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func client(t *testing.T, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(b.Options(), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v)})
	}
	if err := cl.ProduceSync(testContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// consume polls until it has n records.
func consume(t *testing.T, cl *kgo.Client, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		fetches := cl.PollFetches(testContext(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func createTopic(t *testing.T, cl *kgo.Client, topic string, configs map[string]string) {
	t.Helper()
	settings := map[string]*string{}
	for k, v := range configs {
		settings[k] = &v
	}
	if _, err := kadm.NewClient(cl).CreateTopic(testContext(t), -1, -1, settings, topic); err != nil {
		t.Fatal(err)
	}
}

func dirSize(t *testing.T, dir string) int64 {
	t.Helper()
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func TestProduceConsume(t *testing.T) {
	b := start(t, Config{AutoCreate: true, Nodes: 3, Partitions: 2})
	producer := client(t, b, kgo.AllowAutoTopicCreation())
	produce(t, producer, "orders", "a", "b", "c")
	consumer := client(t, b, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if got := strings.Join(consume(t, consumer, 3), ""); got != "abc" {
		t.Errorf("read %q", got)
	}
	adm := kadm.NewClient(producer)
	topics, err := adm.ListTopics(testContext(t), "orders")
	if err != nil || len(topics["orders"].Partitions) != 2 {
		t.Errorf("topics %v, error %v; want 2 partitions", topics, err)
	}
	meta, err := adm.BrokerMetadata(testContext(t))
	if err != nil || len(meta.Brokers) != 3 {
		t.Errorf("brokers %v, error %v; want 3", meta.Brokers, err)
	}
}

func TestOldTimestampsStay(t *testing.T) {
	b := start(t, Config{AutoCreate: true})
	cl := client(t, b, kgo.AllowAutoTopicCreation())
	r := &kgo.Record{Topic: "replay", Value: []byte("x"), Timestamp: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := cl.ProduceSync(testContext(t), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.applyBounds()
	if info := b.Cluster().PartitionInfo("replay", 0); info.LogStartOffset != 0 {
		t.Errorf("the record of 2020 is gone, the log starts at %d", info.LogStartOffset)
	}
}

func TestTopicOwnRetentionApplies(t *testing.T) {
	b := start(t, Config{})
	cl := client(t, b)
	createTopic(t, cl, "short", map[string]string{"retention.ms": "0"})
	produce(t, cl, "short", "a")
	b.applyBounds()
	if info := b.Cluster().PartitionInfo("short", 0); info.LogStartOffset != 1 {
		t.Errorf("log starts at %d, want 1", info.LogStartOffset)
	}
}

func TestAutoCreateOff(t *testing.T) {
	b := start(t, Config{})
	cl := client(t, b, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	err := cl.ProduceSync(testContext(t), &kgo.Record{Topic: "missing"}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("error %v, want UNKNOWN_TOPIC_OR_PARTITION", err)
	}
}

func TestIllegalTopicNames(t *testing.T) {
	b := start(t, Config{AutoCreate: true})
	cl := client(t, b, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	adm := kadm.NewClient(cl)
	createTopic(t, cl, "legal.name", nil)
	for _, name := range []string{"bad name", "ä", ".", "..", strings.Repeat("x", 250), "legal_name"} {
		if _, err := adm.CreateTopic(testContext(t), 1, 1, nil, name); !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("creating %q: error %v, want INVALID_TOPIC_EXCEPTION", name, err)
		}
		topics, err := adm.ListTopics(testContext(t), "legal.name", name)
		if err != nil {
			t.Fatal(err)
		}
		if err := topics["legal.name"].Err; err != nil {
			t.Errorf("beside %q the legal topic answers %v", name, err)
		}
		err = cl.ProduceSync(testContext(t), &kgo.Record{Topic: name}).FirstErr()
		if !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("producing to %q: error %v, want INVALID_TOPIC_EXCEPTION", name, err)
		}
	}
	if !legalTopic(strings.Repeat("x", 249)) || legalTopic("") {
		t.Error("length limits of topic names")
	}
}

func TestHooksSurviveRearming(t *testing.T) {
	b := start(t, Config{})
	adm := kadm.NewClient(client(t, b))
	for range rearmAfter + 2 {
		if _, err := adm.BrokerMetadata(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	topics, err := adm.ListTopics(testContext(t), "bad name")
	if err != nil || !errors.Is(topics["bad name"].Err, kerr.InvalidTopicException) {
		t.Errorf("after many requests: %v, error %v", topics, err)
	}
}

func TestRestartKeepsState(t *testing.T) {
	dir := t.TempDir()
	first, err := Start(Config{DataDir: dir, AutoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	id := writeAndCommit(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	checkState(t, start(t, Config{DataDir: dir}), id)
}

// A copy of the folder of a running broker is what a crash leaves behind.
func TestCrashKeepsState(t *testing.T) {
	first := start(t, Config{AutoCreate: true})
	id := writeAndCommit(t, first)
	checkState(t, start(t, Config{DataDir: copyDir(t, first.dir.path)}), id)
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// poll asks until the answer is yes or ten seconds are over.
func poll(t *testing.T, ask func() bool) bool {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if ask() {
			return true
		}
	}
	return false
}

// writeAndCommit produces three records, commits after the second, and returns the cluster id.
func writeAndCommit(t *testing.T, b *Broker) string {
	t.Helper()
	cl, err := kgo.NewClient(append(b.Options(), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	produce(t, cl, "kept", "a", "b", "c")
	adm := kadm.NewClient(cl)
	var offsets kadm.Offsets
	offsets.AddOffset("kept", 0, 2, -1)
	if err := adm.CommitAllOffsets(testContext(t), "g", offsets); err != nil {
		t.Fatal(err)
	}
	meta, err := adm.BrokerMetadata(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return meta.Cluster
}

func checkState(t *testing.T, b *Broker, clusterID string) {
	t.Helper()
	cl := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"kept": {0: kgo.NewOffset().AtStart()}}))
	if got := strings.Join(consume(t, cl, 3), ""); got != "abc" {
		t.Errorf("records %q, want abc", got)
	}
	adm := kadm.NewClient(cl)
	offsets, err := adm.FetchOffsets(testContext(t), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("kept", 0); !ok || o.At != 2 {
		t.Errorf("committed offset %+v, want 2", o)
	}
	meta, err := adm.BrokerMetadata(testContext(t))
	if err != nil || meta.Cluster != clusterID || len(clusterID) != 22 {
		t.Errorf("cluster id %q, error %v; want %q", meta.Cluster, err, clusterID)
	}
}

func TestSecondBrokerIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{DataDir: dir})
	if _, err := Start(Config{DataDir: dir}); !errors.Is(err, errLocked) {
		t.Errorf("error %v, want %v", err, errLocked)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, Config{DataDir: dir})
}

func TestBadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{RetentionBytes: -1}, {MaxBytes: -1}, {SegmentBytes: -1}, {Partitions: -1}, {Nodes: -1}, {Nodes: 101},
		{DataDir: file}} {
		if b, err := Start(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
			_ = b.Close()
		}
	}
}

func TestTemporaryFolderIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	abandoned := abandonedDir(t)
	live := start(t, Config{})
	b := start(t, Config{})
	if _, err := os.Stat(abandoned); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a dead process is still there: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.dir.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder after Close: %v", err)
	}
	if _, err := os.Stat(live.dir.path); err != nil {
		t.Errorf("the folder of a live broker: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// abandonedDir makes what a killed process leaves: a state file and a lock file that nobody holds.
func abandonedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"meta.json", lockName} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCloseReportsFailedSave(t *testing.T) {
	dir := t.TempDir()
	b, err := Start(Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	// A folder where a state file must go makes the save fail, also for root.
	if err := errors.Join(os.Remove(filepath.Join(dir, "meta.json")), os.MkdirAll(filepath.Join(dir, "meta.json", "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err == nil {
		t.Error("Close says nothing of the failed save")
	}
}

func TestNoListeningPort(t *testing.T) {
	before := listening(t)
	b := start(t, Config{Nodes: 3})
	ping(t, b)
	if after := listening(t); after != before {
		t.Errorf("listening sockets of this process: %d before, %d after Start", before, after)
	}
}

func ping(t *testing.T, b *Broker) {
	t.Helper()
	if err := client(t, b).Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if addrs := b.Addrs(); len(addrs) != 3 || addrs[0] != fmt.Sprintf("localhost:%d", firstPort) {
		t.Errorf("addresses %v", addrs)
	}
}

// listening counts the TCP sockets in state LISTEN that belong to this process.
func listening(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT CHECKED: this system has no /proc/self/fd")
	}
	inodes := map[string]bool{}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, "socket:[") {
			inodes[strings.Trim(target, "socket:[]")] = true
		}
	}
	n := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, _ := os.ReadFile(table) // tcp6 may be absent
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				n++
			}
		}
	}
	return n
}
