// Package task is asynchronous work that a client may ask about later: its id, its state, where that is kept (a compacted Kafka topic), and
// the signed callback that reports its end. It knows nothing of HTTP requests and nothing of what the work is.
package task

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Status says how far a task is.
type Status uint8

// The statuses. All but Pending are final; Unknown is that of a task which was interrupted, and may yet turn into another when its node
// comes back with the outcome.
const (
	Pending   Status = iota
	Delivered        // everything is stored
	Partial          // some is stored, and some is certainly not
	Failed           // nothing is stored, for certain
	Unknown          // it was interrupted, or Kafka left the outcome open
)

var statusNames = [...]string{"pending", "delivered", "partial", "failed", "unknown"}

// String is the name that clients see.
func (s Status) String() string { return statusNames[s] }

func parseStatus(name string) (Status, bool) {
	for i, n := range statusNames {
		if n == name {
			return Status(i), true
		}
	}
	return 0, false
}

// ID names a task: four bytes that name its node, and sixteen that nobody can guess.
type ID [20]byte

const nodeBytes = 4

func newID(node string) (id ID) {
	hash := sha256.Sum256([]byte(node))
	copy(id[:nodeBytes], hash[:])
	_, _ = rand.Read(id[nodeBytes:]) // never fails (crypto/rand, since Go 1.24)
	return id
}

// String is how clients write the id: 27 letters, digits, '-' and '_'.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (id ID, ok bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s))
	return id, err == nil && n == len(id)
}

// Task is what is known of a task at one moment.
type Task struct {
	ID       ID
	Status   Status
	Created  time.Time
	Finished time.Time // zero while it is pending
	Result   []byte    // what Finish was given: JSON; nil while it is pending, and when it was interrupted
	Answer   int       // the status that Finish was given
	Async    bool      // the client was given the id
	Callback *Callback // nil without one
}

// Callback is the report to the client's own server.
type Callback struct {
	URL      string
	State    CallbackState
	Count    int       // attempts so far
	Attempts []Attempt // the last ten of them
	Next     time.Time // of the next attempt; zero when there is none to come
}

// CallbackState says how far a callback is.
type CallbackState string

// The states of a callback.
const (
	CallbackWaiting   CallbackState = "pending"
	CallbackDelivered CallbackState = "delivered"
	CallbackGivenUp   CallbackState = "failed"
)

// Attempt is one try to deliver a callback.
type Attempt struct {
	At     time.Time
	Status int    // of the answer; 0 for none
	Error  string // why there was none; ""
}

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// AppendJSON writes the task as clients see it: {"id","status","created","finished","offsets","callback"}.
func (t *Task) AppendJSON(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, t.ID.String()...)
	b = append(b, `","status":"`...)
	b = append(b, t.Status.String()...)
	b = append(b, `","created":`...)
	b = appendTime(b, t.Created)
	b = append(b, `,"finished":`...)
	b = appendTime(b, t.Finished)
	b = append(b, `,"offsets":`...)
	if t.Result == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, t.Result...)
	}
	if t.Callback != nil {
		b = append(b, `,"callback":`...)
		b = t.Callback.appendJSON(b)
	}
	return append(b, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, timeLayout)
	return append(b, '"')
}

func (c *Callback) appendJSON(b []byte) []byte {
	b = append(b, `{"url":`...)
	b, _ = jsontext.AppendQuote(b, c.URL)
	b = append(b, `,"state":"`...)
	b = append(b, c.State...)
	b = append(b, `","count":`...)
	b = strconv.AppendInt(b, int64(c.Count), 10)
	b = append(b, `,"next":`...)
	b = appendTime(b, c.Next)
	b = append(b, `,"attempts":[`...)
	for i, a := range c.Attempts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"at":`...)
		b = appendTime(b, a.At)
		b = append(b, `,"status":`...)
		b = strconv.AppendInt(b, int64(a.Status), 10)
		b = append(b, `,"error":`...)
		b, _ = jsontext.AppendQuote(b, a.Error)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}
