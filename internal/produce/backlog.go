package produce

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Tag names a batch of a Backlog to the one who gave it.
type Tag [20]byte

// Backlog sends batches for which nobody waits. Those of a topic are sent in the order in which they came, some at a time; the others are
// held as bytes, so that very many may wait. How many do is for the caller to bound.
type Backlog struct {
	service *Service
	done    func(tag Tag, b *Batch, release func())
	start   time.Time

	mu      sync.Mutex
	lines   map[lineKey]*line // those with anything in them
	refused map[Tag][]refusal // of those that wait
	closed  bool
}

// What one line may have on its way at once, settled or not yet released.
const (
	windowRecords = 256
	windowBytes   = 4 << 20
)

type lineKey struct {
	producer *kafka.Producer
	topic    string
}

// line is what waits and what is on its way for one topic with one producer. Backlog.mu guards it.
type line struct {
	key            lineKey
	waiting        byteQueue
	records, bytes int // on their way
}

// NewBacklog makes one that calls done when a batch has settled, or when its time is over before its turn has come. release must be called
// once, when the outcome is recorded: until then the batch has its place among those that are on their way, so that outcomes cannot pile up
// either. done is called on goroutines that it must not hold up.
func (s *Service) NewBacklog(done func(tag Tag, b *Batch, release func())) *Backlog {
	return &Backlog{service: s, done: done, start: time.Now(), lines: map[lineKey]*line{}, refused: map[Tag][]refusal{}}
}

// refusal is the outcome that a record of a flight has before it is sent.
type refusal struct {
	index int32
	err   *kafkarest.Error
}

// refusals are those of a flight. Many records are refused for the same cause: it is kept once.
func (f *flight) refusals() (out []refusal) {
	type cause struct {
		code    kafkarest.Code
		message string
	}
	same := map[cause]*kafkarest.Error{}
	for i := range f.records {
		if !f.settled[i].Load() {
			continue
		}
		err := f.results[i].Err
		what := cause{err.Code, err.Message}
		if same[what] == nil {
			same[what] = err
		}
		out = append(out, refusal{int32(i), same[what]})
	}
	return slices.Clip(out)
}

// Send takes a batch over; it must have been prepared as Later.
func (l *Backlog) Send(b *Batch, tag Tag) {
	if len(b.flights) > 1 || b.flights[0].left.Load() == 0 { // few are so
		b.Send(func() { l.done(tag, b, func() {}) })
		return
	}
	f := b.flights[0]
	key := lineKey{f.producer, f.topic}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	n := l.lines[key]
	if n == nil {
		n = &line{key: key}
		l.lines[key] = n
	}
	if n.waiting.empty() && n.room() {
		l.launch(n, b, tag)
		return
	}
	n.waiting.push(l.appendFlight(nil, tag, f))
	if refused := f.refusals(); refused != nil {
		l.refused[tag] = refused
	}
}

// Close lets go of all that waits: it is never sent.
func (l *Backlog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	clear(l.lines)
	clear(l.refused)
}

func (n *line) room() bool { return n.records < windowRecords && n.bytes < windowBytes }

// launch sends a batch. l.mu is held, so that the order is kept.
func (l *Backlog) launch(n *line, b *Batch, tag Tag) {
	f := b.flights[0]
	release := l.enter(n, f)
	f.onDone = func() { l.done(tag, b, release) }
	f.launch()
}

// enter counts a batch among those on their way until what it returns is called. l.mu is held.
func (l *Backlog) enter(n *line, f *flight) (release func()) {
	records, bytes := len(f.records), 0
	for i := range f.records {
		bytes += int(recordSize(&f.records[i]))
	}
	n.records += records
	n.bytes += bytes
	return func() {
		l.mu.Lock()
		n.records -= records
		n.bytes -= bytes
		over := l.pump(n)
		if n.records == 0 && n.waiting.empty() && l.lines[n.key] == n {
			delete(l.lines, n.key)
		}
		l.mu.Unlock()
		for _, call := range over {
			call()
		}
	}
}

