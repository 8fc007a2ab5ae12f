package messages

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/format"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
)

// renderer writes messages as JSON. The zero value finds out by itself what a key or value is.
type renderer struct {
	key, value format.Format // nil is auto
}

// readFormat finds the format that a request names for one side.
func (a *API) readFormat(name, value string) (format.Format, error) {
	switch value {
	case "auto":
		return nil, nil
	case "raw", "base64":
		value = "binary"
	}
	if f := a.Formats.Find(value); f != nil {
		return f, nil
	}
	return nil, unprocessable("%s: %q is no format of this server.", name, value)
}

// The encodings that auto finds. Named formats are their own, but binary is written as what it is.
const (
	encodedJSON   = "json"
	encodedText   = "text"
	encodedBase64 = "base64"
)

// handedOut is what a message has beside its record when it comes from a queue.
type handedOut struct {
	ack  string // a URL
	held *consume.Held
}

// message appends one message, on one line. What cannot be decoded comes as base64 with the reason beside it.
func (r *renderer) message(ctx context.Context, b []byte, rec *kgo.Record, out *handedOut) []byte {
	b = append(b, `{"topic":"`...)
	b = append(b, rec.Topic...) // a legal topic name needs no escapes
	b = append(b, `","partition":`...)
	b = strconv.AppendInt(b, int64(rec.Partition), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, rec.Offset, 10)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, rec.Timestamp.UnixMilli(), 10)
	var keyAs, valueAs string
	var keyErr, valueErr error
	b, keyAs, keyErr = appendSide(ctx, append(b, `,"key":`...), r.key, rec.Key)
	b, valueAs, valueErr = appendSide(ctx, append(b, `,"value":`...), r.value, rec.Value)
	b = appendMessageHeaders(append(b, `,"headers":`...), rec.Headers)
	b = appendEncoding(b, keyAs, valueAs)
	b = appendDecodeErrors(b, keyErr, valueErr)
	if out != nil {
		b = appendQuoted(append(b, `,"ack":`...), out.ack)
		b = append(b, `,"delivery_count":`...)
		b = strconv.AppendInt(b, int64(out.held.Deliveries), 10)
		b = append(b, `,"deadline":"`...)
		b = out.held.Deadline.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendSide writes a key or value and tells as what; null is nothing.
func appendSide(ctx context.Context, b []byte, f format.Format, data []byte) (out []byte, as string, err error) {
	if data == nil {
		return append(b, "null"...), "", nil
	}
	if f == nil {
		out, as = appendAuto(ctx, b, data)
		return out, as, nil
	}
	if f.Name() == "binary" {
		return appendRaw(b, data), encodedBase64, nil
	}
	v, err := f.Decode(ctx, data)
	if err != nil {
		return appendRaw(b, data), encodedBase64, err
	}
	return append(b, oneLine(v)...), f.Name(), nil
}

func appendAuto(ctx context.Context, b, data []byte) ([]byte, string) {
	if v, err := (format.JSON{}).Decode(ctx, data); err == nil {
		return append(b, oneLine(v)...), encodedJSON
	}
	if utf8.Valid(data) {
		return appendQuoted(b, string(data)), encodedText
	}
	return appendRaw(b, data), encodedBase64
}

// oneLine takes the line breaks out of JSON, which lines and events cannot have. The bytes are the record's: they are copied before.
func oneLine(v jsontext.Value) jsontext.Value {
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return v
	}
	out := jsontext.Value(bytes.Clone(v))
	if err := out.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)); err != nil {
		return jsontext.Value("null") // it was valid a moment ago
	}
	return out
}

func appendRaw(b, data []byte) []byte {
	b = base64.StdEncoding.AppendEncode(append(b, '"'), data)
	return append(b, '"')
}

func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // what is not UTF-8 is replaced
	return b
}

func appendEncoding(b []byte, key, value string) []byte {
	b = append(b, `,"encoding":{`...)
	if key != "" {
		b = append(append(append(b, `"key":"`...), key...), '"')
	}
	if value != "" {
		if key != "" {
			b = append(b, ',')
		}
		b = append(append(append(b, `"value":"`...), value...), '"')
	}
	return append(b, '}')
}

// appendMessageHeaders writes values as text where they are, and marks those that are not.
func appendMessageHeaders(b []byte, headers []kgo.RecordHeader) []byte {
	b = append(b, '[')
	for i, h := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendQuoted(append(b, `{"key":`...), h.Key), `,"value":`...)
		switch {
		case h.Value == nil:
			b = append(b, "null"...)
		case utf8.Valid(h.Value):
			b = appendQuoted(b, string(h.Value))
		default:
			b = append(appendRaw(b, h.Value), `,"encoding":"base64"`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendDecodeErrors writes error when there is one, whichever side it is of; when both fail it is the key's, and value_error the value's.
func appendDecodeErrors(b []byte, key, value error) []byte {
	switch {
	case key != nil && value != nil:
		b = appendDecodeError(append(b, `,"error":`...), format.Key, key)
		return appendDecodeError(append(b, `,"value_error":`...), format.Value, value)
	case key != nil:
		return appendDecodeError(append(b, `,"error":`...), format.Key, key)
	case value != nil:
		return appendDecodeError(append(b, `,"error":`...), format.Value, value)
	}
	return b
}

func appendDecodeError(b []byte, side format.Side, err error) []byte {
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(kafkarest.CodeUndecodable), 10)
	b = append(append(append(b, `,"side":"`...), side...), `","message":`...)
	b = appendQuoted(b, err.Error()) // formats say nothing of the data
	b = strconv.AppendBool(append(b, `,"retriable":`...), errors.Is(err, format.ErrSchemaUnavailable))
	return append(b, '}')
}

func appendGap(b []byte, g consume.Gap) []byte {
	b = strconv.AppendInt(append(b, `{"partition":`...), int64(g.Partition), 10)
	b = strconv.AppendInt(append(b, `,"from":`...), g.From, 10)
	b = strconv.AppendInt(append(b, `,"to":`...), g.To, 10)
	return append(b, '}')
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
