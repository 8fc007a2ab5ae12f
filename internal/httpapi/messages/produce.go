package messages

import (
	"bytes"
	"crypto/sha256"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

// produceTo serves POST and PUT /messages/{topic}: what the body is, its Content-Type says.
func (a *API) produceTo(c *httpapi.Call) error {
	p, err := a.parseParams(c)
	if err != nil {
		return err
	}
	if p.message.Topic != "" {
		return unprocessable("Kafka-Topic has a meaning for POST /messages only: here the path names the topic.")
	}
	p.message.Topic, p.path = c.Param("topic"), true // whether it is allowed shows when it is looked up
	switch kind, options := bodyKind(c.R.Header.Get("Content-Type")); kind {
	case kindLines:
		return a.produceLines(c, p)
	case kindParts:
		return a.produceParts(c, p, options)
	case kindSet:
		return a.produceEnvelope(c, p, options)
	case kindNone:
		return &kafkarest.Error{Code: kafkarest.CodeUnsupportedMediaType, Message: "HTTP 415 Unsupported Media Type: no format of this server is meant."}
	}
	return a.produceOne(c, p)
}

// produceSet serves POST /messages: a set whose records each name their topic.
func (a *API) produceSet(c *httpapi.Call) error {
	p, err := a.parseParams(c)
	if err != nil {
		return err
	}
	switch kind, options := bodyKind(c.R.Header.Get("Content-Type")); kind {
	case kindParts:
		return a.produceParts(c, p, options)
	case kindSet:
		return a.produceEnvelope(c, p, options)
	}
	if mediaType, _, err := mime.ParseMediaType(c.R.Header.Get("Content-Type")); err == nil && mediaType == typeJSON {
		return a.produceEnvelope(c, p, "json")
	}
	return &kafkarest.Error{Code: kafkarest.CodeUnsupportedMediaType,
		Message: "HTTP 415 Unsupported Media Type: a message set is application/json, application/vnd.kafka.FORMAT.v2+json or multipart/mixed."}
}

// kind is what a request body is.
type kind int

const (
	kindOne   kind = iota // the bytes of one message
	kindLines             // NDJSON
	kindParts             // multipart
	kindSet               // the envelope of v2
	kindNone              // none that is known
)

// bodyKind reads a Content-Type. With it come the boundary of parts, and the name of a set's format.
func bodyKind(contentType string) (kind, string) {
	const v2 = "application/vnd.kafka."
	if len(contentType) < 10 || !hasPrefixFold(contentType, v2) && !hasPrefixFold(contentType, typeMultipart) && !hasPrefixFold(contentType, typeNDJSON) {
		return kindOne, ""
	}
	mediaType, options, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return kindNone, ""
	case mediaType == typeNDJSON:
		return kindLines, ""
	case mediaType == typeMultipart:
		return kindParts, options["boundary"]
	}
	name, ok := strings.CutPrefix(mediaType, v2)
	if !ok {
		return kindOne, ""
	}
	if name, ok = strings.CutSuffix(name, ".v2+json"); !ok {
		return kindNone, ""
	}
	return kindSet, name
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// produceOne stores the body as one message.
func (a *API) produceOne(c *httpapi.Call, p *params) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	p.one[0] = p.message
	p.one[0].Err = kafkarest.AsError(a.fill(&p.one[0], p, body, c.R.Header.Get("Content-Type")))
	if err := a.deliver(c, p, p.one[:], body); err != nil || p.async || p.idemKey != "" {
		return err
	}
	p.free() // nothing that goes on after the reply has it
	return nil
}

// fill completes a message whose value is the bytes of a body or of a part. What is wrong with them is the message's own outcome.
func (a *API) fill(m *produce.Message, p *params, body []byte, contentType string) (err error) {
	if m.Key, err = p.key(); err != nil {
		return err
	}
	if m.Value, err = a.value(p, body); err != nil {
		return err
	}
	if contentType != "" && !slices.ContainsFunc(m.Headers, func(h kafkarest.Header) bool { return h.Key == contentTypeHeader }) {
		kept := kafkarest.Header{Key: contentTypeHeader, Value: []byte(contentType)}
		if len(m.Headers) == 0 && m == &p.one[0] {
			p.kept[0] = kept
			m.Headers = p.kept[:]
			return nil
		}
		m.Headers = append(slices.Clip(m.Headers), kept)
	}
	return nil
}

// contentTypeHeader is the record header that keeps the Content-Type.
const contentTypeHeader = "content-type"

