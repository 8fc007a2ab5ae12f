package messages

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// produceEnvelope stores a message set in v2's envelope, whose format is that of both sides unless the query says otherwise.
func (a *API) produceEnvelope(c *httpapi.Call, p *params, name string) error {
	f := a.Formats.Find(name)
	if f == nil {
		return &kafkarest.Error{Code: kafkarest.CodeUnsupportedMediaType, Message: "HTTP 415 Unsupported Media Type: no such format."}
	}
	if p.tombstone {
		return unprocessable("Kafka-Tombstone belongs to one message: a record of a set is a tombstone when its value is null.")
	}
	if p.raw {
		return unprocessable("A message set is JSON: raw is no format for its keys and values.")
	}
	for _, side := range [...]*produce.Side{&p.set.Key, &p.set.Value} { // before records take the key of the request, whose form depends on it
		if side.Format == nil {
			*side = a.side(f, schemaParams{})
		}
	}
	body, err := c.Body()
	if err != nil {
		return err
	}
	e := envelope{api: a, params: p, body: body}
	if err := e.parse(); err != nil {
		return httpapi.JSONError(body, err)
	}
	for _, side := range []struct {
		to    *produce.Side
		given *format.Schema
	}{{&p.set.Key, &e.key}, {&p.set.Value, &e.value}} {
		if side.given.Text != "" || side.given.ID != 0 {
			side.to.Schema.Text, side.to.Schema.ID, side.to.Schema.References = side.given.Text, side.given.ID, side.given.References
		}
		if side.given.Subject != "" {
			side.to.Schema.Subject = side.given.Subject
		}
		if side.given.Version != 0 {
			side.to.Schema.Version = side.given.Version
		}
	}
	return a.deliver(c, p, e.messages, body)
}

// envelope reads a message set as a stream of JSON tokens. Keys and values are slices of the body.
type envelope struct {
	api        *API
	params     *params
	body       []byte
	dec        *jsontext.Decoder
	messages   []produce.Message
	key, value format.Schema
}

// names are the members seen of one object. Duplicates are refused in the envelope; inside keys and values they are the client's own affair.
type names []string

func (n *names) once(name string) error {
	if slices.Contains(*n, name) {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Duplicate field '%s'", name)
	}
	*n = append(*n, name)
	return nil
}

func (e *envelope) parse() error {
	e.dec = jsontext.NewDecoder(bytes.NewBuffer(e.body), jsontext.AllowDuplicateNames(true))
	if e.dec.PeekKind() != '{' {
		return e.wrong("an object with the member records", "The body")
	}
	if err := e.object(e.member); err != nil {
		return err
	}
	if _, err := e.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Unexpected content after the document, at byte %d", e.dec.InputOffset())
	}
	if len(e.messages) == 0 {
		return unprocessable("records must not be empty")
	}
	return nil
}

// wrong reports a value of a wrong type; what is no JSON at all is reported as that.
func (e *envelope) wrong(want, what string) error {
	if _, err := e.dec.ReadValue(); err != nil {
		return err
	}
	return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: %s must be %s.", what, want)
}

