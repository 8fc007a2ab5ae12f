package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bench is a broker, a cluster over it and a client of the test's own.
type readerBench struct {
	t       *testing.T
	broker  *embedded.Broker
	cluster *kafka.Cluster
	client  *kgo.Client
}

func newReaderBench(t *testing.T) *readerBench {
	t.Helper()
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: broker.Options()})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, broker.Options()...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if err := cluster.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return &readerBench{t, broker, cluster, client}
}

func (b *readerBench) topic(partitions int32) string {
	b.t.Helper()
	name := strings.ReplaceAll(strings.ToLower(b.t.Name()), "/", "-")
	if _, err := kadm.NewClient(b.client).CreateTopic(b.t.Context(), partitions, 1, nil, name); err != nil {
		b.t.Fatal(err)
	}
	return name
}

func (b *readerBench) create(name string) {
	b.t.Helper()
	if _, err := kadm.NewClient(b.client).CreateTopic(b.t.Context(), 1, 1, nil, name); err != nil {
		b.t.Fatal(err)
	}
}

// store writes values from..to-1 to the partitions in turn, with a second between their timestamps.
func (b *readerBench) store(topic string, partitions, from, to int) {
	b.t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: fmt.Appendf(nil, "%d", i), Timestamp: time.Unix(1_700_000_000+int64(i), 0)})
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *readerBench) reader(cfg ReaderConfig) *Reader {
	r := NewReader(cfg, b.cluster)
	b.t.Cleanup(r.Close)
	return r
}

