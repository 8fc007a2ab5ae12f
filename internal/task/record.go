package task

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
)

// recordVersion is that of the records in the topic. A reader passes over what is newer.
const recordVersion = 1

// record is a task as it lies in the topic, under its id. Its members are not for clients.
type record struct {
	V        int             `json:"v"`
	Node     string          `json:"node"`
	Status   string          `json:"status"`
	Owner    string          `json:"owner,omitzero"`
	Created  int64           `json:"created"`           // Unix milliseconds, as all times here
	Finished int64           `json:"finished,omitzero"` //
	Async    bool            `json:"async,omitzero"`    //
	Answer   int             `json:"answer,omitzero"`   //
	Result   jsontext.Value  `json:"result,omitzero"`   // one of these two
	Packed   []byte          `json:"packed,omitzero"`   // gzip
	Key      []byte          `json:"key,omitzero"`      // of Idempotency-Key
	Print    []byte          `json:"print,omitzero"`    //
	Callback *callbackRecord `json:"callback,omitzero"` //
}

type callbackRecord struct {
	URL      string          `json:"url"`
	State    CallbackState   `json:"state"`
	Count    int             `json:"count,omitzero"`
	Next     int64           `json:"next,omitzero"`
	Attempts []attemptRecord `json:"attempts,omitzero"`
}

type attemptRecord struct {
	At     int64  `json:"at"`
	Status int    `json:"status,omitzero"`
	Error  string `json:"error,omitzero"`
}

// packMin is the size from which a result is kept compressed: those of many records say the same many times.
const packMin = 1 << 10

// maxUnpacked bounds what a result may unpack to, since the topic may hold what others wrote.
const maxUnpacked = 64 << 20

func pack(result []byte) (data []byte, packed bool) {
	if len(result) < packMin {
		return bytes.Clone(result), false
	}
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is valid
	if _, err := w.Write(result); err != nil {
		return bytes.Clone(result), false
	}
	if err := w.Close(); err != nil {
		return bytes.Clone(result), false
	}
	return bytes.Clone(out.Bytes()), true
}

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("a packed result: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("a packed result: %w", err)
	}
	return out, nil
}

// encode gives what is stored for an entry.
func (e *entry) encode() []byte {
	r := record{V: recordVersion, Node: e.node(), Status: e.status.String(), Owner: e.owner(), Created: e.created, Finished: e.finished,
		Async: e.async, Answer: int(e.answer)}
	if e.packed {
		r.Packed = e.result
	} else {
		r.Result = e.result
	}
	if e.idem != nil {
		r.Key, r.Print = e.idem.key[:], e.idem.print[:]
	}
	if c := e.callback; c != nil {
		r.Callback = &callbackRecord{URL: c.url, State: c.state, Count: int(c.count), Next: c.next}
		for _, a := range c.attempts {
			r.Callback.Attempts = append(r.Callback.Attempts, attemptRecord{a.At.UnixMilli(), a.Status, a.Error})
		}
	}
	out, err := json.Marshal(r, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(fmt.Sprintf("encode a task: %v", err)) // its result is JSON, and all else is plain
	}
	return out
}

var errForeign = errors.New("not a task of a version that is known")

// decode reads a record of the topic. Whoever may write to the topic wrote it, so everything is checked.
func decode(id ID, data []byte) (*entry, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("a task's record: %w", err)
	}
	status, ok := parseStatus(r.Status)
	if !ok || r.V != recordVersion || r.Answer < 0 || r.Answer > 599 {
		return nil, errForeign
	}
	e := newEntry(id, origin{r.Node, r.Owner}, r.Created)
	e.status, e.async, e.answer = status, r.Async, int16(r.Answer)
	e.rest = &rest{finished: r.Finished, result: bytes.Clone(r.Result)}
	if r.Packed != nil {
		e.result, e.packed = r.Packed, true
	}
	if len(r.Key) == len(idempotency{}.key) && len(r.Print) == len(idempotency{}.print) {
		e.idem = &idempotency{key: [16]byte(r.Key), print: [32]byte(r.Print)}
	}
	if c := r.Callback; c != nil {
		e.callback = newCallback(c.URL, c.State)
		e.callback.count, e.callback.next = int32(min(c.Count, math.MaxInt32)), c.Next
		for _, a := range c.Attempts {
			e.callback.attempts = append(e.callback.attempts, Attempt{time.UnixMilli(a.At), a.Status, a.Error})
		}
	}
	e.weigh(int64(len(e.result)))
	return e, nil
}
