package checker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Op is what an event tells.
type Op string

// The operations. A record has one Invoke and at most one of OK, Failed and Unknown.
const (
	Invoke    Op = "invoke"    // a worker is about to ask for the record
	OK        Op = "ok"        // the proxy said that it is stored, and where
	Failed    Op = "failed"    // the proxy said that it is not stored
	Unknown   Op = "unknown"   // the proxy said that it does not know, or the worker got no answer
	Delivered Op = "delivered" // a consumer received the record at an offset
	Committed Op = "committed" // the proxy confirmed a commit: Offset is the next one to read, as Kafka counts
)

// Event is one line of a history.
type Event struct {
	Time      time.Duration `json:"t"` // nanoseconds since the writer was made, by the monotonic clock
	Op        Op            `json:"op"`
	ID        string        `json:"id,omitempty"`
	Topic     string        `json:"topic,omitempty"`
	Partition int32         `json:"partition"` // asked for (Invoke), or where the record is
	Offset    int64         `json:"offset"`
	Key       []byte        `json:"key"`
	Group     string        `json:"group,omitempty"`
	Reason    string        `json:"reason,omitempty"`
}

// History is all that happened in a run, in the order in which it was written down.
type History struct {
	Events []Event
}

// Writer appends events to a history. Its methods may be called from several goroutines. The first failure to write is kept and returned
// by Close, so that callers need not look at each event.
type Writer struct {
	run   string
	begin time.Time

	mu  sync.Mutex
	out io.Writer
	err error
}

// NewWriter writes to out, one call of Write for each event. run is the first part of every id: choose one that the topics have not seen.
func NewWriter(out io.Writer, run string) *Writer {
	return &Writer{run: run, begin: time.Now(), out: out}
}

// Create writes to a new file.
func Create(path, run string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return NewWriter(f, run), nil
}

// Worker makes records with ids of their own. A worker sends one request after the other, of one record or many: its records of the same
// key must be stored in the order of its calls of Next. What sends requests side by side needs several workers.
type Worker struct {
	w    *Writer
	name int
	seq  atomic.Int64
}

// Worker returns the worker of that number. To ask for the same number twice makes equal ids, which Check will complain of.
func (w *Writer) Worker(number int) *Worker { return &Worker{w: w, name: number} }

// Next makes the worker's next record with a payload of size bytes. partition may be AnyPartition and key nil.
func (k *Worker) Next(topic string, partition int32, key []byte, size int) Record {
	id := fmt.Sprintf("%s/%d/%d", k.w.run, k.name, k.seq.Add(1))
	return newRecord(id, topic, partition, key, size)
}

// Invoke must be called before the request is sent.
func (w *Writer) Invoke(r Record) {
	w.write(Event{Op: Invoke, ID: r.ID, Topic: r.Topic, Partition: r.Partition, Key: r.Key})
}

// OK notes where the proxy says the record is.
func (w *Writer) OK(id string, partition int32, offset int64) {
	w.write(Event{Op: OK, ID: id, Partition: partition, Offset: offset})
}

// Failed notes that the proxy says the record is certainly not stored, and will not be.
func (w *Writer) Failed(id, reason string) { w.write(Event{Op: Failed, ID: id, Reason: reason}) }

// Unknown notes that nobody knows: an answer in doubt, or none.
func (w *Writer) Unknown(id, reason string) { w.write(Event{Op: Unknown, ID: id, Reason: reason}) }

// Delivered notes that a member of group got a whole record. id is that of the received value, or "" when the value was not looked at.
func (w *Writer) Delivered(group, topic string, partition int32, offset int64, id string) {
	w.write(Event{Op: Delivered, Group: group, Topic: topic, Partition: partition, Offset: offset, ID: id})
}

// Committed notes a confirmed commit; next is the offset that the group reads next, one more than the last record it is done with.
func (w *Writer) Committed(group, topic string, partition int32, next int64) {
	w.write(Event{Op: Committed, Group: group, Topic: topic, Partition: partition, Offset: next})
}

func (w *Writer) write(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Time = time.Since(w.begin)
	line, err := json.Marshal(e)
	if err == nil {
		_, err = w.out.Write(append(line, '\n'))
	}
	if w.err == nil {
		w.err = err
	}
}

// Close closes the underlying writer if it can be closed, and returns the first error of all.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.out.(io.Closer); ok {
		return errors.Join(w.err, c.Close())
	}
	return w.err
}

// LoadHistory reads a file that Create made.
func LoadHistory(path string) (History, error) {
	f, err := os.Open(path)
	if err != nil {
		return History{}, err
	}
	defer f.Close()
	return ReadHistory(f)
}

// ReadHistory reads what a Writer wrote. A last line without its end is passed over: the writer's process was killed.
func ReadHistory(in io.Reader) (History, error) {
	var h History
	r := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return h, fmt.Errorf("line %d of the history: %w", n, err)
		}
		h.Events = append(h.Events, e)
	}
}

// PayloadID returns the id in a value that Next made, for a consumer that has only the bytes; "" when there is none.
func PayloadID(value []byte) string {
	var s stamp
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s.ID
}

// workerOf is the id without its sequence number.
func workerOf(id string) string {
	return id[:max(0, strings.LastIndexByte(id, '/'))]
}
