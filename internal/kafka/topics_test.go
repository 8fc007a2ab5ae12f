package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	noAutoCreates = "false"
	autoCreates   = "true"
)

func creates(say string) map[string]string {
	return map[string]string{"auto.create.topics.enable": say}
}

func partitionsOf(t *testing.T, c *Cluster, name string) (int32, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Topics().Partitions(ctx, name)
}

func TestTopicsKnown(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	createTopic(t, b, "three", 3)
	requests := counted(b, kmsg.Metadata)
	for range 100 {
		if n, err := partitionsOf(t, c, "three"); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := requests.Hits(); n > 3 {
		t.Errorf("%d metadata requests for a topic that is known", n)
	}
}

func TestTopicsUnknown(t *testing.T) {
	b := startBroker(t, creates(noAutoCreates))
	c := openCluster(t, b, Config{UnknownFor: 200 * time.Millisecond, LookupTimeout: time.Hour})
	ask := func() (time.Duration, error) {
		begin := time.Now()
		_, err := partitionsOf(t, c, "none")
		return time.Since(begin), err
	}
	_, err := ask()
	if codeOfError(err) != kafkarest.CodeKafkaRetriable || !IsUnknownTopic(err) || !strings.HasPrefix(kafkarest.AsError(err).Message, "Topic none not present in metadata after ") {
		t.Errorf("%v", err)
	}
	requests := counted(b, kmsg.Metadata)
	for range 10 {
		if _, err := ask(); !IsUnknownTopic(err) {
			t.Errorf("%v", err)
		}
	}
	if n := requests.Hits(); n > 1 { // one more if the test is slow
		t.Errorf("%d metadata requests for what is known not to exist", n)
	}
	createTopic(t, b, "none", 2)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if n, err := partitionsOf(t, c, "none"); err == nil && n == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a topic that was created is not found")
		}
	}
}

