package produce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMurmur2 sends keys whose partitions the Java client has computed.
func TestMurmur2(t *testing.T) {
	var java struct {
		Counts  []int32 `json:"partition_counts"`
		Vectors []struct {
			Key        []byte
			Partitions []int32
		}
	}
	data, err := os.ReadFile("testdata/murmur2.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &java); err != nil || len(java.Vectors) < 20 {
		t.Fatal(err, len(java.Vectors))
	}
	s, b := onEmbedded(t, Config{})
	for n, count := range java.Counts {
		topic := fmt.Sprintf("of-%d", count)
		createTopic(t, b, topic, count)
		req := Request{Topic: topic, Key: Side{Format: format.Binary{}}, Value: Side{Format: format.Binary{}}}
		for _, v := range java.Vectors {
			key, _ := format.Binary{}.Decode(t.Context(), append([]byte{}, v.Key...)) // the empty key is a key, and not null
			req.Items = append(req.Items, Item{Key: key, Partition: kafkarest.AnyPartition})
		}
		resp, err := s.Produce(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range resp.Results {
			if r.Err != nil || r.Partition != java.Vectors[i].Partitions[n] {
				t.Errorf("%d partitions, key %q: %d %v, want %d", count, java.Vectors[i].Key, r.Partition, r.Err, java.Vectors[i].Partitions[n])
			}
		}
	}
}

// TestStored: what is stored is what was given, in the order in which it was given.
func TestStored(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 2)
	at := time.UnixMilli(1_700_000_000_123)
	req := Request{Topic: "t", Key: Side{Format: format.JSON{}}, Value: Side{Format: format.Text{}}, Items: []Item{
		{Key: jsontext.Value(`{"b" : 1.50}`), Value: jsontext.Value(`"ü\u0000"`), Partition: 1, Timestamp: at,
			Headers: []kafkarest.Header{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}, {Key: "", Value: []byte{}}}},
		{Partition: 1},
		{Value: jsontext.Value(`""`), Partition: 1},
		{Value: jsontext.Value(`"other"`), Partition: 0},
	}}
	before := time.Now().Add(-time.Second)
	resp, err := s.Produce(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, r := range resp.Results {
		got += fmt.Sprintf("%d:%d %v;", r.Partition, r.Offset, r.Err)
	}
	if want := "1:0 <nil>;1:1 <nil>;1:2 <nil>;0:0 <nil>;"; got != want || resp.KeySchemaID+resp.ValueSchemaID != 0 {
		t.Errorf("%s, want %s", got, want)
	}
	if !resp.Results[0].Timestamp.Equal(at) || resp.Results[1].Timestamp.Before(before) {
		t.Errorf("timestamps: %v, %v", resp.Results[0].Timestamp, resp.Results[1].Timestamp)
	}
	records := stored(t, b, "t", 1)
	first := records[0]
	if string(first.Key) != `{"b":1.50}` || string(first.Value) != "ü\x00" || !first.Timestamp.Equal(at) {
		t.Errorf("%q %q %v", first.Key, first.Value, first.Timestamp)
	}
	if d := cmp.Diff([]kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h"}, {Key: "", Value: []byte{}}}, first.Headers); d != "" {
		t.Error(d)
	}
	if second := records[1]; second.Key != nil || second.Value != nil || second.Timestamp.Before(before) {
		t.Errorf("nulls: %v", second)
	}
	if third := records[2]; third.Key != nil || third.Value == nil || len(third.Value) > 0 {
		t.Errorf("an empty value: %v", third)
	}
}

// TestBadDataStoresNothing: one record that cannot be encoded fails the request before anything is sent.
func TestBadDataStoresNothing(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	req := Request{Topic: "t", Key: Side{Format: format.JSON{}}, Value: Side{Format: format.Binary{}}, Items: []Item{
		{Value: jsontext.Value(`"YQ=="`)}, {Value: jsontext.Value(`"%%"`)},
	}}
	if _, err := s.Produce(t.Context(), req); codeOf(err) != kafkarest.CodeBadRequest {
		t.Errorf("%v", err)
	}
	if n := b.Cluster().PartitionInfo("t", 0).HighWatermark; n != 0 {
		t.Errorf("%d records are stored", n)
	}
}

