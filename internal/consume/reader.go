package consume

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"
)

// ReaderConfig bounds a Reader. Zero values stand for the defaults.
type ReaderConfig struct {
	Buffer        int64 // bytes that all reads may hold until their replies are written; 0 is 128 MiB
	TailBuffer    int64 // bytes that the newest records of all tailed partitions may take; 0 is 64 MiB
	MaxTails      int   // endless reads at once; 0 is 5,000
	ReadCommitted bool  // isolation.level
	Log           *slog.Logger
}

// Reader reads topics without a group and without any state of its own between reads: where a read begins is all in its Cursor. What is at
// the end of a topic is fetched once for all who wait there (see hub); what is further back is fetched for the one who asks.
type Reader struct {
	cfg     ReaderConfig
	cluster *kafka.Cluster
	hub     *hub
	fetcher *fetcher
	memory  *semaphore.Weighted // bytes
	tails   chan struct{}       // slots

	drain     chan struct{} // closed when waiting ends
	drainOnce sync.Once
}

// NewReader readies a Reader. Clients are made when they are first needed; Close ends them.
func NewReader(cfg ReaderConfig, cluster *kafka.Cluster) *Reader {
	orElse(&cfg.Buffer, 128<<20)
	orElse(&cfg.TailBuffer, 64<<20)
	orElse(&cfg.MaxTails, 5000)
	orElse(&cfg.Log, slog.New(slog.DiscardHandler))
	f := &fetcher{cluster: cluster, committed: cfg.ReadCommitted, topics: map[string]*layout{}, slots: make(chan struct{}, 64)}
	return &Reader{cfg: cfg, cluster: cluster, fetcher: f, hub: newHub(cluster, f, cfg), memory: semaphore.NewWeighted(cfg.Buffer),
		tails: make(chan struct{}, cfg.MaxTails), drain: make(chan struct{})}
}

// Drain ends waiting: reads answer with what they have, endless ones end. The proxy is about to close.
func (r *Reader) Drain() { r.drainOnce.Do(func() { close(r.drain) }) }

// Close ends the clients. Reads that are under way fail.
func (r *Reader) Close() {
	r.Drain()
	r.hub.close()
	r.fetcher.close()
}

// From says where a read begins. Exactly one member is set; none is the end of the topic.
type From struct {
	Earliest bool
	Offset   *int64    // of the partitions asked for; a topic with several must be asked for by partition
	Last     int64     // so many of the newest records, by timestamp over all partitions; at most 10,000
	Time     time.Time // the first records at or after it
	Cursor   string
}

// MostLast is the most that From.Last may be.
const MostLast = 10_000

// Start turns a place as a client names it into a cursor. No partitions are all of them.
// Errors: CodeTopicNotFound, CodePartitionNotFound, CodeUnprocessable for an offset without a partition, a foreign cursor or one with other
// partitions, CodeForbidden, CodeTimeout.
func (r *Reader) Start(ctx context.Context, topic string, partitions []int32, from From) (Cursor, error) {
	if from.Last == 0 { // which reads much, and has this long for each step
		var cancel context.CancelFunc
		ctx, cancel = r.cluster.Deadline(ctx)
		defer cancel()
	}
	layout, err := r.fetcher.layout(ctx, topic, false)
	if err != nil {
		return Cursor{}, err
	}
	for _, p := range partitions {
		if p < 0 || int(p) >= len(layout.leaders) {
			return Cursor{}, kafkarest.Errorf(kafkarest.CodePartitionNotFound, "Partition %d not found: topic %s has %d.", p, topic, len(layout.leaders))
		}
	}
	if from.Cursor != "" {
		return r.startAtCursor(topic, partitions, from.Cursor)
	}
	c := Cursor{Topic: topic, Whole: len(partitions) == 0}
	if c.Whole {
		for p := range layout.leaders {
			partitions = append(partitions, int32(p))
		}
	}
	if from.Offset != nil {
		c.Ahead = true
		if len(partitions) > 1 && c.Whole {
			return Cursor{}, kafkarest.Errorf(kafkarest.CodeUnprocessable,
				"Topic %s has %d partitions: say with partition= which one the offset is of.", topic, len(partitions))
		}
		for _, p := range partitions {
			c.Advance(p, *from.Offset)
		}
		return c, nil
	}
	return r.startAt(ctx, c, partitions, from)
}

