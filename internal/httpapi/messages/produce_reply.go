package messages

import (
	"net/http"
	"strconv"
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"
	"kafkarest/internal/task"

	"github.com/go-json-experiment/json/jsontext"
)

// failedHeader counts the records of a reply that are not known to be stored.
const failedHeader = "Kafka-Failed-Records"

// tally counts outcomes, and finds what the status of the whole is.
type tally struct {
	stored, failed, doubt int // failed counts those in doubt too
	cause                 failure
	retryAfter            time.Duration
	several               bool // causes with different statuses
	retriable             bool // one of them is
}

// add counts a record; f is nil for one that is stored.
func (t *tally) add(f *failure, retryAfter time.Duration) {
	if f == nil {
		t.stored++
		return
	}
	if t.failed == 0 {
		t.cause = *f
	} else if f.code.Status() != t.cause.code.Status() {
		t.several = true
	}
	t.failed++
	t.retriable = t.retriable || f.retriable
	t.retryAfter = max(t.retryAfter, retryAfter)
	if f.code == kafkarest.CodeInDoubt {
		t.doubt++
	}
}

// status is 200 when all is stored and 207 when some is; when nothing is, that of the cause, or of several: 504 when an outcome is unknown,
// 503 when trying again may help, else 422.
func (t *tally) status() int {
	switch {
	case t.failed == 0:
		return http.StatusOK
	case t.stored > 0:
		return http.StatusMultiStatus
	}
	return t.err().Code.Status()
}

// err is the error of a request of which nothing is stored.
func (t *tally) err() *kafkarest.Error {
	e := &kafkarest.Error{Code: t.cause.code, Message: t.cause.message, RetryAfter: t.retryAfter}
	if t.several {
		e.Message = "No message is stored, for several reasons: see offsets."
		switch {
		case t.doubt > 0:
			e.Code = kafkarest.CodeInDoubt
		case t.retriable:
			e.Code = kafkarest.CodeRetryLater
		default:
			e.Code = kafkarest.CodeUnprocessable
		}
	}
	if e.RetryAfter == 0 && e.Code.Status() == http.StatusServiceUnavailable {
		e.RetryAfter = time.Second
	}
	return e
}

// taskStatus is what a task with these outcomes is.
func (t *tally) taskStatus() task.Status {
	switch {
	case t.failed == 0:
		return task.Delivered
	case t.doubt > 0:
		return task.Unknown
	case t.stored > 0:
		return task.Partial
	}
	return task.Failed
}

// target is where a message was to go: what its outcome needs of it.
type target struct {
	topic     string
	partition int32
}

func targetOf(m *produce.Message) target { return target{m.Topic, m.Partition} }

// appendOffsets writes the outcomes as a JSON array, and counts them.
func appendOffsets(b []byte, to func(i int) target, results []produce.Result, t *tally) []byte {
	b = append(b, '[')
	for i := range results {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutcome(b, to(i), &results[i], -1, t)
	}
	return append(b, ']')
}

// appendOutcome writes one: {"topic","partition","offset","timestamp"}, or {"topic","error":{…}}, with the partition if it was chosen.
// index numbers it when it is not less than 0.
func appendOutcome(b []byte, to target, r *produce.Result, index int64, t *tally) []byte {
	b = append(b, '{')
	if index >= 0 {
		b = append(b, `"message":`...)
		b = strconv.AppendInt(b, index, 10)
		b = append(b, ',')
	}
	if r.Err == nil {
		t.add(nil, 0)
		b = append(b, `"topic":"`...)
		b = append(b, to.topic...) // Kafka has taken the name: there is nothing in it to quote
		b = append(b, `","partition":`...)
		b = strconv.AppendInt(b, int64(r.Partition), 10)
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, r.Offset, 10)
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, r.Timestamp.UnixMilli(), 10)
		return append(b, '}')
	}
	f := classify(r.Err)
	t.add(&f, r.Err.RetryAfter)
	b = append(b, `"topic":`...)
	b, _ = jsontext.AppendQuote(b, to.topic)
	if to.partition >= 0 {
		b = append(b, `,"partition":`...)
		b = strconv.AppendInt(b, int64(to.partition), 10)
	}
	b = append(b, `,`+errorMember...)
	b = f.append(b)
	return append(b, '}')
}

// errorMember begins an error in an outcome. No string can hold it: its quotes would be escaped.
const errorMember = `"error":`

// append writes {"code","name","message","retriable"}, and "outcome" for what is in doubt.
func (f *failure) append(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(f.code), 10)
	b = append(b, `,"name":"`...)
	b = append(b, f.name...)
	b = append(b, `","message":`...)
	b, _ = jsontext.AppendQuote(b, f.message) // what is not UTF-8 is replaced
	b = append(b, `,"retriable":`...)
	b = strconv.AppendBool(b, f.retriable)
	if f.code == kafkarest.CodeInDoubt {
		b = append(b, `,"outcome":"`+inDoubt+`"`...)
	}
	return append(b, '}')
}

// offsetsMember is how the array is called in a reply.
const offsetsMember = `"offsets":`

// reply writes what became of the messages.
func reply(c *httpapi.Call, messages []produce.Message, results []produce.Result) error {
	if c.Accept == typeNDJSON {
		return replyLines(c, messages, results)
	}
	var t tally
	b := append(make([]byte, 0, 64+96*len(results)), '{')
	b = append(b, offsetsMember...)
	b = appendOffsets(b, func(i int) target { return targetOf(&messages[i]) }, results, &t)
	return t.reply(c, append(b, '}'), messages)
}

// reply writes a body {"offsets":[…]} with the status that belongs to it.
func (t *tally) reply(c *httpapi.Call, body []byte, messages []produce.Message) error {
	if t.failed > 0 {
		c.Header().Set(failedHeader, strconv.Itoa(t.failed))
	}
	if t.failed > 0 && t.stored == 0 {
		e := t.err()
		d := details(c, e)
		if !t.several {
			d.Name = t.cause.name
			d.Retriable = t.cause.retriable
		}
		if len(messages) == 1 && messages[0].Partition >= 0 {
			d.Partition = &messages[0].Partition
		}
		d.Rest = body[1 : len(body)-1]
		return c.Fail(e, d)
	}
	c.Accept = typeJSON
	return c.Reply(t.status(), body)
}

// replyLines is reply as NDJSON.
func replyLines(c *httpapi.Call, messages []produce.Message, results []produce.Result) error {
	var t tally
	var b []byte
	for i := range results {
		b = append(appendOutcome(b, targetOf(&messages[i]), &results[i], -1, &t), '\n')
	}
	b = t.appendSummary(b)
	if t.failed > 0 {
		c.Header().Set(failedHeader, strconv.Itoa(t.failed))
	}
	return c.Reply(t.status(), b)
}

// appendSummary writes the last line of a reply in NDJSON: one without it was cut off.
func (t *tally) appendSummary(b []byte) []byte {
	b = append(b, `{"done":true,"stored":`...)
	b = strconv.AppendInt(b, int64(t.stored), 10)
	b = append(b, `,"failed":`...)
	b = strconv.AppendInt(b, int64(t.failed-t.doubt), 10)
	b = append(b, `,"in_doubt":`...)
	b = strconv.AppendInt(b, int64(t.doubt), 10)
	return append(b, "}\n"...)
}
