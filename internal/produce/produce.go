// Package produce is one use case: records whose keys and values are JSON come in, are encoded by their formats, go to Kafka through a shared
// producer, and each gets one of three outcomes: stored, failed, or in doubt. It knows nothing of HTTP.
package produce

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
)

// MaxTimestamp is the latest timestamp that a record can have, in milliseconds since 1970. It is in the year 2262: the Kafka client computes in
// nanoseconds, and would store a later one as a time before 1970.
const MaxTimestamp = math.MaxInt64 / 1_000_000

// BadTimestamp ends the messages about a timestamp that is none.
const BadTimestamp = "must be milliseconds since 1970, from 0 to 9223372036854 (in the year 2262), or an RFC 3339 time in that range"

// Item is one record of a request, before encoding.
type Item struct {
	Key, Value jsontext.Value // nil for null and for absent: a Kafka null in every format
	Partition  int32          // kafkarest.AnyPartition when unset
	Timestamp  time.Time      // zero is now
	Headers    []kafkarest.Header
}

// Side is how one side of a request's records is written.
type Side struct {
	Format format.Format
	Schema format.Schema
}

// Request is a list of records for one topic. The memory that Items point to belongs to produce from now on: a record may be sent after
// the request was answered.
type Request struct {
	Topic      string
	Key, Value Side
	Items      []Item
}

// Result is the outcome of one record.
type Result struct {
	Partition int32 // of what is not stored: the one that was asked for, in a Set
	Offset    int64
	Timestamp time.Time
	Err       *kafkarest.Error // nil: stored. CodeInDoubt: unknown. Any other: not stored, for certain.
}

// Response has a Result for each Item, in order, and the registry's ids of the schemas that were used (0 for none).
type Response struct {
	Results                    []Result
	KeySchemaID, ValueSchemaID int
}

// Config bounds a Service. Zero values stand for the defaults.
type Config struct {
	Timeout     time.Duration // after it, what is still under way is in doubt; 0 is 30 s
	Buffer      int64         // bytes in flight for all topics; 0 is 64 MiB
	TopicBuffer int64         // and for one; 0 is half of Buffer
	MaxRecord   int           // bytes of key and value of one record; 0 is 1,048,576, the Java producer's max.request.size
}

// Service produces.
type Service struct {
	cfg     Config
	cluster *kafka.Cluster
	buffer  *buffer
}

// New makes a Service on a cluster.
func New(cfg Config, cluster *kafka.Cluster) *Service {
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = 64 << 20
	}
	if cfg.TopicBuffer == 0 {
		cfg.TopicBuffer = cfg.Buffer / 2
	}
	if cfg.MaxRecord == 0 {
		cfg.MaxRecord = 1 << 20
	}
	return &Service{cfg: cfg, cluster: cluster, buffer: newBuffer(cfg.Buffer, cfg.TopicBuffer)}
}

// Produce encodes every record before it sends any: one that cannot be encoded fails the request, and nothing is stored. After that
// each record has its own outcome, and the error is nil.
//
// ctx ends waiting, not sending: records that are under way when it ends are in doubt, as those are when the service's deadline passes.
// Errors: those of format.Format and format.Encoder, CodeTooManyRequests when the bytes in flight are at their limit.
func (s *Service) Produce(ctx context.Context, req Request) (Response, error) {
	var resp Response
	records, err := s.encode(ctx, req, &resp)
	if err != nil {
		return Response{}, err
	}
	resp.Results, err = s.send(ctx, req.Topic, records)
	return resp, err
}

// encode makes the records of a request.
func (s *Service) encode(ctx context.Context, req Request, resp *Response) ([]kgo.Record, error) {
	keys, err := req.Key.Format.NewEncoder(ctx, req.Key.Schema)
	if err != nil {
		return nil, err
	}
	values, err := req.Value.Format.NewEncoder(ctx, req.Value.Schema)
	if err != nil {
		return nil, err
	}
	records := make([]kgo.Record, len(req.Items))
	for i := range req.Items {
		item, r := &req.Items[i], &records[i]
		if r.Key, err = keys.Encode(item.Key); err != nil {
			return nil, err
		}
		if r.Value, err = values.Encode(item.Value); err != nil {
			return nil, err
		}
		r.Topic, r.Partition, r.Timestamp, r.Headers = req.Topic, item.Partition, item.Timestamp, recordHeaders(item.Headers)
	}
	resp.KeySchemaID, resp.ValueSchemaID = keys.SchemaID(), values.SchemaID()
	return records, nil
}