func (r *Reader) startAtCursor(topic string, partitions []int32, text string) (Cursor, error) {
	c, err := ParseCursor(topic, text)
	if err != nil || len(partitions) == 0 {
		return c, err
	}
	c = c.Only(partitions)
	for _, p := range partitions {
		if !slices.ContainsFunc(c.Next, func(at Position) bool { return at.Partition == p }) {
			return Cursor{}, kafkarest.Errorf(kafkarest.CodeUnprocessable, "The cursor says nothing of partition %d.", p)
		}
	}
	return c, nil
}

// startAt asks the brokers.
func (r *Reader) startAt(ctx context.Context, c Cursor, partitions []int32, from From) (Cursor, error) {
	if from.Last > 0 {
		return r.startAtLast(ctx, c, partitions, from.Last)
	}
	admin := r.cluster.Admin()
	ask := r.askEnds()
	switch {
	case from.Earliest:
		ask = admin.ListStartOffsets
	case !from.Time.IsZero():
		ask = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return admin.ListOffsetsAfterMilli(ctx, from.Time.UnixMilli(), topics...)
		}
	}
	offsets, err := r.list(ctx, c.Topic, partitions, ask)
	if err != nil {
		return Cursor{}, err
	}
	for p, o := range offsets {
		c.Advance(p, o)
	}
	return c, nil
}

type askOffsets func(context.Context, ...string) (kadm.ListedOffsets, error)

func (r *Reader) askEnds() askOffsets {
	if r.cfg.ReadCommitted {
		return r.cluster.Admin().ListCommittedOffsets
	}
	return r.cluster.Admin().ListEndOffsets
}

// list gives an offset for each of the partitions, or fails. What passes by itself, as after the election of a leader, is tried again until
// the deadline.
func (r *Reader) list(ctx context.Context, topic string, partitions []int32, ask askOffsets) (map[int32]int64, error) {
	const again = 100 * time.Millisecond
	ctx, cancel := r.cluster.Deadline(ctx)
	defer cancel()
	for {
		offsets, err := r.listOnce(ctx, topic, partitions, ask)
		if !kerr.IsRetriable(err) || kafka.IsUnknownTopic(err) {
			return offsets, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, kafka.Error(ctx.Err())
		}
	}
}

func (r *Reader) listOnce(ctx context.Context, topic string, partitions []int32, ask askOffsets) (map[int32]int64, error) {
	listed, err := kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return ask(ctx, topic) })
	if err != nil {
		return nil, kafka.ForTopic(topic, err)
	}
	offsets := map[int32]int64{}
	for _, p := range partitions {
		o, ok := listed.Lookup(topic, p)
		if !ok {
			o, _ = listed.Lookup(topic, -1) // kadm's place for what is wrong with the topic as a whole
			if o.Err == nil {
				return nil, kafkarest.Errorf(kafkarest.CodeRetryLater, "The brokers say nothing of partition %d of topic %s.", p, topic)
			}
		}
		if o.Err != nil {
			return nil, readError(topic, o.Err)
		}
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// startAtLast finds the newest records of all partitions together. Offsets alone do not tell: some have no record, and partitions grow
// unequally. So the ends are read, and what is newest by timestamp stays.
func (r *Reader) startAtLast(ctx context.Context, c Cursor, partitions []int32, n int64) (Cursor, error) {
	ends, err := r.list(ctx, c.Topic, partitions, r.askEnds())
	if err != nil {
		return Cursor{}, err
	}
	starts, err := r.list(ctx, c.Topic, partitions, r.cluster.Admin().ListStartOffsets)
	if err != nil {
		return Cursor{}, err
	}
	for p, end := range ends {
		c.Advance(p, max(starts[p], end-n))
	}
	if len(partitions) == 1 {
		return r.enough(ctx, c, starts, ends, n)
	}
	var newest []*kgo.Record
	at := c.Clone()
	for !reached(at, ends) {
		b, err := r.read(ctx, at, Limits{Records: 1000, Bytes: 4 << 20}, nil)
		if err != nil {
			return Cursor{}, err
		}
		if slices.Equal(at.Next, b.Next.Next) {
			break // the brokers have no more for now
		}
		at, newest = b.Next, append(newest, thin(b.Records)...)
		slices.SortStableFunc(newest, func(x, y *kgo.Record) int { return x.Timestamp.Compare(y.Timestamp) })
		newest = newest[max(0, len(newest)-int(n)):]
	}
	for p, end := range ends {
		c.Advance(p, end)
	}
	for _, record := range slices.Backward(newest) {
		if offset := record.Offset; offset < offsetOf(c, record.Partition) {
			c.Advance(record.Partition, offset)
		}
	}
	return c, nil
}

// thin drops what is not needed to compare records, so that ten thousand large ones are not held.
func thin(records []*kgo.Record) []*kgo.Record {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp}
	}
	return out
}

