package produce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// outcomes collects what a Backlog reports, and releases nothing until it is told to.
type outcomes struct {
	mu       sync.Mutex
	results  map[string][]Result
	releases []func()
	open     bool
}

func (o *outcomes) done(tag Tag, b *Batch, release func()) {
	o.mu.Lock()
	o.results[string(bytes.TrimRight(tag[:], "\x00"))] = b.Results()
	held := !o.open
	if held {
		o.releases = append(o.releases, release)
	}
	o.mu.Unlock()
	if !held {
		release()
	}
}

func (o *outcomes) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.results)
}

// let releases what is held, and from now on everything at once.
func (o *outcomes) let() {
	o.mu.Lock()
	o.open = true
	held := o.releases
	o.releases = nil
	o.mu.Unlock()
	for _, release := range held {
		release()
	}
}

func within(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func sendLater(t *testing.T, s *Service, l *Backlog, tag string, messages ...Message) {
	t.Helper()
	b, err := s.Prepare(t.Context(), &Set{Messages: messages, Later: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Send(b, Tag([]byte(tag+string(make([]byte, 20-len(tag))))))
}

// What waits is sent in order, a window of it at a time, and another topic does not wait for it.
func TestBacklogOrder(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	for node, topic := range []string{"slow", "quick"} { // a broker that does not answer for one topic does for none
		createTopic(t, b, topic, 1)
		if err := b.Cluster().MoveTopicPartition(topic, 0, int32(node)); err != nil {
			t.Fatal(err)
		}
	}
	release := stall(t, b, "slow")
	o := &outcomes{results: map[string][]Result{}}
	l := s.NewBacklog(o.done)
	const n = 3 * windowRecords
	for i := range n {
		m := message("slow", strconv.Itoa(i))
		m.Partition = 0
		if i%3 == 0 {
			m.Key, m.Headers = []byte{}, []kafkarest.Header{{Key: "h", Value: []byte{byte(i)}}, {Key: "", Value: nil}}
		}
		sendLater(t, s, l, "s"+strconv.Itoa(i), m)
	}
	sendLater(t, s, l, "q", message("quick", "now"))
	within(t, "the other topic", func() bool { return o.count() == 1 })
	release()
	within(t, "one window", func() bool { return o.count() == 1+windowRecords })
	if end := b.Cluster().PartitionInfo("slow", 0).HighWatermark; end > windowRecords {
		t.Errorf("%d records are in the log before any outcome was recorded", end)
	}
	o.let()
	within(t, "all", func() bool { return o.count() == 1+n })
	for i, r := range stored(t, b, "slow", 0) {
		keyed := i%3 == 0
		if string(r.Value) != strconv.Itoa(i) || keyed != (r.Key != nil) || keyed != (len(r.Headers) == 2) || keyed && r.Headers[0].Value[0] != byte(i) {
			t.Fatalf("record %d: %q %q %v", i, r.Key, r.Value, r.Headers)
		}
		if got := o.results["s"+strconv.Itoa(i)]; len(got) != 1 || got[0].Err != nil || got[0].Offset != int64(i) || !got[0].Timestamp.Equal(r.Timestamp) {
			t.Fatalf("outcome %d: %+v", i, got)
		}
	}
	emptied(t, s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) > 0 {
		t.Errorf("%d lines are left", len(l.lines))
	}
}

// A batch of several topics, or with a message that is refused, has its outcome too; so has one whose time was over before its turn.
func TestBacklogOutcomes(t *testing.T) {
	broker, err := embedded.Start(embedded.Config{Settings: map[string]string{"auto.create.topics.enable": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: broker.Options(), Idempotent: true, UnknownFor: time.Second, DeliveryTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := cluster.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := New(Config{}, cluster)
	createTopic(t, broker, "a", 1)
	createTopic(t, broker, "b", 1)
	o := &outcomes{results: map[string][]Result{}, open: true}
	l := s.NewBacklog(o.done)
	refused := message("a", "x")
	refused.Err = kafkarest.Errorf(kafkarest.CodeUnprocessable, "no")
	sendLater(t, s, l, "topics", message("a", "1"), message("b", "2"))
	sendLater(t, s, l, "refused", refused, message("a", "3"))
	within(t, "two outcomes", func() bool { return o.count() == 2 })
	if r := o.results["topics"]; r[0].Err != nil || r[1].Err != nil {
		t.Errorf("%+v", r)
	}
	if r := o.results["refused"]; r[0].Err == nil || r[1].Err != nil {
		t.Errorf("%+v", r)
	}
	release := stall(t, broker, "a")
	for i := range windowRecords + 100 {
		sendLater(t, s, l, fmt.Sprint("late", i), message("a", strconv.Itoa(i)), refused)
	}
	time.AfterFunc(1500*time.Millisecond, release)
	within(t, "all outcomes", func() bool { return o.count() == 2+windowRecords+100 })
	inLog := map[string]bool{}
	for _, r := range stored(t, broker, "a", 0) {
		inLog[string(r.Value)] = true
	}
	for i := range windowRecords + 100 {
		r := o.results[fmt.Sprint("late", i)][0]
		failed := r.Err != nil && r.Err.Code != kafkarest.CodeInDoubt
		if failed && inLog[strconv.Itoa(i)] || r.Err == nil && !inLog[strconv.Itoa(i)] || i >= windowRecords && !failed {
			t.Errorf("record %d: %v, in the log: %v", i, r.Err, inLog[strconv.Itoa(i)])
		}
	}
}

// A batch with messages that are refused waits like any other, and each message has its own outcome, also when the time is over before its turn.
func TestBacklogRefused(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	release := stall(t, b, "t")
	o := &outcomes{results: map[string][]Result{}}
	l := s.NewBacklog(o.done)
	bad := message("t", "never")
	for i := range windowRecords + 10 {
		bad.Err = kafkarest.Wrap(kafkarest.CodeKafka, ErrTooLarge, strconv.Itoa(i%2))
		first := bad
		first.Partition = 7
		sendLater(t, s, l, strconv.Itoa(i), first, message("t", strconv.Itoa(i)), bad)
	}
	l.mu.Lock()
	for _, n := range l.lines {
		if n.records > windowRecords+3 {
			t.Errorf("%d records are on their way", n.records)
		}
	}
	if waiting := len(l.refused); waiting < 100 {
		t.Errorf("%d wait with their refusals", waiting)
	}
	l.mu.Unlock()
	release()
	o.let()
	within(t, "all", func() bool { return o.count() == windowRecords+10 })
	for i := range windowRecords + 10 {
		r := o.results[strconv.Itoa(i)]
		if len(r) != 3 || r[1].Err != nil || r[1].Offset != int64(i) {
			t.Fatalf("%d: %+v", i, r)
		}
		for n, partition := range map[int]int32{0: 7, 2: kafkarest.AnyPartition} {
			if r[n].Err == nil || r[n].Err.Message != strconv.Itoa(i%2) || !errors.Is(r[n].Err, ErrTooLarge) || r[n].Partition != partition {
				t.Fatalf("%d, message %d: %+v", i, n, r[n])
			}
		}
	}
	if n := len(stored(t, b, "t", 0)); n != windowRecords+10 {
		t.Errorf("%d records are stored", n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines)+len(l.refused) > 0 {
		t.Errorf("%d lines and %d refusals are left", len(l.lines), len(l.refused))
	}
}

// A Backlog that is closed sends nothing more.
func TestBacklogClose(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	o := &outcomes{results: map[string][]Result{}}
	l := s.NewBacklog(o.done)
	for i := range windowRecords + 10 {
		sendLater(t, s, l, strconv.Itoa(i), message("t", "x"))
	}
	within(t, "one window", func() bool { return o.count() == windowRecords })
	l.Close()
	o.let()
	sendLater(t, s, l, "after", message("t", "x"))
	if n := len(stored(t, b, "t", 0)); n != windowRecords {
		t.Errorf("%d records are stored", n)
	}
}

func TestByteQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q byteQueue
		var want, taken, kept [][]byte
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				data := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.SampledFrom([]int{0, 1, 100, 1020, 5000, 70_000}).Draw(t, "length"))
				if rapid.Bool().Draw(t, "does not compress") {
					for i := range data {
						data[i] = byte(rand.Uint32())
					}
				}
				q.push(data)
				want = append(want, data)
			},
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				taken, kept = append(taken, q.pop()), append(kept, want[0])
				want = want[1:]
			},
			"": func(t *rapid.T) {
				if q.empty() != (len(want) == 0) {
					t.Fatal("empty, or not")
				}
				for i := range taken {
					if !bytes.Equal(taken[i], kept[i]) {
						t.Fatalf("%d: %d bytes for %d, or others", i, len(taken[i]), len(kept[i]))
					}
				}
			},
		})
	})
}

func TestFlightKeepsItsRecords(t *testing.T) {
	s := New(Config{}, nil)
	l := s.NewBacklog(nil)
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SampledFrom([][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte("long"), 1000)})
		records := make([]kgo.Record, rapid.IntRange(1, 5).Draw(t, "records"))
		for i := range records {
			r := &records[i]
			r.Topic, r.Partition = "t", rapid.Int32Range(-1, 1<<30).Draw(t, "partition")
			r.Key, r.Value = data.Draw(t, "key"), data.Draw(t, "value")
			r.Timestamp = time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "timestamp"))
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: rapid.String().Draw(t, "name"), Value: data.Draw(t, "header")})
			}
		}
		want := Tag{1, 2, 3}
		before := time.Since(l.start).Truncate(time.Millisecond)
		tag, since, f := l.parseFlight(lineKey{topic: "t"}, l.appendFlight(nil, want, s.flight(nil, "t", records)))
		if tag != want || since < before || since > time.Since(l.start) || fmt.Sprintf("%#v", f.records) != fmt.Sprintf("%#v", records) {
			t.Fatalf("%v %v\n%#v\n%#v", tag, since, f.records, records)
		}
	})
}
