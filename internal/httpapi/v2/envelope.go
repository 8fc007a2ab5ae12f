package v2

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// envelope is the body of a produce request. Its keys and values are the bytes of the body itself: nothing is copied.
type envelope struct {
	items                      []produce.Item
	keySchema, valueSchema     string
	keySchemaID, valueSchemaID int

	keyReferences, valueReferences []sr.SchemaReference
}

// parser reads one envelope as a stream of JSON tokens.
type parser struct {
	dec   jsontext.Decoder
	buf   bytes.Buffer
	body  []byte
	api   *API
	arg   string // how validation messages name the body, such as produceJson.arg2
	base  int32  // the partition of records that name none
	env   envelope
	taken bool // records was there
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// lenient leaves duplicate members to the parser, which refuses them in the envelope alone.
var lenient = jsontext.AllowDuplicateNames(true)

// parse reads the envelope. Duplicate members of the envelope are refused; inside keys and values they are the client's own affair.
func (a *API) parse(body []byte, arg string, base int32) (envelope, error) {
	if items, ok := a.parseFast(body, base); ok {
		return envelope{items: items}, nil
	}
	return a.parseGeneral(body, arg, base)
}

// parseGeneral takes every envelope of the contract, and says what is wrong with others.
func (a *API) parseGeneral(body []byte, arg string, base int32) (envelope, error) {
	p := parsers.Get().(*parser)
	p.buf = *bytes.NewBuffer(body)
	p.dec.Reset(&p.buf, lenient)
	p.body, p.api, p.arg, p.base, p.env, p.taken = body, a, arg, base, envelope{}, false
	err := p.document()
	env := p.env
	p.body, p.env, p.buf = nil, envelope{}, bytes.Buffer{} // the pool must not keep the body
	p.dec.Reset(&p.buf)
	parsers.Put(p)
	if err != nil {
		return envelope{}, httpapi.JSONError(body, err)
	}
	return env, nil
}

func (p *parser) document() error {
	switch kind := p.dec.PeekKind(); kind {
	case '{':
	case 'n':
		if _, err := p.dec.ReadToken(); err != nil {
			return err
		}
		if err := p.end(); err != nil {
			return err
		}
		return unprocessable("%s must not be null (was null)", p.arg)
	default:
		if len(bytes.TrimSpace(p.body)) == 0 {
			return unprocessable("%s must not be null (was null)", p.arg)
		}
		return p.wrongType("ProduceRequest", "the document")
	}
	seen := 0
	if err := p.object(func(name []byte) error { return p.member(name, &seen) }); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	if len(p.env.items) == 0 {
		if p.taken {
			return unprocessable("%s.records must not be empty (was [])", p.arg)
		}
		return unprocessable("%s.records must not be empty (was null)", p.arg)
	}
	return nil
}

func unprocessable(format string, args ...any) error {
	return kafkarest.Errorf(kafkarest.CodeUnprocessable, format, args...)
}

// end refuses anything after the document.
func (p *parser) end() error {
	_, err := p.dec.ReadToken()
	if err == io.EOF {
		return nil
	}
	if err == nil {
		err = errors.New("more than one document")
	}
	return kafkarest.Wrap(kafkarest.CodeBadRequest, err, fmt.Sprintf("Unexpected content after the document, at byte %d", p.dec.InputOffset()))
}

// wrongType reports a value of another type than the contract's; a value that is no JSON at all is reported as that.
func (p *parser) wrongType(want, where string) error {
	v, err := p.dec.ReadValue()
	if err != nil {
		return err
	}
	return kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot deserialize value of type `%s` from %s: %s", want, kindText(v.Kind()), where)
}

func kindText(k jsontext.Kind) string {
	switch k {
	case '{':
		return "Object value (token `JsonToken.START_OBJECT`)"
	case '[':
		return "Array value (token `JsonToken.START_ARRAY`)"
	case '"':
		return "String value"
	case 'n':
		return "null value"
	}
	return k.String() + " value"
}

// object reads the members of an object whose '{' is next.
func (p *parser) object(member func(name []byte) error) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() == '"' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		raw := name[1 : len(name)-1]
		if bytes.IndexByte(raw, '\\') >= 0 {
			if raw, err = jsontext.AppendUnquote(nil, name); err != nil {
				return err
			}
		}
		if err := member(raw); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

// once marks a member as seen.
func once(seen *int, bit int, name []byte) error {
	if *seen&bit != 0 {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Duplicate field '%s'", name)
	}
	*seen |= bit
	return nil
}

func (p *parser) member(name []byte, seen *int) (err error) {
	env := &p.env
	switch string(name) {
	case "records":
		if err := once(seen, 1, name); err != nil {
			return err
		}
		return p.records()
	case "key_schema":
		env.keySchema, err = p.text("key_schema")
		return errors.Join(err, once(seen, 2, name))
	case "value_schema":
		env.valueSchema, err = p.text("value_schema")
		return errors.Join(err, once(seen, 4, name))
	case "key_schema_id":
		env.keySchemaID, err = p.id("key_schema_id")
		return errors.Join(err, once(seen, 8, name))
	case "value_schema_id":
		env.valueSchemaID, err = p.id("value_schema_id")
		return errors.Join(err, once(seen, 16, name))
	case "key_schema_references":
		env.keyReferences, err = p.references("key_schema_references")
		return errors.Join(err, once(seen, 32, name))
	case "value_schema_references":
		env.valueReferences, err = p.references("value_schema_references")
		return errors.Join(err, once(seen, 64, name))
	}
	return unprocessable("Unrecognized field: %s", name)
}

// references reads what an inline schema refers to, in the registry's own form: [{"name", "subject", "version"}].
func (p *parser) references(where string) ([]sr.SchemaReference, error) {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return nil, err
	}
	var list []struct {
		Name    string `json:"name"`
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	if _, err := httpapi.DecodeJSON(v, &list); err != nil {
		return nil, err
	}
	var refs []sr.SchemaReference
	for n, r := range list {
		if r.Name == "" || r.Subject == "" || r.Version == 0 {
			return nil, unprocessable("%s.%s[%d] must have a name, a subject and a version", p.arg, where, n)
		}
		refs = append(refs, sr.SchemaReference{Name: r.Name, Subject: r.Subject, Version: r.Version})
	}
	return refs, nil
}

// text reads a string, or null as "".
func (p *parser) text(where string) (string, error) {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	if v.Kind() != '"' {
		return "", kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot deserialize value of type `java.lang.String` from %s: %s", kindText(v.Kind()), where)
	}
	s, err := jsontext.AppendUnquote(nil, v)
	return string(s), err
}

func (p *parser) id(where string) (int, error) {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return 0, err
	}
	n, err := httpapi.ParseInt(v)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot deserialize value of type `int` from %s: %s", kindText(v.Kind()), where)
	}
	if n <= 0 {
		return 0, unprocessable("%s.%s must be greater than 0 (was %d)", p.arg, where, n)
	}
	return int(n), nil
}