// enough goes further back, a few times, while fewer than n records lie between the cursor and the end of its one partition.
func (r *Reader) enough(ctx context.Context, c Cursor, starts, ends map[int32]int64, n int64) (Cursor, error) {
	p := c.Next[0].Partition
	for back := n; ; back *= 8 {
		c.Advance(p, max(starts[p], ends[p]-back))
		var newest []*kgo.Record
		for at := c.Clone(); !reached(at, ends); {
			b, err := r.read(ctx, at, Limits{Records: 1000, Bytes: 4 << 20}, nil)
			if err != nil {
				return Cursor{}, err
			}
			if slices.Equal(at.Next, b.Next.Next) {
				break
			}
			at, newest = b.Next, append(newest, thin(b.Records)...)
			newest = newest[max(0, len(newest)-int(n)):]
		}
		if int64(len(newest)) == n {
			c.Advance(p, newest[0].Offset)
			return c, nil
		}
		if offsetOf(c, p) == starts[p] || back > 64*n {
			return c, nil
		}
	}
}

func offsetOf(c Cursor, partition int32) int64 {
	for _, p := range c.Next {
		if p.Partition == partition {
			return p.Offset
		}
	}
	return 0
}

func reached(c Cursor, ends map[int32]int64) bool {
	return !slices.ContainsFunc(c.Next, func(p Position) bool { return p.Offset < ends[p.Partition] })
}

// Limits bound one read.
type Limits struct {
	Records int           // 0 is 500
	Bytes   int64         // of keys and values; one record always fits. 0 is 1 MiB
	Wait    time.Duration // for the first record; brokers that take longer to say that there is none have until the deadline
}

// Batch is what a read returned.
type Batch struct {
	Records []*kgo.Record // by time, and by offset within a partition
	Next    Cursor
	Gaps    []Gap

	done func()
}

// Gap is a range of offsets that was asked for and is no longer on the broker.
type Gap struct {
	Partition int32
	From, To  int64 // without To
}

// Done frees what the batch counts for in the memory of all reads, once its records are no longer needed.
func (b *Batch) Done() {
	if b.done != nil {
		b.done()
	}
}

// Read returns the records after a cursor, waiting for the first one if there is none and Limits say so. Call Done on the batch.
// Errors: CodeTopicNotFound, CodePartitionNotFound, CodeForbidden, CodeTimeout, CodeCursorGone for a cursor beyond the end of the log,
// CodeTooManyRequests when all reads together hold too much.
func (r *Reader) Read(ctx context.Context, c Cursor, limits Limits) (*Batch, error) {
	orElse(&limits.Records, 500)
	orElse(&limits.Bytes, 1<<20)
	limits.Bytes = min(limits.Bytes, r.cfg.Buffer)
	charge := &charge{memory: r.memory}
	b, err := r.read(ctx, c, limits, charge)
	if err != nil {
		charge.release()
		return nil, err
	}
	b.done = sync.OnceFunc(charge.release)
	return b, nil
}

func (r *Reader) read(ctx context.Context, c Cursor, limits Limits, charge *charge) (*Batch, error) {
	t := r.tail(c)
	t.charge = charge
	defer t.detach()
	if limits.Wait > 0 {
		return t.wait(ctx, limits)
	}
	return t.look(ctx, limits)
}
