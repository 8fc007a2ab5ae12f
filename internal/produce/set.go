package produce

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Message is one record of a Set.
type Message struct {
	Topic      string
	Key, Value []byte // the bytes to store, or one JSON value where the side has a format; nil is Kafka's null in every format
	Partition  int32  // kafkarest.AnyPartition when unset
	Timestamp  time.Time
	Headers    []kafkarest.Header
	Err        *kafkarest.Error // what is wrong with it already: it has a place in the order, and is not sent
}

// Set is a list of messages, for one topic or several, each with an outcome of its own: one that cannot be encoded does not stop the
// others. The memory that messages point to belongs to produce from now on.
type Set struct {
	Messages   []Message
	Key, Value Side // a nil Format stores the bytes as they are; the topic of a Schema is filled in
	Profile    kafka.Profile
	Timeout    time.Duration // after it, what is still under way is in doubt; 0 is the service's
	// Patient waits for room among the bytes in flight, for as long as the timeout, where others are refused at once.
	Patient bool
	// Later is for a Backlog: the batch takes no room among the bytes in flight.
	Later bool
}

// Batch is a Set on its way: Send it or Drop it.
type Batch struct {
	service *Service
	timeout time.Duration
	flights []*flight
	order   []place // of each message; nil when there is one flight, which has them in order
	left    atomic.Int64
	one     [1]*flight // memory for a batch of one topic
}

type place struct{ flight, index int32 }

// Prepare encodes and checks the messages and makes room for them. Nothing is sent yet. A message that cannot be sent has its outcome now.
// Errors: a Profile that is not possible, CodeTooManyRequests when there is no room for a message.
func (s *Service) Prepare(ctx context.Context, set *Set) (*Batch, error) {
	producer, err := s.cluster.ProducerFor(set.Profile)
	if err != nil {
		return nil, kafka.Error(err)
	}
	b := &Batch{service: s, timeout: set.Timeout}
	if b.timeout <= 0 {
		b.timeout = s.cfg.Timeout
	}
	b.flights = b.one[:0]
	s.prepareAll(ctx, producer, set, b)
	if set.Later {
		return b, nil
	}
	for i, f := range b.flights { // not before the last look-up is over: others could use the room until then
		if err := s.roomFor(ctx, f, set, b.timeout); err != nil {
			b.flights = b.flights[:i]
			b.Drop()
			return nil, err
		}
	}
	return b, nil
}