func (p *parser) records() error {
	switch p.dec.PeekKind() {
	case '[':
	case 'n':
		_, err := p.dec.ReadToken()
		return err
	default:
		return p.wrongType("java.util.ArrayList", "records")
	}
	p.taken = true
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch p.dec.PeekKind() {
		case ']':
			_, err := p.dec.ReadToken()
			return err
		case '{':
		default:
			return p.wrongType("ProduceRecord", fmt.Sprintf("records[%d]", len(p.env.items)))
		}
		if len(p.env.items) == p.api.cfg.MaxRecords {
			return kafkarest.Errorf(kafkarest.CodeTooLarge, "The request has more than %d records (request.max.records): send it in parts.", p.api.cfg.MaxRecords)
		}
		if len(p.env.items) == cap(p.env.items) {
			p.env.items = grow(p.env.items, len(p.body), int(p.dec.InputOffset()))
		}
		p.env.items = append(p.env.items, produce.Item{Partition: p.base})
		item, seen := &p.env.items[len(p.env.items)-1], 0
		if err := p.object(func(name []byte) error { return p.recordMember(item, name, &seen) }); err != nil {
			return err
		}
	}
}

// grow guesses the number of records from the size of those read so far.
func grow(items []produce.Item, total, read int) []produce.Item {
	want := 1
	if n := len(items); n > 0 {
		want = min(max(2*n, total*n/max(read, 1)+1), 10_000)
	} else if total > 256 {
		want = 8
	}
	out := make([]produce.Item, len(items), max(want, len(items)+1))
	copy(out, items)
	return out
}