// pump sends what there is room for, and gives the calls to be made, without l.mu, for what has waited too long. l.mu is held.
func (l *Backlog) pump(n *line) (over []func()) {
	for !l.closed && !n.waiting.empty() && n.room() {
		tag, since, f := l.parseFlight(n.key, n.waiting.pop())
		b := &Batch{service: l.service, timeout: l.service.cfg.Timeout}
		b.flights = append(b.one[:0], f)
		for _, r := range l.refused[tag] {
			f.refuse(int(r.index), r.err)
		}
		delete(l.refused, tag)
		if limit := n.key.producer.DeliveryTimeout(); limit == 0 || time.Since(l.start)-since < limit {
			l.launch(n, b, tag)
			continue
		}
		for i := range f.records {
			if f.settled[i].Load() {
				continue
			}
			f.refuse(i, &kafkarest.Error{Code: kafkarest.CodeKafkaRetriable, Err: kgo.ErrRecordTimeout,
				Message: "The record was not sent: those before it took longer than delivery.timeout.ms."})
		}
		release := l.enter(n, f)
		over = append(over, func() { l.done(tag, b, release) })
	}
	return over
}

// appendFlight writes what is needed to send a flight later, in few bytes. Times are milliseconds: that of the flight since the start of the
// Backlog, those of the records since that of the flight, which is the one of a record without any.
func (l *Backlog) appendFlight(b []byte, tag Tag, f *flight) []byte {
	b = append(b, tag[:]...)
	since := time.Since(l.start).Milliseconds()
	accepted := l.start.UnixMilli() + since
	b = binary.AppendUvarint(b, uint64(since))
	b = binary.AppendUvarint(b, uint64(len(f.records)))
	for i := range f.records {
		r := &f.records[i]
		b = binary.AppendVarint(b, int64(r.Partition))
		if f.settled[i].Load() { // it is refused, and not to be sent
			b = append(b, 0, 0, 0, 0)
			continue
		}
		if r.Timestamp.IsZero() {
			b = append(b, 0)
		} else {
			b = binary.AppendVarint(b, r.Timestamp.UnixMilli()-accepted)
		}
		b = appendBytes(b, r.Key)
		b = appendBytes(b, r.Value)
		b = binary.AppendUvarint(b, uint64(len(r.Headers)))
		for _, h := range r.Headers {
			b = appendBytes(b, []byte(h.Key))
			b = appendBytes(b, h.Value)
		}
	}
	return b
}

// appendBytes writes a length, from 1, and the bytes; 0 alone is nil.
func appendBytes(b, data []byte) []byte {
	if data == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(data))+1)
	return append(b, data...)
}

// parseFlight reads what appendFlight wrote. The records point into data.
func (l *Backlog) parseFlight(key lineKey, data []byte) (tag Tag, since time.Duration, f *flight) {
	in := reading(data)
	copy(tag[:], in.next(len(tag)))
	since = time.Duration(in.uvarint()) * time.Millisecond
	accepted := l.start.UnixMilli() + since.Milliseconds()
	f = l.service.flight(key.producer, key.topic, make([]kgo.Record, in.uvarint()))
	for i := range f.records {
		r := &f.records[i]
		r.Topic, r.Partition = key.topic, int32(in.varint())
		f.results[i].Partition = r.Partition
		r.Timestamp = time.UnixMilli(accepted + in.varint())
		r.Key, r.Value = in.bytes(), in.bytes()
		if n := in.uvarint(); n > 0 {
			r.Headers = make([]kgo.RecordHeader, n)
		}
		for j := range r.Headers {
			r.Headers[j].Key = string(in.bytes())
			r.Headers[j].Value = in.bytes()
		}
	}
	return tag, since, f
}

// reading takes values off the front of what this process wrote itself.
type reading []byte

func (in *reading) next(n int) []byte {
	out := (*in)[:n:n]
	*in = (*in)[n:]
	return out
}

func (in *reading) varint() int64 {
	v, n := binary.Varint(*in)
	in.next(n)
	return v
}

func (in *reading) uvarint() uint64 {
	v, n := binary.Uvarint(*in)
	in.next(n)
	return v
}

func (in *reading) bytes() []byte {
	n := in.uvarint()
	if n == 0 {
		return nil
	}
	return in.next(int(n) - 1)
}