// TestChecks: what must not reach the shared producer is refused one by one; the rest is stored.
func TestChecks(t *testing.T) {
	s, b := onEmbedded(t, Config{MaxRecord: 100})
	createTopic(t, b, "t", 2)
	long, fits := strconvQuote(99), strconvQuote(98)
	req := values("t", `1`, long, `2`, fits)
	req.Items[2].Partition = 2
	resp, err := s.Produce(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		code    kafkarest.Code
		message string
	}{
		{}, {kafkarest.CodeKafka, "The message is 101 bytes when serialized which is larger than 100, which is the value of the max.request.size configuration."},
		{kafkarest.CodeKafkaRetriable, "Partition 2 of topic t with partition count 2 is not present in metadata after "}, {},
	} {
		got := resp.Results[i].Err
		if (got == nil) != (want.code == 0) || got != nil && (got.Code != want.code || !strings.HasPrefix(got.Message, want.message)) {
			t.Errorf("record %d: %v", i, got)
		}
	}
	if n := len(stored(t, b, "t", 0)); n != 2 {
		t.Errorf("%d records are stored", n)
	}
	for topic, code := range map[string]kafkarest.Code{"none": kafkarest.CodeKafkaRetriable, "a b": kafkarest.CodeKafka, "": kafkarest.CodeKafka} {
		resp, err := s.Produce(t.Context(), values(topic, `1`, `2`))
		if err != nil || codeOf(resp.Results[0].Err) != code || codeOf(resp.Results[1].Err) != code {
			t.Errorf("topic %q: %v %+v", topic, err, resp)
		}
	}
	emptied(t, s)
}

// emptied waits until nothing is in flight: bytes are given back a moment after the outcome is there.
func emptied(t *testing.T, s *Service) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.buffer.mu.Lock()
		left, topics := s.buffer.used, len(s.buffer.topics)
		s.buffer.mu.Unlock()
		if left == 0 && topics == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of %d topics are not given back", left, topics)
		}
	}
}

// strconvQuote makes a JSON string of n characters, which is two bytes longer.
func strconvQuote(n int) string { return `"` + strings.Repeat("x", n) + `"` }

func TestGrownTopic(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	if _, err := s.Produce(t.Context(), values("t", `1`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cluster.Admin().CreatePartitions(t.Context(), 1, "t"); err != nil {
		t.Fatal(err)
	}
	req := values("t", `2`)
	req.Items[0].Partition = 1
	for deadline := time.Now().Add(10 * time.Second); ; {
		resp, err := s.Produce(t.Context(), req)
		if err == nil && resp.Results[0].Err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new partition is not seen:", err, resp)
		}
	}
}

func TestKafkaRefuses(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	for err, want := range map[*kerr.Error]kafkarest.Code{
		kerr.TopicAuthorizationFailed: kafkarest.CodeForbidden, kerr.MessageTooLarge: kafkarest.CodeKafka, kerr.InvalidRecord: kafkarest.CodeKafka,
	} {
		fault := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Err: err})
		resp, failed := s.Produce(t.Context(), values("t", `1`))
		fault.Remove()
		if failed != nil || codeOf(resp.Results[0].Err) != want || !errors.Is(resp.Results[0].Err, err) {
			t.Errorf("%v: %v %+v", err, failed, resp.Results)
		}
	}
	if n := b.Cluster().PartitionInfo("t", 0).HighWatermark; n != 0 {
		t.Errorf("%d records are stored", n)
	}
}

// TestInDoubt: at the deadline what is under way is in doubt, and what settles later changes nothing that was returned.
func TestInDoubt(t *testing.T) {
	s, b := onEmbedded(t, Config{Timeout: 200 * time.Millisecond, MaxRecord: 50})
	createTopic(t, b, "t", 1)
	if resp, err := s.Produce(t.Context(), values("t", `0`)); err != nil || resp.Results[0].Err != nil {
		t.Fatal(err, resp)
	}
	release := stall(t, b, "t")
	begin := time.Now()
	resp, err := s.Produce(t.Context(), values("t", `1`, strconvQuote(60), `3`))
	took := time.Since(begin)
	if err != nil || took < 200*time.Millisecond || took > 5*time.Second {
		t.Fatal(err, took)
	}
	before := slices.Clone(resp.Results)
	for i, want := range []kafkarest.Code{kafkarest.CodeInDoubt, kafkarest.CodeKafka, kafkarest.CodeInDoubt} {
		if codeOf(resp.Results[i].Err) != want {
			t.Errorf("record %d: %v", i, resp.Results[i].Err)
		}
	}
	s.buffer.mu.Lock()
	held := s.buffer.used
	s.buffer.mu.Unlock()
	if held == 0 {
		t.Error("records under way take no room")
	}

	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() { // the race detector watches whether anything writes to it
		for {
			select {
			case <-stop:
				return
			default:
				for i := range resp.Results {
					if resp.Results[i] != before[i] {
						t.Errorf("record %d has become %+v", i, resp.Results[i])
						return
					}
				}
			}
		}
	})
	release()
	emptied(t, s)
	close(stop)
	wg.Wait()
	if n := len(stored(t, b, "t", 0)); n != 3 { // the one before, and two in doubt, which were stored after all
		t.Errorf("%d records are stored", n)
	}
}