// value is what one body stands for: the bytes themselves, or the JSON that the value's format takes.
func (a *API) value(p *params, body []byte) ([]byte, error) {
	f := p.set.Value.Format
	switch {
	case p.tombstone && len(body) > 0:
		return nil, unprocessable("A tombstone has no value: its body must be empty.")
	case p.tombstone:
		return nil, nil
	case f == nil && body == nil:
		return []byte{}, nil
	case f == nil:
		return body, nil
	}
	name := f.Name()
	if (name == "text" || name == "binary") && !utf8.Valid(body) {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the body is not UTF-8 text, as %s is.", name)
	}
	switch name {
	case "text":
		return jsontext.AppendQuote(make([]byte, 0, len(body)+8), body)
	case "binary":
		if text := bytes.TrimSpace(body); !isNull(text) && (len(text) == 0 || text[0] != '"') {
			return jsontext.AppendQuote(make([]byte, 0, len(text)+8), text)
		}
	}
	v, err := a.json(body)
	if isNull(v) {
		return nil, nil
	}
	return v, err
}

// isNull reports whether JSON is null, which is Kafka's null in every format. Only where a side has no format, or its text is no JSON, is it a
// word as any other.
func isNull(v []byte) bool { return string(v) == "null" }

// json checks that data is one JSON value.
func (a *API) json(data []byte) ([]byte, error) {
	v := jsontext.Value(data)
	if !v.IsValid(jsontext.AllowDuplicateNames(true)) {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the value is not JSON, as its format needs it.")
	}
	if format.TooDeep(v, a.cfg.MaxDepth) {
		return nil, errTooDeep(a.cfg.MaxDepth)
	}
	return bytes.TrimSpace(data), nil
}

func errTooDeep(depth int) *kafkarest.Error {
	return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the value nests deeper than %d levels (request.max.depth).", depth)
}

// deliver sends the messages and answers: at once when they have settled, or as a task. body is what was sent, for Idempotency-Key.
func (a *API) deliver(c *httpapi.Call, p *params, messages []produce.Message, body []byte) error {
	if p.idemKey == "" && !p.async {
		return a.deliverNow(c, p, messages)
	}
	var sum [sha256.Size]byte
	if p.idemKey != "" {
		sum = sha256.Sum256(body)
	}
	return a.deliverTask(c, p, messages, sum)
}

func (a *API) deliverNow(c *httpapi.Call, p *params, messages []produce.Message) error {
	p.set.Messages = messages
	results, err := a.Produce.ProduceSet(c.R.Context(), &p.set)
	if err != nil { // none was sent
		c.Header().Set(failedHeader, strconv.Itoa(len(messages)))
		return err
	}
	return reply(c, messages, results)
}

// produceLinesWhole serves NDJSON that is not to be a stream: it is read to its end before anything is sent.
func (a *API) produceLinesWhole(c *httpapi.Call, p *params) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	var messages []produce.Message
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(messages) == a.cfg.MaxRecords {
			return errTooMany(a.cfg.MaxRecords)
		}
		messages = append(messages, a.line(p, line))
	}
	if len(messages) == 0 {
		return unprocessable("The request has no messages.")
	}
	return a.deliver(c, p, messages, body)
}

func errTooMany(most int) error {
	return kafkarest.Errorf(kafkarest.CodeTooLarge, "The request has more than %d messages (request.max.records): send it in parts, or as a stream.", most)
}

// line makes the message of one line of NDJSON. What is wrong with it is its own outcome.
func (a *API) line(p *params, line []byte) produce.Message {
	m := p.message
	key, err := p.key()
	if err == nil {
		m.Key = key
		err = a.lineValue(p, line, &m)
	}
	m.Err = kafkarest.AsError(err)
	return m
}

func (a *API) lineValue(p *params, line []byte, m *produce.Message) error {
	if p.tombstone {
		return unprocessable("A line of NDJSON is a value: it cannot be a tombstone.")
	}
	if format.EndOfValue(line, 0, a.cfg.MaxDepth) != len(line) {
		if jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true)) {
			return errTooDeep(a.cfg.MaxDepth)
		}
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the line is not one JSON value.")
	}
	m.Value = line
	if p.set.Value.Format != nil && isNull(line) {
		m.Value = nil
	}
	return nil
}

// readAll reads a part to its end.
func readAll(r io.Reader) ([]byte, error) {
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		return nil, err
	}
	body := out.Bytes()
	switch n := len(body); {
	case n == 0:
		return []byte{}, nil
	case cap(body) > n+n/4: // the room for more would stay for as long as the record does, and count nowhere
		return bytes.Clone(body), nil
	}
	return body, nil
}