func (b *readerBench) start(r *Reader, topic string, partitions []int32, from From) Cursor {
	b.t.Helper()
	c, err := r.Start(b.t.Context(), topic, partitions, from)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// values are those of records, as numbers.
func values(records []*kgo.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func (b *readerBench) readAll(r *Reader, c Cursor, limits Limits) []string {
	b.t.Helper()
	var all []string
	for {
		batch, err := r.Read(b.t.Context(), c, limits)
		if err != nil {
			b.t.Fatal(err)
		}
		batch.Done()
		if len(batch.Records) == 0 {
			return all
		}
		if len(batch.Records) > limits.Records {
			b.t.Fatalf("%d records, the limit is %d", len(batch.Records), limits.Records)
		}
		all = append(all, values(batch.Records)...)
		if c, err = ParseCursor(c.Topic, batch.Next.String()); err != nil { // as a client hands it back
			b.t.Fatal(err)
		}
	}
}

func TestReaderReadsEverythingOnce(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(3)
	b.store(topic, 3, 0, 1000)
	r := b.reader(ReaderConfig{})
	for _, limits := range []Limits{{Records: 1000, Bytes: 1 << 20}, {Records: 7, Bytes: 1 << 20}, {Records: 1000, Bytes: 1}, {Records: 90, Bytes: 64}} {
		got := b.readAll(r, b.start(r, topic, nil, From{Earliest: true}), limits)
		slices.SortFunc(got, func(x, y string) int { return strings.Compare(fmt.Sprintf("%9s", x), fmt.Sprintf("%9s", y)) })
		if !slices.Equal(got, numbers(0, 1000)) {
			t.Errorf("%+v: %d records, want 1000, each once", limits, len(got))
		}
	}
}

func TestReaderStarts(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(2)
	b.store(topic, 2, 0, 100)
	r := b.reader(ReaderConfig{})
	number := int64(10)
	for name, test := range map[string]struct {
		partitions []int32
		from       From
		want       []string
	}{
		"earliest":                {nil, From{Earliest: true}, numbers(0, 100)},
		"latest":                  {nil, From{}, nil},
		"last of all":             {nil, From{Last: 7}, numbers(93, 100)},
		"more than there are":     {nil, From{Last: 1000}, numbers(0, 100)},
		"last of one":             {[]int32{1}, From{Last: 2}, []string{"97", "99"}},
		"time":                    {nil, From{Time: time.Unix(1_700_000_000+95, 0)}, numbers(95, 100)},
		"time after all":          {nil, From{Time: time.Unix(1_800_000_000, 0)}, nil},
		"number":                  {[]int32{0}, From{Offset: &number}, nil},
		"partition from earliest": {[]int32{1}, From{Earliest: true}, nil},
	} {
		got := b.readAll(r, b.start(r, topic, test.partitions, test.from), Limits{Records: 500, Bytes: 1 << 20})
		switch name {
		case "number":
			if len(got) != 40 || got[0] != "20" {
				t.Errorf("%s: %v", name, got)
			}
		case "partition from earliest":
			if len(got) != 50 || got[0] != "1" {
				t.Errorf("%s: %v", name, got)
			}
		default:
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(2)
	r := b.reader(ReaderConfig{})
	number := int64(1)
	for name, test := range map[string]struct {
		topic      string
		partitions []int32
		from       From
		want       kafkarest.Code
	}{
		"unknown topic":                 {"nosuch", nil, From{}, kafkarest.CodeTopicNotFound},
		"impossible topic":              {"no such", nil, From{}, kafkarest.CodeTopicNotFound},
		"unknown partition":             {topic, []int32{2}, From{}, kafkarest.CodePartitionNotFound},
		"a number of several":           {topic, nil, From{Offset: &number}, kafkarest.CodeUnprocessable},
		"cursor of another topic":       {topic, nil, From{Cursor: cursorOf("x", true, map[int32]int64{0: 0}).String()}, kafkarest.CodeUnprocessable},
		"cursor without that partition": {topic, []int32{1}, From{Cursor: cursorOf(topic, false, map[int32]int64{0: 0}).String()}, kafkarest.CodeUnprocessable},
	} {
		_, err := r.Start(t.Context(), test.topic, test.partitions, test.from)
		if e := kafkarest.AsError(err); e == nil || e.Code != test.want {
			t.Errorf("%s: %v, want %d", name, err, test.want)
		}
	}
}

func TestReaderCursorOfAnotherLife(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 3)
	r := b.reader(ReaderConfig{})
	_, err := r.Read(t.Context(), cursorOf(topic, true, map[int32]int64{0: 99}), Limits{})
	if e := kafkarest.AsError(err); e == nil || e.Code != kafkarest.CodeCursorGone {
		t.Fatalf("a cursor beyond the end: %v", err)
	}
	number := int64(4) // not there yet, and asked for as a number
	c := b.start(r, topic, nil, From{Offset: &number})
	done := make(chan []string, 1)
	go func() {
		batch, err := r.Read(context.Background(), c, Limits{Wait: 20 * time.Second})
		if err != nil {
			t.Error(err)
			batch = &Batch{}
		}
		done <- values(batch.Records)
	}()
	b.store(topic, 1, 3, 5)
	if got := <-done; !slices.Equal(got, []string{"4"}) {
		t.Fatalf("waiting for offset 4 gives %v", got)
	}
}

// TestReaderNumberOfSeveral asks for a number that one partition has and another has not yet.
func TestReaderNumberOfSeveral(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(2)
	b.store(topic, 1, 0, 20) // partition 0
	number := int64(10)
	r := b.reader(ReaderConfig{})
	c := b.start(r, topic, []int32{0, 1}, From{Offset: &number})
	if got := b.readAll(r, c, Limits{Records: 3, Bytes: 1 << 20}); !slices.Equal(got, numbers(10, 20)) {
		t.Errorf("%v", got)
	}
	b.store(topic, 2, 20, 44) // 12 to each: the second has two records that were asked for
	if got := b.readAll(r, c, Limits{Records: 50, Bytes: 1 << 20}); len(got) != 24 {
		t.Errorf("%d records, want 22 of partition 0 and 2 of partition 1: %v", len(got), got)
	}
	within := int64(12)
	batch, err := r.Read(t.Context(), b.start(r, topic, []int32{0, 1}, From{Offset: &within}), Limits{Records: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Done()
	if batch.Next.Ahead {
		t.Error("all positions are within their logs, and the cursor would wait in a topic that was made anew")
	}
}

// TestReaderIsFair takes one record at a time, from partitions of which each could fill an answer.
func TestReaderIsFair(t *testing.T) {
	const partitions, records = 8, 80
	b := newReaderBench(t)
	topic := b.topic(partitions)
	for _, sameTime := range []bool{false, true} {
		var list []*kgo.Record
		for i := range records {
			at := time.Unix(1_700_000_000+int64(i), 0)
			if sameTime {
				at = time.Unix(1_800_000_000, 0)
			}
			list = append(list, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: fmt.Appendf(nil, "%d", i), Timestamp: at})
		}
		if err := b.client.ProduceSync(t.Context(), list...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := b.reader(ReaderConfig{})
	c := b.start(r, topic, nil, From{Earliest: true})
	var got []string
	of := map[int32]int{}
	for range records + 5*partitions {
		batch, err := r.Read(t.Context(), c, Limits{Records: 1})
		if err != nil {
			t.Fatal(err)
		}
		batch.Done()
		got = append(got, values(batch.Records)...)
		c = batch.Next
		if len(got) > records {
			of[batch.Records[0].Partition]++
		}
	}
	if !slices.Equal(got[:records], numbers(0, records)) {
		t.Errorf("not by time: %v", got[:records])
	}
	if len(of) != partitions {
		t.Errorf("of the same time, the first %d are of these partitions: %v", 5*partitions, of)
	}
}

// TestReaderPassesNobodyOver has answers that are full before the last partitions have their turn.
func TestReaderPassesNobodyOver(t *testing.T) {
	const partitions = 8
	b := newReaderBench(t)
	topic := b.topic(partitions)
	for i := range 20 * partitions {
		record := &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: make([]byte, 14_000), Timestamp: time.Unix(1_700_000_000, 0)}
		if err := b.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := b.reader(ReaderConfig{})
	c := b.start(r, topic, nil, From{Earliest: true})
	of := map[int32]int{}
	for range 5 * partitions {
		batch, err := r.Read(t.Context(), c, Limits{Records: 1})
		if err != nil {
			t.Fatal(err)
		}
		batch.Done()
		c = batch.Next
		of[batch.Records[0].Partition]++
	}
	if len(of) != partitions {
		t.Errorf("the first %d are of these partitions: %v", 5*partitions, of)
	}
}

func TestReaderTellsOfGaps(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	b.store(topic, 1, 0, 50)
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 30})
	if _, err := kadm.NewClient(b.client).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	r := b.reader(ReaderConfig{})
	number := int64(10)
	batch, err := r.Read(t.Context(), b.start(r, topic, nil, From{Offset: &number}), Limits{Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(batch.Records), numbers(30, 50)) || !slices.Equal(batch.Gaps, []Gap{{0, 10, 30}}) {
		t.Errorf("%v with gaps %v", values(batch.Records), batch.Gaps)
	}
}

// TestTails has readers of every pace follow a topic: each gets everything, in the order of each partition.
func TestTails(t *testing.T) {
	const partitions, records, tails = 3, 3000, 20
	b := newReaderBench(t)
	topic := b.topic(partitions)
	r := b.reader(ReaderConfig{TailBuffer: 1}) // the smallest rings: slow ones fall out of them
	var wg sync.WaitGroup
	for n := range tails {
		tail, err := r.Tail(b.start(r, topic, nil, From{}))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer tail.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			next := map[int32]int64{}
			for got := 0; got < records; {
				batch, err := tail.Next(ctx, Limits{Records: 1 + n*5, Bytes: 1 << 20})
				if err != nil {
					t.Errorf("tail %d after %d: %v", n, got, err)
					return
				}
				for _, x := range batch.Records {
					if x.Offset != next[x.Partition] {
						t.Errorf("tail %d: partition %d, offset %d after %d", n, x.Partition, x.Offset, next[x.Partition]-1)
						return
					}
					next[x.Partition]++
				}
				got += len(batch.Records)
				if n%4 == 3 {
					time.Sleep(time.Millisecond) // a slow reader
				}
			}
		})
	}
	for i := 0; i < records; i += 100 {
		b.store(topic, partitions, i, i+100)
	}
	wg.Wait()
}

func TestTailIsQuick(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	r := b.reader(ReaderConfig{})
	tail, err := r.Tail(b.start(r, topic, nil, From{}))
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var slowest time.Duration
	for i := range 30 {
		came := make(chan time.Time)
		go func() {
			if _, err := tail.Next(ctx, Limits{Records: 10, Bytes: 1 << 20}); err != nil {
				t.Error(err)
			}
			came <- time.Now()
		}()
		begin := time.Now()
		b.store(topic, 1, i, i+1)
		slowest = max(slowest, (<-came).Sub(begin))
	}
	if slowest > 200*time.Millisecond { // 50 ms on a machine that does nothing else
		t.Errorf("the slowest record took %v", slowest)
	}
	t.Logf("the slowest record took %v", slowest)
}

func TestDrainEndsTails(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(1)
	r := b.reader(ReaderConfig{MaxTails: 1})
	tail, err := r.Tail(b.start(r, topic, nil, From{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tail(Cursor{Topic: topic}); kafkarest.AsError(err).Code != kafkarest.CodeTooManyRequests {
		t.Errorf("a tail too many: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := tail.Next(context.Background(), Limits{Records: 1, Bytes: 1})
		ended <- err
	}()
	r.Drain()
	if err := <-ended; !errors.Is(err, ErrDraining) {
		t.Error(err)
	}
	tail.Close()
	if batch, err := r.Read(t.Context(), b.start(r, topic, nil, From{}), Limits{Wait: time.Hour}); err != nil || len(batch.Records) > 0 {
		t.Errorf("a read that waits while the proxy drains: %v, %v", batch, err)
	}
}