// object reads the members of the object that is next.
func (e *envelope) object(member func(name string) error) error {
	if _, err := e.dec.ReadToken(); err != nil {
		return err
	}
	var seen names
	for e.dec.PeekKind() == '"' {
		token, err := e.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if err := seen.once(name); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := e.dec.ReadToken()
	return err
}

func (e *envelope) member(name string) (err error) {
	switch name {
	case "records":
		return e.records()
	case "key_schema":
		e.key.Text, err = e.text(name)
	case "value_schema":
		e.value.Text, err = e.text(name)
	case "key_schema_id":
		e.key.ID, err = e.number(name)
	case "value_schema_id":
		e.value.ID, err = e.number(name)
	case "key_schema_version":
		e.key.Version, err = e.number(name)
	case "value_schema_version":
		e.value.Version, err = e.number(name)
	case "key_subject":
		e.key.Subject, err = e.text(name)
	case "value_subject":
		e.value.Subject, err = e.text(name)
	case "key_schema_references":
		e.key.References, err = e.references(name)
	case "value_schema_references":
		e.value.References, err = e.references(name)
	default:
		return unprocessable("Unrecognized field: %s", name)
	}
	return err
}

func (e *envelope) records() error {
	if e.dec.PeekKind() != '[' {
		return e.wrong("an array", "records")
	}
	if _, err := e.dec.ReadToken(); err != nil {
		return err
	}
	for e.dec.PeekKind() == '{' {
		if len(e.messages) == e.api.cfg.MaxRecords {
			return errTooMany(e.api.cfg.MaxRecords)
		}
		if err := e.record(); err != nil {
			return err
		}
	}
	if e.dec.PeekKind() != ']' {
		return e.wrong("an object", fmt.Sprintf("records[%d]", len(e.messages)))
	}
	_, err := e.dec.ReadToken()
	return err
}

func (e *envelope) record() error {
	m := e.params.message
	key := e.params.hasKey
	err := e.object(func(name string) (err error) {
		switch name {
		case "topic":
			return e.topic(&m)
		case "key":
			key = false
			m.Key, err = e.data(name)
		case "value":
			m.Value, err = e.data(name)
		case "partition":
			return e.partition(&m)
		case "timestamp":
			m.Timestamp, err = e.timestamp()
		case "headers":
			var own []kafkarest.Header
			own, err = e.headers()
			m.Headers = withHeaders(own, m.Headers)
		default:
			return unprocessable("Unrecognized field: %s", name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if m.Topic == "" {
		return unprocessable("%s must not be empty", e.where("topic"))
	}
	if key {
		m.Key, err = e.params.key()
		m.Err = kafkarest.AsError(err)
	}
	e.messages = append(e.messages, m)
	return nil
}

// where names a member of the record that is being read.
func (e *envelope) where(member string) string {
	return fmt.Sprintf("records[%d].%s", len(e.messages), member)
}

func (e *envelope) topic(m *produce.Message) error {
	topic, err := e.text(e.where("topic"))
	switch {
	case err != nil:
		return err
	case e.params.path && topic != e.params.message.Topic:
		return unprocessable("%s: the path names another topic; POST /messages takes several", e.where("topic"))
	}
	m.Topic = topic
	return nil
}

// data reads any JSON value; null is nil.
func (e *envelope) data(member string) (jsontext.Value, error) {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return nil, err
	}
	if format.TooDeep(v, e.api.cfg.MaxDepth) {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "%s nests deeper than %d levels (request.max.depth).", e.where(member), e.api.cfg.MaxDepth)
	}
	return v, nil
}

func (e *envelope) text(what string) (string, error) {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	if v.Kind() != '"' {
		return "", kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: %s must be a string.", what)
	}
	s, err := jsontext.AppendUnquote(nil, v)
	return string(s), err
}

func (e *envelope) number(what string) (int, error) {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return 0, err
	}
	n, err := httpapi.ParseInt(v)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return 0, unprocessable("%s must be a number, 1 or more", what)
	}
	return int(n), nil
}

func (e *envelope) partition(m *produce.Message) error {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	n, err := httpapi.ParseInt(v)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return unprocessable("%s must be the number of a partition, 0 or more", e.where("partition"))
	}
	m.Partition = int32(n)
	return nil
}

func (e *envelope) timestamp() (time.Time, error) {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return time.Time{}, err
	}
	text := []byte(v)
	if v.Kind() == '"' {
		if text, err = jsontext.AppendUnquote(nil, v); err != nil {
			return time.Time{}, err
		}
	}
	t, err := parseTimestamp(string(text))
	if err != nil {
		return t, unprocessable("%s %s", e.where("timestamp"), produce.BadTimestamp)
	}
	return t, nil
}

// headers reads [{"key": string, "value": base64|null}].
func (e *envelope) headers() ([]kafkarest.Header, error) {
	v, err := e.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return nil, err
	}
	var list []struct {
		Key   *string `json:"key"`
		Value *string `json:"value"`
	}
	if _, err := httpapi.DecodeJSON(v, &list); err != nil {
		return nil, err
	}
	out := make([]kafkarest.Header, len(list))
	for i, h := range list {
		if h.Key == nil {
			return nil, unprocessable("%s: each header needs a key", e.where("headers"))
		}
		out[i].Key = *h.Key
		if h.Value == nil {
			continue
		}
		if out[i].Value, err = base64.StdEncoding.AppendDecode([]byte{}, []byte(*h.Value)); err != nil {
			return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: %s: a header's value is base64 or null", e.where("headers"))
		}
	}
	return out, nil
}

// references reads what an inline schema refers to: [{"name","subject","version"}].
func (e *envelope) references(what string) ([]sr.SchemaReference, error) {
	v, err := e.dec.ReadValue()
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
	out := make([]sr.SchemaReference, len(list))
	for i, r := range list {
		if r.Name == "" || r.Subject == "" || r.Version == 0 {
			return nil, unprocessable("%s[%d] must have a name, a subject and a version", what, i)
		}
		out[i] = sr.SchemaReference{Name: r.Name, Subject: r.Subject, Version: r.Version}
	}
	return out, nil
}