// TestTopicsAppear: a broker that creates topics on first use may take a while.
func TestTopicsAppear(t *testing.T) {
	b := startBroker(t, creates(autoCreates))
	c := openCluster(t, b, Config{LookupTimeout: 10 * time.Second})
	answered := make(chan error, 1)
	go func() {
		n, err := partitionsOf(t, c, "late")
		if n != 4 {
			err = errors.Join(err, fmt.Errorf("%d partitions", n))
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("before the topic is there: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	createTopic(t, b, "there", 1)
	begin := time.Now()
	if n, err := partitionsOf(t, c, "there"); n != 1 || err != nil || time.Since(begin) > 3*time.Second { // others need not wait for it
		t.Error(n, err, time.Since(begin))
	}
	createTopic(t, b, "late", 4)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestTopicsDoNotAppear(t *testing.T) {
	b := startBroker(t, creates(autoCreates))
	c := openCluster(t, b, Config{LookupTimeout: 300 * time.Millisecond})
	begin := time.Now()
	_, err := partitionsOf(t, c, "never")
	if took := time.Since(begin); !IsUnknownTopic(err) || took < 200*time.Millisecond || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestIllegalNames(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	requests := counted(b, kmsg.Metadata)
	for _, name := range []string{"", ".", "..", "a b", "a/b", "ü", "a\x00", strings.Repeat("x", 250)} {
		if _, err := partitionsOf(t, c, name); codeOfError(err) != kafkarest.CodeKafka || !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := requests.Hits(); n > 0 {
		t.Errorf("%d requests for illegal names", n)
	}
	for _, name := range []string{"a", "...", "A-b_c.9", strings.Repeat("x", 249)} {
		if !ValidName(name) {
			t.Errorf("%q is legal", name)
		}
	}
}

// TestFloodOfNames: a thousand names at once share a few requests, and so do a thousand who ask for the same one.
func TestFloodOfNames(t *testing.T) {
	b := startBroker(t, creates(noAutoCreates))
	c := openCluster(t, b, Config{UnknownFor: time.Minute})
	createTopic(t, b, "there", 1)
	if _, err := partitionsOf(t, c, "warm-up"); !IsUnknownTopic(err) {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what string
		name func(int) string
		most int
	}{
		{"different names", func(n int) string { return fmt.Sprintf("none-%d", n) }, 100},
		{"the same name", func(int) string { return "nobody" }, 1},
		{"one that exists", func(int) string { return "there" }, 1},
	} {
		requests := counted(b, kmsg.Metadata)
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() {
				if _, err := partitionsOf(t, c, test.name(n)); err != nil && !IsUnknownTopic(err) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := requests.Hits(); n > test.most {
			t.Errorf("%s: %d metadata requests for 1,000 questions", test.what, n)
		}
	}
	c.topics.mu.Lock()
	defer c.topics.mu.Unlock()
	if len(c.topics.asking)+len(c.topics.queue) > 0 {
		t.Errorf("left over: %v, %v", c.topics.asking, c.topics.queue)
	}
}

// TestFrozenBroker: whoever asks gets an answer by the end of their context, and by the request's deadline without one.
func TestFrozenBroker(t *testing.T) {
	b := startBroker(t, creates(noAutoCreates))
	c := openCluster(t, b, Config{RequestTimeout: 500 * time.Millisecond})
	createTopic(t, b, "known", 1)
	if _, err := partitionsOf(t, c, "known"); err != nil {
		t.Fatal(err)
	}
	thaw := freeze(t, b, kmsg.Metadata)
	for _, deadline := range []time.Duration{50 * time.Millisecond, time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		begin := time.Now()
		_, err := c.Topics().Partitions(ctx, "none")
		cancel()
		if took := time.Since(begin); codeOfError(err) != kafkarest.CodeKafkaRetriable || IsUnknownTopic(err) || took > min(deadline, 4*time.Second)+time.Second {
			t.Errorf("deadline %v: %v after %v", deadline, err, took)
		}
	}
	if n, err := partitionsOf(t, c, "known"); n != 1 || err != nil {
		t.Errorf("what is known needs no broker: %d %v", n, err)
	}
	c.topics.mu.Lock()
	c.topics.known["known"].until = time.Now().Add(-time.Second)
	c.topics.mu.Unlock()
	if n, err := partitionsOf(t, c, "known"); n != 1 || err != nil {
		t.Errorf("what is old is still the best there is: %d %v", n, err)
	}
	thaw()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := partitionsOf(t, c, "none"); IsUnknownTopic(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the thawed broker is not asked")
		}
	}
}

func TestRenew(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{})
	createTopic(t, b, "grows", 1)
	if n, err := partitionsOf(t, c, "grows"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.Admin().CreatePartitions(t.Context(), 2, "grows"); err != nil {
		t.Fatal(err)
	}
	if n, _ := partitionsOf(t, c, "grows"); n != 1 {
		t.Errorf("not remembered: %d", n)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // what was just learned is not asked for again
		if n, err := c.Topics().Renew(t.Context(), "grows"); err != nil {
			t.Fatal(err)
		} else if n == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new partitions are not seen")
		}
	}
	createTopic(t, b, "other", 1)
	if _, err := partitionsOf(t, c, "other"); err != nil {
		t.Fatal(err)
	}
	requests := counted(b, kmsg.Metadata)
	for range 10 {
		if _, err := c.Topics().Renew(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
	}
	if n := requests.Hits(); n > 3 {
		t.Errorf("%d requests for a topic that was just learned", n)
	}
}

// TestGoneTopicsAreToldOf: by a look-up that no longer finds a topic, and by errors of the broker.
func TestGoneTopicsAreToldOf(t *testing.T) {
	b := startBroker(t, creates(noAutoCreates))
	c := openCluster(t, b, Config{})
	var mu sync.Mutex
	var gone []string
	c.topics.onGone = func(topic string) {
		mu.Lock()
		defer mu.Unlock()
		gone = append(gone, topic)
	}
	for name, err := range map[string]error{"id": kerr.UnknownTopicID, "inconsistent": kerr.InconsistentTopicID, "other": kerr.NotLeaderForPartition} {
		c.topics.doubt(name, fmt.Errorf("wrapped: %w", err))
	}
	createTopic(t, b, "deleted", 1)
	if _, err := partitionsOf(t, c, "deleted"); err != nil {
		t.Fatal(err)
	}
	if err := b.Cluster().DeleteTopic("deleted"); err != nil {
		t.Fatal(err)
	}
	c.topics.mu.Lock()
	c.topics.known["deleted"].until = time.Now().Add(-time.Second)
	c.topics.mu.Unlock()
	for deadline := time.Now().Add(10 * time.Second); ; { // the old answer is used while it is renewed
		if _, err := partitionsOf(t, c, "deleted"); IsUnknownTopic(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the topic is still known")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"id", "inconsistent", "deleted"} {
		if n := strings.Count(strings.Join(gone, ","), name); n != 1 {
			t.Errorf("%s: told of %d times: %v", name, n, gone)
		}
	}
	if len(gone) != 3 {
		t.Errorf("%v", gone)
	}
}

// TestUnansweredNames: a broker that leaves a name out keeps nobody waiting.
func TestUnansweredNames(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{RequestTimeout: 2 * time.Second})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Cluster().ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 0, Host: "127.0.0.1", Port: 9092}}
		return resp, nil, true
	})
	begin := time.Now()
	_, err := partitionsOf(t, c, "left-out")
	if took := time.Since(begin); codeOfError(err) != kafkarest.CodeKafkaRetriable || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// TestFloodsAreForgotten: unknown names leave the directory, known ones stay.
func TestFloodsAreForgotten(t *testing.T) {
	c := newTopics(nil, time.Second, time.Second, time.Millisecond)
	defer c.close()
	c.settle("known", 3, nil)
	for n := range 10_000 {
		c.settle(fmt.Sprintf("none-%d", n), 0, kerr.UnknownTopicOrPartition)
	}
	c.mu.Lock()
	c.sweep = time.Now().Add(-time.Minute)
	for name, e := range c.known {
		if name != "known" {
			e.until = time.Now().Add(-time.Second)
		}
	}
	c.mu.Unlock()
	c.settle("last", 0, kerr.UnknownTopicOrPartition)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.known); n != 2 || c.known["known"] == nil {
		t.Errorf("%d names are remembered", n)
	}
}

func TestCloseEndsLookUps(t *testing.T) {
	b := startBroker(t, creates(autoCreates))
	c, err := Open(Config{Common: b.Options(), LookupTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan error)
	requests := counted(b, kmsg.Metadata)
	go func() {
		_, err := c.Topics().Partitions(context.Background(), "never")
		asked <- err
	}()
	if err := requests.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-asked; codeOfError(err) != kafkarest.CodeDraining && codeOfError(err) != kafkarest.CodeKafkaRetriable {
		t.Errorf("%v", err)
	}
}

// TestDenied: a topic of the proxy's own is refused by its name alone, whether it exists or not.
func TestDenied(t *testing.T) {
	b := startBroker(t, nil)
	c := openCluster(t, b, Config{Denied: []string{"own.1", ""}})
	createTopic(t, b, "own.1", 1)
	createTopic(t, b, "own21", 1)
	requests := counted(b, kmsg.Metadata)
	for range 2 {
		for _, err := range []error{c.Topics().Allowed("own.1"), errorOf(partitionsOf(t, c, "own.1")), errorOf(c.Topics().Renew(t.Context(), "own.1"))} {
			if codeOfError(err) != kafkarest.CodeForbidden || !strings.Contains(kafkarest.AsError(err).Message, "[own.1]") {
				t.Errorf("%v", err)
			}
		}
	}
	if n := requests.Hits(); n > 0 {
		t.Errorf("the broker was asked %d times", n)
	}
	for _, name := range []string{"own21", "own.11", "1own.1", ""} {
		if err := c.Topics().Allowed(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n, err := partitionsOf(t, c, "own21"); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func errorOf(_ int32, err error) error { return err }