func (p *parser) recordMember(item *produce.Item, name []byte, seen *int) (err error) {
	switch string(name) {
	case "value":
		if item.Value, err = p.value("value"); err == nil {
			err = once(seen, 1, name)
		}
	case "key":
		if item.Key, err = p.value("key"); err == nil {
			err = once(seen, 2, name)
		}
	case "partition":
		if err = p.partition(item); err == nil {
			err = once(seen, 4, name)
		}
	case "headers":
		if item.Headers, err = p.headers(); err == nil {
			err = once(seen, 8, name)
		}
	case "timestamp":
		if item.Timestamp, err = p.timestamp(); err == nil {
			err = once(seen, 16, name)
		}
	default:
		return unprocessable("Unrecognized field: %s", name)
	}
	return err
}

// where names a member of the record that is being read.
func (p *parser) where(member string) string {
	return fmt.Sprintf("records[%d].%s", len(p.env.items)-1, member)
}

// value reads any JSON value; null is nil.
func (p *parser) value(member string) (jsontext.Value, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if v.Kind() == 'n' {
		return nil, nil
	}
	if format.TooDeep(v, p.api.cfg.MaxDepth) {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "%s nests deeper than %d levels (request.max.depth).", p.where(member), p.api.cfg.MaxDepth)
	}
	return v, nil
}

func (p *parser) partition(item *produce.Item) error {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	n, err := httpapi.ParseInt(v)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot deserialize value of type `int` from %s: %s is not a partition number",
			kindText(v.Kind()), p.where("partition"))
	}
	if n < 0 {
		return unprocessable("%s.%s must be greater than or equal to 0 (was %d)", p.arg, p.where("partition"), n)
	}
	item.Partition = int32(n)
	return nil
}

// timestamp reads epoch milliseconds or RFC 3339.
func (p *parser) timestamp() (time.Time, error) {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return time.Time{}, err
	}
	if v.Kind() == '"' {
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return time.Time{}, err
		}
		if t, err := time.Parse(time.RFC3339Nano, string(s)); err == nil && t.UnixMilli() >= 0 && t.UnixMilli() <= produce.MaxTimestamp {
			return t, nil
		}
	}
	n, err := httpapi.ParseInt(v)
	if err != nil || n < 0 || n > produce.MaxTimestamp {
		return time.Time{}, unprocessable("%s.%s %s", p.arg, p.where("timestamp"), produce.BadTimestamp)
	}
	return time.UnixMilli(n), nil
}

// headers reads [{"key": string, "value": base64|null}].
func (p *parser) headers() ([]kafkarest.Header, error) {
	switch p.dec.PeekKind() {
	case '[':
	case 'n':
		_, err := p.dec.ReadToken()
		return nil, err
	default:
		return nil, p.wrongType("java.util.ArrayList", p.where("headers"))
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	headers := []kafkarest.Header{}
	for p.dec.PeekKind() != ']' {
		if p.dec.PeekKind() != '{' {
			return nil, p.wrongType("RecordHeader", p.where("headers"))
		}
		h, err := p.header()
		if err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
	_, err := p.dec.ReadToken()
	return headers, err
}

func (p *parser) header() (h kafkarest.Header, err error) {
	seen := 0
	err = p.object(func(name []byte) error {
		switch string(name) {
		case "key":
			h.Key, err = p.text(p.where("headers"))
			return errors.Join(err, once(&seen, 1, name))
		case "value":
			h.Value, err = p.headerValue()
			return errors.Join(err, once(&seen, 2, name))
		}
		return unprocessable("Unrecognized field: %s", name)
	})
	if err == nil && seen&1 == 0 {
		err = unprocessable("%s.%s: each header needs a key", p.arg, p.where("headers"))
	}
	return h, err
}

func (p *parser) headerValue() ([]byte, error) {
	v, err := p.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return nil, err
	}
	if v.Kind() == '"' {
		var s, out []byte
		if s, err = jsontext.AppendUnquote(nil, v); err != nil {
			return nil, err
		}
		if out, err = base64.StdEncoding.AppendDecode([]byte{}, s); err == nil {
			return out, nil
		}
	}
	return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: %s: a header's value is base64 or null", p.where("headers"))
}
