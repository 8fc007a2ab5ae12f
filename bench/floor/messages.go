package floor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

const typeLines = "application/x-ndjson"

// message stores the body as one record with its Content-Type, or, of NDJSON, each line as one.
func (f *Floor) message(w http.ResponseWriter, r *http.Request) {
	media := r.Header.Get("Content-Type")
	if media == typeLines {
		f.lines(w, r)
		return
	}
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rec := &kgo.Record{Topic: r.PathValue("topic"), Value: body, Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(media)}}}
	// Not the request's context: it would take other requests' records down with it.
	if err := f.producer.ProduceSync(context.WithoutCancel(r.Context()), rec).FirstErr(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	b := append(make([]byte, 0, 128), `{"offsets":[`...)
	_, _ = w.Write(append(appendOutcome(b, rec), `]}`...)) // the client may have hung up
}

func appendOutcome(b []byte, rec *kgo.Record) []byte {
	b = append(b, `{"topic":"`...)
	b = append(b, rec.Topic...)
	b = append(b, `","partition":`...)
	b = strconv.AppendInt(b, int64(rec.Partition), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, rec.Offset, 10)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, rec.Timestamp.UnixMilli(), 10)
	return append(b, '}')
}

const (
	lotBytes     = 64 << 10 // read at a time
	lotsUnderWay = 8        // what bounds the memory of a stream
)

// lot is the records of what was read at a time. Its fields are read after pending is done.
type lot struct {
	records []kgo.Record
	pending sync.WaitGroup
	failed  sync.Once
	err     error
}

func (l *lot) settle(_ *kgo.Record, err error) {
	if err != nil {
		l.failed.Do(func() { l.err = err })
	}
	l.pending.Done()
}

// lines answers each line with its outcome, in order, while more lines are read. What fails cuts the reply off.
func (f *Floor) lines(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	window, ended := make(chan *lot, lotsUnderWay), make(chan error, 1)
	reading.Go(func() {
		defer close(window)
		ended <- f.readLots(ctx, r, window)
	})
	w.Header().Set("Content-Type", typeLines)
	stored := 0
	var out []byte
	for l := range window {
		l.pending.Wait()
		if l.err != nil {
			return
		}
		out = out[:0]
		for i := range l.records {
			out = append(appendOutcome(out, &l.records[i]), '\n')
		}
		stored += len(l.records)
		if _, err := w.Write(out); err != nil {
			return
		}
		if len(window) == 0 && control.Flush() != nil {
			return
		}
	}
	if <-ended == nil {
		fmt.Fprintf(w, `{"done":true,"stored":%d,"failed":0,"in_doubt":0}`+"\n", stored)
	}
}

// readLots reads the body to its end. The records point into what was read, which is theirs.
func (f *Floor) readLots(ctx context.Context, r *http.Request, window chan<- *lot) error {
	topic := r.PathValue("topic")
	var rest []byte
	for {
		buf := append(make([]byte, 0, max(lotBytes, 2*len(rest))), rest...)
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := bytes.LastIndexByte(buf, '\n') + 1
		if errors.Is(err, io.EOF) {
			end = len(buf)
		}
		select {
		case window <- f.send(topic, buf[:end]):
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		rest = buf[end:]
	}
}

// send takes each line as it is: what is stored as it came needs no parse.
func (f *Floor) send(topic string, lines []byte) *lot {
	l := &lot{records: make([]kgo.Record, 0, bytes.Count(lines, []byte{'\n'})+1)}
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte{'\n'})
		if len(line) > 0 {
			l.records = append(l.records, kgo.Record{Topic: topic, Value: line})
		}
	}
	l.pending.Add(len(l.records))
	for i := range l.records {
		f.producer.Produce(context.Background(), &l.records[i], l.settle)
	}
	return l
}