func recordHeaders(headers []kafkarest.Header) []kgo.RecordHeader {
	if len(headers) == 0 {
		return nil
	}
	out := make([]kgo.RecordHeader, len(headers))
	for i, h := range headers {
		out[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	return out
}

// send hands the records to the shared producer and waits for their outcomes.
func (s *Service) send(ctx context.Context, topic string, records []kgo.Record) ([]Result, error) {
	producer, err := s.cluster.Producer()
	if err != nil {
		return nil, kafka.Error(err)
	}
	f := s.flight(producer, topic, records)
	if err := s.ready(ctx, f); err != nil {
		return nil, err
	}
	f.launch()
	f.wait(ctx, s.cfg.Timeout)
	return f.outcomes(), nil
}

func (s *Service) flight(producer *kafka.Producer, topic string, records []kgo.Record) *flight {
	f := &flight{service: s, producer: producer, topic: topic, records: records,
		results: make([]Result, len(records)), settled: make([]atomic.Bool, len(records)), done: make(chan struct{})}
	f.left.Store(int64(len(records)))
	return f
}

// ready settles what must not reach the producer and makes room in the buffer for the rest, which launch then sends.
// Errors: CodeTooManyRequests.
func (s *Service) ready(ctx context.Context, f *flight) error {
	s.precheck(ctx, f, s.cluster.Topics().Begin(f.topic))
	return s.room(f)
}

// room takes what a flight needs of the buffer. Errors: CodeTooManyRequests.
func (s *Service) room(f *flight) error {
	if f.left.Load() == 0 { // all refused by the checks
		return nil
	}
	for i := range f.records {
		f.size += recordSize(&f.records[i])
	}
	return s.buffer.take(f.topic, f.size)
}

// launch sends what the checks have left.
func (f *flight) launch() {
	for i := range f.records {
		if !f.settled[i].Load() {
			f.producer.Produce(&f.records[i], func(r *kgo.Record, err error) { f.settle(i, r, err) })
		}
	}
}

// recordSize is what a record takes of the buffer: its bytes, and about what the client keeps beside them.
func recordSize(r *kgo.Record) int64 {
	size := len(r.Key) + len(r.Value) + 256
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value) + 64
	}
	return int64(size)
}

// Causes of refusals that the checks find.
var (
	ErrNoPartition = errors.New("the topic has no such partition")
	ErrTooLarge    = errors.New("the record is larger than max.request.size")
)

// precheck settles the records that must not reach the shared producer: those of a topic or partition that does not exist, and those that
// are too large for any batch. topic is the look-up of the flight's.
func (s *Service) precheck(ctx context.Context, f *flight, topic kafka.Answer) {
	start := time.Now()
	n, err := s.cluster.Topics().Wait(ctx, topic)
	if err != nil {
		e := kafkarest.AsError(err)
		for i := range f.records {
			if !f.settled[i].Load() {
				f.refuse(i, e)
			}
		}
		return
	}
	renewed, known := false, int32(0)
	for i := range f.records {
		if f.settled[i].Load() { // it could not be encoded
			continue
		}
		r := &f.records[i]
		if r.Partition >= n && !renewed { // it may have grown
			renewed = true
			if more, err := s.cluster.Topics().Renew(ctx, f.topic); err == nil {
				n = more
			}
		}
		if r.Partition > known && r.Partition < n {
			if f.producer.Knows(ctx, f.topic, r.Partition) {
				known = r.Partition
			} else {
				n = r.Partition
			}
		}
		switch {
		case r.Partition >= n:
			f.refuse(i, kafkarest.Wrap(kafkarest.CodeKafkaRetriable, ErrNoPartition, fmt.Sprintf(
				"Partition %d of topic %s with partition count %d is not present in metadata after %d ms.", r.Partition, f.topic, n, time.Since(start).Milliseconds())))
		case len(r.Key)+len(r.Value) > s.cfg.MaxRecord:
			f.refuse(i, kafkarest.Wrap(kafkarest.CodeKafka, ErrTooLarge, fmt.Sprintf(
				"The message is %d bytes when serialized which is larger than %d, which is the value of the max.request.size configuration.",
				len(r.Key)+len(r.Value), s.cfg.MaxRecord)))
		}
	}
}

// flight is one request's records on their way. Its records settle on the client's goroutines, maybe long after the request has been
// answered: what they write is read only after their state says so.
type flight struct {
	service  *Service
	producer *kafka.Producer
	topic    string
	records  []kgo.Record
	size     int64 // of the buffer, given back when the last record has settled
	results  []Result
	settled  []atomic.Bool // whether the result beside it is there
	left     atomic.Int64
	done     chan struct{}
	onDone   func() // when the last has settled, on whatever goroutine that is; nil for nobody
}

func (f *flight) settle(i int, r *kgo.Record, err error) {
	o := &f.results[i]
	if err != nil {
		o.Err = f.producer.Failed(f.topic, err)
	} else {
		o.Partition, o.Offset, o.Timestamp = r.Partition, r.Offset, r.Timestamp
	}
	if f.mark(i) {
		f.service.buffer.release(f.topic, f.size)
	}
}

func (f *flight) refuse(i int, err *kafkarest.Error) {
	f.results[i].Err = err
	f.mark(i)
}

// mark reports whether that was the last one.
func (f *flight) mark(i int) bool {
	f.settled[i].Store(true)
	if f.left.Add(-1) > 0 {
		return false
	}
	close(f.done)
	if f.onDone != nil {
		f.onDone()
	}
	return true
}

// wait returns when every record has settled, or when waiting is over. A timer costs less than a context with a deadline.
func (f *flight) wait(ctx context.Context, timeout time.Duration) {
	timer := timers.Get().(*time.Timer)
	defer timers.Put(timer)
	timer.Reset(timeout)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// timers are used again: since Go 1.23 a stopped timer has nothing left in its channel.
var timers = sync.Pool{New: func() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}}

// outcomes are the results so far: what has not settled is in doubt.
func (f *flight) outcomes() []Result {
	if f.left.Load() == 0 {
		return f.results
	}
	results := make([]Result, len(f.results))
	doubt := kafka.InDoubt(fmt.Errorf("%d of %d records had not settled", f.left.Load(), len(f.results)))
	for i := range results {
		if f.settled[i].Load() {
			results[i] = f.results[i]
		} else {
			results[i].Partition, results[i].Err = kafkarest.AnyPartition, doubt
		}
	}
	return results
}