// prepareAll readies the messages of each topic. All topics are looked up at the same time, and what that takes is of the batch's time: half
// of it at the most when there are several, so that the outcomes of those that exist can be waited for.
func (s *Service) prepareAll(ctx context.Context, producer *kafka.Producer, set *Set, b *Batch) {
	groups := b.group(set.Messages)
	var few [4]kafka.Answer
	answers, known := few[:0], len(groups) == 1
	for _, messages := range groups {
		a := s.cluster.Topics().Begin(messages[0].Topic)
		answers, known = append(answers, a), known && a.Known()
	}
	if !known {
		most, start := b.timeout, time.Now()
		if len(groups) > 1 {
			most /= 2
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
		defer func() { b.timeout -= time.Since(start) }()
	}
	for i, messages := range groups {
		f := s.prepare(ctx, producer, set, messages)
		s.precheck(ctx, f, answers[i])
		b.flights = append(b.flights, f)
	}
}

// roomFor makes room among the bytes in flight, and waits for it when the set is patient.
func (s *Service) roomFor(ctx context.Context, f *flight, set *Set, patience time.Duration) error {
	err := s.room(f)
	if err == nil || !set.Patient {
		return err
	}
	return s.buffer.await(ctx, f.topic, f.size, patience)
}

// group splits messages by topic, each topic's in their order.
func (b *Batch) group(messages []Message) (groups [][]Message) {
	several := false
	for i := range messages {
		several = several || messages[i].Topic != messages[0].Topic
	}
	if !several {
		var all [1][]Message
		all[0] = messages
		return all[:]
	}
	index := map[string]int32{}
	b.order = make([]place, len(messages))
	for i := range messages {
		g, ok := index[messages[i].Topic]
		if !ok {
			g = int32(len(groups))
			index[messages[i].Topic] = g
			groups = append(groups, nil)
		}
		b.order[i] = place{g, int32(len(groups[g]))}
		groups[g] = append(groups[g], messages[i])
	}
	return groups
}

// prepare encodes the messages of one topic.
func (s *Service) prepare(ctx context.Context, producer *kafka.Producer, set *Set, messages []Message) *flight {
	topic := messages[0].Topic
	keys, keyErr := set.Key.encoder(ctx, topic, format.Key)
	values, valueErr := set.Value.encoder(ctx, topic, format.Value)
	f := s.flight(producer, topic, make([]kgo.Record, len(messages)))
	for i := range messages {
		m, r := &messages[i], &f.records[i]
		r.Topic, r.Partition, r.Timestamp, r.Headers = topic, m.Partition, m.Timestamp, recordHeaders(m.Headers)
		f.results[i].Partition = m.Partition
		err := m.Err
		if err == nil {
			r.Key, err = encodeSide(keys, keyErr, m.Key)
		}
		if err == nil {
			r.Value, err = encodeSide(values, valueErr, m.Value)
		}
		if err != nil {
			f.refuse(i, err)
		}
	}
	return f
}

// encoder is nil for a side without a format.
func (s Side) encoder(ctx context.Context, topic string, side format.Side) (format.Encoder, *kafkarest.Error) {
	if s.Format == nil {
		return nil, nil
	}
	schema := s.Schema
	schema.Topic, schema.Side = topic, side
	e, err := s.Format.NewEncoder(ctx, schema)
	return e, kafkarest.AsError(err)
}

func encodeSide(e format.Encoder, failed *kafkarest.Error, data []byte) ([]byte, *kafkarest.Error) {
	switch {
	case data == nil:
		return nil, nil
	case failed != nil:
		return nil, failed
	case e == nil:
		return data, nil
	}
	out, err := e.Encode(data)
	return out, kafkarest.AsError(err)
}

// Pending reports whether there is anything to send: every message may have been refused.
func (b *Batch) Pending() bool {
	for _, f := range b.flights {
		if f.left.Load() > 0 {
			return true
		}
	}
	return false
}

// Size is what the batch holds of the bytes in flight until its last message has settled.
func (b *Batch) Size() (n int64) {
	for _, f := range b.flights {
		n += f.size
	}
	return n
}

// Send hands the messages over and returns at once. onDone, unless it is nil, is called once when all have settled, maybe before Send
// returns, on a goroutine that it must not hold up.
func (b *Batch) Send(onDone func()) {
	if onDone != nil {
		b.left.Store(int64(len(b.flights)))
		one := func() {
			if b.left.Add(-1) == 0 {
				onDone()
			}
		}
		for _, f := range b.flights {
			if f.left.Load() == 0 {
				one()
			} else {
				f.onDone = one
			}
		}
	}
	for _, f := range b.flights {
		f.launch()
	}
}

// Drop gives the room back of a batch that is not sent.
func (b *Batch) Drop() {
	for _, f := range b.flights {
		if f.left.Load() > 0 {
			b.service.buffer.release(f.topic, f.size)
		}
	}
}

// Wait returns when every message has settled, when the batch's time is over, or when ctx ends.
func (b *Batch) Wait(ctx context.Context) {
	if len(b.flights) == 1 {
		b.flights[0].wait(ctx, b.timeout)
		return
	}
	until := time.Now().Add(b.timeout)
	for _, f := range b.flights {
		f.wait(ctx, max(time.Until(until), 0))
	}
}

// Settled reports whether every message has.
func (b *Batch) Settled() bool {
	for _, f := range b.flights {
		if f.left.Load() > 0 {
			return false
		}
	}
	return true
}

// Topic is that of message i.
func (b *Batch) Topic(i int) string {
	if b.order == nil {
		return b.flights[0].topic
	}
	return b.flights[b.order[i].flight].topic
}

// Results are the outcomes so far, in the order of the messages: what has not settled is in doubt.
func (b *Batch) Results() []Result {
	if b.order == nil {
		return b.flights[0].outcomes()
	}
	each := make([][]Result, len(b.flights))
	for i, f := range b.flights {
		each[i] = f.outcomes()
	}
	results := make([]Result, len(b.order))
	for i, p := range b.order {
		results[i] = each[p.flight][p.index]
	}
	return results
}

// ProduceSet prepares, sends and waits.
func (s *Service) ProduceSet(ctx context.Context, set *Set) ([]Result, error) {
	b, err := s.Prepare(ctx, set)
	if err != nil {
		return nil, err
	}
	b.Send(nil)
	b.Wait(ctx)
	return b.Results(), nil
}

// await is take for a caller that can wait for room, until ctx ends or patience does.
func (b *buffer) await(ctx context.Context, topic string, n int64, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		freed := b.watch()
		err := b.take(topic, n)
		if err == nil {
			return nil
		}
		select {
		case <-freed:
		case <-timer.C:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for room among the bytes in flight: %w", ctx.Err())
		}
	}
}

// watch gives a channel that is closed when bytes are next given back.
func (b *buffer) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}