// TestClientGone: the end of a request's context ends waiting, not sending.
func TestClientGone(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	if _, err := s.Produce(t.Context(), values("t", `0`)); err != nil {
		t.Fatal(err)
	}
	release := stall(t, b, "t")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := s.Produce(ctx, values("t", `1`))
	if err != nil || codeOf(resp.Results[0].Err) != kafkarest.CodeInDoubt {
		t.Errorf("%v %+v", err, resp)
	}
	release()
	if resp, err := s.Produce(t.Context(), values("t", `2`)); err != nil || resp.Results[0].Err != nil || resp.Results[0].Offset != 2 {
		t.Errorf("the next one: %v %+v", err, resp)
	}
}

// TestIsolation: a topic whose leader does not answer delays no other, and fills its own share of the buffer only.
func TestIsolation(t *testing.T) {
	s, b := onEmbedded(t, Config{Timeout: 2 * time.Second, Buffer: 20_000, TopicBuffer: 5_000})
	for node, topic := range []string{"stalled", "fine"} {
		createTopic(t, b, topic, 1)
		if err := b.Cluster().MoveTopicPartition(topic, 0, int32(node)); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			resp, err := s.Produce(t.Context(), values(topic, `0`))
			if err == nil && resp.Results[0].Err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(topic, err, resp)
			}
		}
	}
	stall(t, b, "stalled")
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[kafkarest.Code]int{}
	for range 20 {
		wg.Go(func() {
			resp, err := s.Produce(t.Context(), values("stalled", strconvQuote(1000)))
			if err == nil {
				err = resp.Results[0].Err
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[codeOf(err)]++
		})
	}
	for range 50 {
		if resp, err := s.Produce(t.Context(), values("fine", strconvQuote(1000))); err != nil || resp.Results[0].Err != nil {
			t.Fatalf("the other topic: %v %+v", err, resp)
		}
	}
	mu.Lock()
	if n := outcomes[kafkarest.CodeInDoubt]; n > 0 {
		t.Errorf("the other topic waited until %d records of the stalled one had come to their deadline", n)
	}
	mu.Unlock()
	wg.Wait()
	if outcomes[kafkarest.CodeInDoubt] == 0 || outcomes[kafkarest.CodeInDoubt] > 5 || outcomes[kafkarest.CodeTooManyRequests] != 20-outcomes[kafkarest.CodeInDoubt] {
		t.Errorf("the stalled topic: %v", outcomes)
	}
}

// TestFlood has many requests at once, for the race detector, and for the order within each.
func TestFlood(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 3)
	var wg sync.WaitGroup
	var total int64
	for range 30 {
		wg.Go(func() {
			for n := range 10 {
				req := values("t", `1`, `2`, `3`)
				for i := range req.Items {
					req.Items[i].Partition = int32(n % 3)
				}
				resp, err := s.Produce(t.Context(), req)
				if err != nil {
					t.Error(err)
					return
				}
				for i, r := range resp.Results {
					if r.Err != nil || r.Partition != int32(n%3) || i > 0 && r.Offset <= resp.Results[i-1].Offset {
						t.Errorf("%+v", resp.Results)
					}
				}
			}
		})
	}
	wg.Wait()
	for p := range int32(3) {
		total += b.Cluster().PartitionInfo("t", p).HighWatermark
	}
	if total != 900 {
		t.Errorf("%d records are stored", total)
	}
	emptied(t, s)
}

func TestAfterClose(t *testing.T) {
	_, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	cluster, err := kafka.Open(kafka.Config{Common: b.Options()})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, cluster)
	if _, err := s.Produce(t.Context(), values("t", `1`)); codeOf(err) != kafkarest.CodeDraining {
		t.Errorf("%v", err)
	}
}
