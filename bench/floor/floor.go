// Package floor is the least HTTP handler that does what the produce and consume paths of the v2 API, and the produce path of the
// messages API, are for: it parses the same body with the same JSON library and uses the same Kafka client with the same options, and
// does nothing else. No limits, no logs, no validation beyond the parse. It is what the benches hold the proxy's cost against, and it
// is of no other use.
//
//	POST /topics/{topic}                                     the v2 JSON, binary and Avro envelopes, the last with value_schema first
//	POST /messages/{topic}                                   the body is the value; of application/x-ndjson each line is one
//	GET /consume?id=&topic=&group=&max=&wait=&schema=        v2 JSON records; the first read of an id makes its consumer. With a
//	                                                         schema, what it reads is Avro
//	DELETE /consume?id=                                      closes it
//	GET /topics                                              the names, for the time from start to first answer
package floor

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Floor is the handler. Close it after the server is closed.
type Floor struct {
	opts     []kgo.Opt // brokers and transport
	producer *kgo.Client
	admin    *kadm.Client
	schemas  schemas

	mu      sync.Mutex
	readers map[string]*kgo.Client
}

// New makes a Floor; opts name the brokers.
func New(opts ...kgo.Opt) (*Floor, error) {
	producer, err := kgo.NewClient(append(producerOptions(), opts...)...)
	if err != nil {
		return nil, err
	}
	return &Floor{opts: opts, producer: producer, admin: kadm.NewClient(producer), readers: map[string]*kgo.Client{}}, nil
}

// producerOptions are those of the proxy's producers: acks=all and idempotent are the client's own defaults, compression none is
// Java's, and no linger since a caller waits for each answer.
func producerOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.DisableClientMetrics(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxBufferedRecords(math.MaxInt32),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0),
	}
}

// Close closes the consumers and the producer.
func (f *Floor) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, reader := range f.readers {
		reader.Close()
	}
	f.producer.Close()
}

// Handler is the five endpoints.
func (f *Floor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /topics/{topic}", f.produce)
	mux.HandleFunc("POST /messages/{topic}", f.message)
	mux.HandleFunc("GET /topics", f.topics)
	mux.HandleFunc("GET /consume", f.consume)
	mux.HandleFunc("DELETE /consume", f.closeReader)
	return mux
}

func (f *Floor) topics(w http.ResponseWriter, r *http.Request) {
	topics, err := f.admin.ListTopics(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if err := json.NewEncoder(w).Encode(topics.Names()); err != nil {
		return // the client has hung up
	}
}

func (f *Floor) produce(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	records, err := parse(body, r.PathValue("topic"), f.side(r.Header.Get("Content-Type")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// Not the request's context: it would take other requests' records down with it.
	results := f.producer.ProduceSync(context.WithoutCancel(r.Context()), records...)
	if err := results.FirstErr(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.kafka.v2+json")
	_, _ = w.Write(appendOffsets(make([]byte, 0, 64+80*len(records)), records)) // as above
}

func (f *Floor) side(media string) *side {
	switch media {
	case "application/vnd.kafka.json.v2+json":
		return &side{encode: asSent}
	case "application/vnd.kafka.avro.v2+json":
		return &side{encode: noSchema, schemas: &f.schemas}
	}
	return &side{encode: fromBase64}
}

// appendOffsets writes the v2 reply. ProduceSync gives its results in any order; the records themselves hold their places.
func appendOffsets(b []byte, records []*kgo.Record) []byte {
	b = append(b, `{"offsets":[`...)
	for i, rec := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"partition":`...)
		b = strconv.AppendInt(b, int64(rec.Partition), 10)
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, rec.Offset, 10)
		b = append(b, `,"error_code":null,"error":null}`...)
	}
	return append(b, `],"key_schema_id":null,"value_schema_id":null}`...)
}

func (f *Floor) consume(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reader, err := f.reader(query.Get("id"), query.Get("topic"), query.Get("group"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	most, _ := strconv.Atoi(query.Get("max"))  // 0 is no limit
	wait, _ := strconv.Atoi(query.Get("wait")) // 0 waits not at all
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(wait)*time.Millisecond)
	defer cancel()
	fetches := reader.PollRecords(ctx, most)
	if err := fetches.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	decode, err := f.decoder(query.Get("schema"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.kafka.json.v2+json")
	_, _ = w.Write(appendRecords(fetches, decode)) // as above
}

// decoder writes a value: as it is, or by a schema. What cannot be decoded becomes nothing, which no reader takes for JSON.
func (f *Floor) decoder(text string) (func(b, data []byte) []byte, error) {
	if text == "" {
		return appendRaw, nil
	}
	schema, err := f.schemas.get(text)
	return func(b, data []byte) []byte {
		if out, err := decodeAvro(schema, b, data); err == nil {
			return out
		}
		return b
	}, err
}

func appendRecords(fetches kgo.Fetches, value func(b, data []byte) []byte) []byte {
	size := 2
	fetches.EachRecord(func(rec *kgo.Record) { size += 80 + len(rec.Topic) + len(rec.Key) + len(rec.Value) })
	b := append(make([]byte, 0, size), '[')
	fetches.EachRecord(func(rec *kgo.Record) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, `{"topic":"`...)
		b = append(b, rec.Topic...)
		b = append(b, `","key":`...)
		b = appendRaw(b, rec.Key)
		b = append(b, `,"value":`...)
		b = value(b, rec.Value)
		b = append(b, `,"partition":`...)
		b = strconv.AppendInt(b, int64(rec.Partition), 10)
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, rec.Offset, 10)
		b = append(b, '}')
	})
	return append(b, ']')
}

func appendRaw(b, raw []byte) []byte {
	if raw == nil {
		return append(b, "null"...)
	}
	return append(b, raw...)
}

// readerOptions are those of the proxy's consumer instances: one group member, which fetches ahead no more than 4 MiB.
func readerOptions(topic, group string) []kgo.Opt {
	start := kgo.NewOffset().AtStart()
	return []kgo.Opt{
		kgo.DisableClientMetrics(),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(start),
		kgo.FetchMaxBytes(4 << 20), kgo.FetchMaxPartitionBytes(1 << 20),
	}
}

// reader is the consumer called id, made now if there is none.
func (f *Floor) reader(id, topic, group string) (*kgo.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reader := f.readers[id]; reader != nil {
		return reader, nil
	}
	reader, err := kgo.NewClient(append(readerOptions(topic, group), f.opts...)...)
	if err == nil {
		f.readers[id] = reader
	}
	return reader, err
}

func (f *Floor) closeReader(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	f.mu.Lock()
	reader := f.readers[id]
	delete(f.readers, id)
	f.mu.Unlock()
	if reader != nil {
		reader.Close()
	}
	w.WriteHeader(http.StatusNoContent)
}
