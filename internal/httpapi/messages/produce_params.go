package messages

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

func unprocessable(format string, args ...any) error {
	return kafkarest.Errorf(kafkarest.CodeUnprocessable, format, args...)
}

// params is what a produce request says beside its body.
type params struct {
	one       [1]produce.Message  // memory for a request of one
	kept      [1]kafkarest.Header // and for the header that keeps its type
	message   produce.Message     // what every message of the request has, unless it says otherwise itself
	path      bool                // the path names the topic
	hasKey    bool
	keyText   []byte // the key as it was given, to be encoded by its format
	raw       bool   // a format is raw because the request says so
	keyRaw    bool   // it was given in base64, as the bytes to store
	tombstone bool
	set       produce.Set // formats, profile and timeout
	async     bool
	minimal   bool // Prefer: return=minimal
	idemKey   string
	callback  string
}

// paramsPool is for requests of one message, which put theirs back.
var paramsPool = sync.Pool{New: func() any { return new(params) }}

func (p *params) free() {
	*p = params{}
	paramsPool.Put(p)
}

// field is one thing that a request says, by a header or by a query parameter.
type field struct {
	name  string // for messages
	value string
}

// parseParams reads headers and query. Whatever begins with Kafka-, and every query parameter, must be known: a typing error would lose data
// without a word. No other header reaches Kafka.
func (a *API) parseParams(c *httpapi.Call) (*params, error) {
	p := paramsPool.Get().(*params)
	p.message.Partition = kafkarest.AnyPartition
	seen := fieldSet(0)
	if err := p.headers(c.R.Header, &seen); err != nil {
		return nil, err
	}
	if err := a.preferences(c.R.Header, p); err != nil {
		return nil, err
	}
	if c.R.URL.RawQuery != "" {
		if err := a.query(c.R.URL.RawQuery, p, &seen); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// fieldSet holds what was given: once is enough, be it as a header or as a parameter.
type fieldSet uint16

const (
	fieldKey fieldSet = 1 << iota
	fieldPartition
	fieldTimestamp
	fieldTombstone
	fieldTopic
	fieldCallback
)

func (s *fieldSet) take(f fieldSet, name string) error {
	if *s&f != 0 {
		return unprocessable("%s is given twice, or as a header and as a parameter.", name)
	}
	*s |= f
	return nil
}

// headers reads Kafka-* headers, of a request or of a part of one.
func (p *params) headers(h http.Header, seen *fieldSet) error {
	for name, values := range h {
		if len(name) < 6 || name[0] != 'K' || name[:6] != "Kafka-" {
			continue
		}
		if header, ok := strings.CutPrefix(name, "Kafka-Header-"); ok && header != "" {
			header = strings.ToLower(header)
			for _, v := range values {
				p.message.Headers = append(p.message.Headers, kafkarest.Header{Key: header, Value: []byte(v)})
			}
			continue
		}
		if len(values) > 1 {
			return unprocessable("%s is given twice.", name)
		}
		if err := p.set1(name, field{name, values[0]}, seen); err != nil {
			return err
		}
	}
	if len(p.message.Headers) > 1 { // a map has no order, and the same request must not be stored in two ways
		slices.SortStableFunc(p.message.Headers, func(x, y kafkarest.Header) int { return strings.Compare(x.Key, y.Key) })
	}
	return nil
}

// withHeaders gives a message its own headers and, of those of the request, the ones that it does not have itself.
func withHeaders(own, all []kafkarest.Header) []kafkarest.Header {
	of := len(own)
	for _, h := range all {
		if !slices.ContainsFunc(own[:of], func(o kafkarest.Header) bool { return o.Key == h.Key }) {
			own = append(own, h)
		}
	}
	return own
}

// set1 takes one field by the name of its header.
func (p *params) set1(header string, f field, seen *fieldSet) (err error) {
	switch header {
	case "Kafka-Key":
		p.hasKey, p.keyRaw, p.keyText = true, false, []byte(f.value)
		return seen.take(fieldKey, f.name)
	case "Kafka-Key-Base64":
		p.hasKey, p.keyRaw = true, true
		if p.keyText, err = decodeBase64(f.value); err != nil {
			return unprocessable("%s is not base64.", f.name)
		}
		return seen.take(fieldKey, f.name)
	case "Kafka-Partition":
		n, err := strconv.ParseInt(f.value, 10, 32)
		if err != nil || n < 0 {
			return unprocessable("%s must be the number of a partition, 0 or more.", f.name)
		}
		p.message.Partition = int32(n)
		return seen.take(fieldPartition, f.name)
	case "Kafka-Timestamp":
		if p.message.Timestamp, err = parseTimestamp(f.value); err != nil {
			return unprocessable("%s %s.", f.name, produce.BadTimestamp)
		}
		return seen.take(fieldTimestamp, f.name)
	case "Kafka-Tombstone":
		if p.tombstone, err = parseBool(f); err != nil {
			return err
		}
		return seen.take(fieldTombstone, f.name)
	case "Kafka-Topic":
		p.message.Topic = f.value
		return seen.take(fieldTopic, f.name)
	case "Kafka-Callback":
		if f.value == "" {
			return kafkarest.Errorf(kafkarest.CodeCallbackRefused, "%s is empty: it must be the URL of a callback.", f.name)
		}
		p.callback, p.async = f.value, true
		return seen.take(fieldCallback, f.name)
	}
	return unprocessable("%s is no field that this API knows.", f.name)
}

func decodeBase64(s string) ([]byte, error) {
	if len(s)%4 != 0 {
		return base64.RawStdEncoding.DecodeString(s)
	}
	return base64.StdEncoding.DecodeString(s)
}

func parseBool(f field) (bool, error) {
	switch strings.ToLower(f.value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, unprocessable("%s must be true or false.", f.name)
}

func parseTimestamp(s string) (time.Time, error) {
	if ms, err := strconv.ParseUint(s, 10, 63); err == nil && ms <= produce.MaxTimestamp {
		return time.UnixMilli(int64(ms)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil && (t.UnixMilli() < 0 || t.UnixMilli() > produce.MaxTimestamp) {
		err = strconv.ErrRange
	}
	return t, err
}

// preferences reads Prefer (RFC 7240) and Idempotency-Key.
func (a *API) preferences(h http.Header, p *params) error {
	for _, header := range h["Prefer"] {
		for element := range strings.SplitSeq(header, ",") {
			switch strings.ToLower(strings.ReplaceAll(strings.TrimSpace(element), " ", "")) {
			case "respond-async":
				p.async = true
			case "return=minimal":
				p.minimal = true
			}
		}
	}
	if keys := h["Idempotency-Key"]; len(keys) > 0 {
		p.idemKey = unquoteKey(keys[0])
		if len(keys) > 1 || p.idemKey == "" || len(p.idemKey) > 255 {
			return unprocessable("Idempotency-Key must be there once, with 1 to 255 characters.")
		}
	}
	return nil
}

// unquoteKey takes the quotes off that the draft's structured field has, and that few clients send.
func unquoteKey(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// queryHeaders are the parameters that mean the same as a header.
var queryHeaders = map[string]string{"key": "Kafka-Key", "key_base64": "Kafka-Key-Base64", "partition": "Kafka-Partition",
	"timestamp": "Kafka-Timestamp", "tombstone": "Kafka-Tombstone", "callback": "Kafka-Callback"}

func (a *API) query(raw string, p *params, seen *fieldSet) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the query cannot be read.")
	}
	var schemas [2]schemaParams
	for name, list := range values {
		if name == "header" {
			if err := p.headerParams(list); err != nil {
				return err
			}
			continue
		}
		if len(list) > 1 {
			return unprocessable("%s is given twice.", name)
		}
		if header := queryHeaders[name]; header != "" {
			err = p.set1(header, field{name, list[0]}, seen)
		} else if side, rest, ok := sideParam(name); ok {
			err = schemas[side].set(rest, field{name, list[0]})
		} else {
			err = a.setting(p, field{name, list[0]})
		}
		if err != nil {
			return err
		}
	}
	return a.formats(p, schemas)
}

// headerParams reads header=name:value.
func (p *params) headerParams(list []string) error {
	for _, h := range list {
		name, value, ok := strings.Cut(h, ":")
		if !ok || name == "" {
			return unprocessable("header must be name:value.")
		}
		p.message.Headers = append(p.message.Headers, kafkarest.Header{Key: name, Value: []byte(value)})
	}
	return nil
}

// schemaParams is how one side is to be written.
type schemaParams struct {
	given, format, subject, strategy string
	id, version                      int
}

func sideParam(name string) (side int, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(name, "key_"); ok {
		return 0, rest, slices.Contains(sideParams, rest)
	}
	rest, ok = strings.CutPrefix(name, "value_")
	return 1, rest, ok && slices.Contains(sideParams, rest)
}

var sideParams = []string{"format", "subject", "subject_name_strategy", "schema_id", "schema_version"}

func (s *schemaParams) set(name string, f field) (err error) {
	if name != "format" {
		s.given = f.name
	}
	switch name {
	case "format":
		s.format = f.value
	case "subject":
		s.subject = f.value
	case "subject_name_strategy":
		s.strategy = f.value
	case "schema_id":
		if s.id, err = strconv.Atoi(f.value); err != nil || s.id < 1 {
			return unprocessable("%s must be a number, 1 or more.", f.name)
		}
	case "schema_version":
		if f.value == "latest" {
			s.version = format.LatestVersion
		} else if s.version, err = strconv.Atoi(f.value); err != nil || s.version < 1 {
			return unprocessable("%s must be a number, 1 or more, or latest.", f.name)
		}
	}
	return nil
}

// formats applies what the query says of the two sides.
func (a *API) formats(p *params, given [2]schemaParams) error {
	for i, side := range []*produce.Side{&p.set.Key, &p.set.Value} {
		s := &given[i]
		name := [2]string{"key", "value"}[i]
		p.raw = p.raw || s.format == "raw"
		if s.format != "" && s.format != "raw" {
			f := a.Formats.Find(s.format)
			if f == nil {
				return unprocessable("%s_format: %q is no format of this server.", name, s.format)
			}
			*side = a.side(f, *s)
		}
		if s.given != "" && (side.Format == nil || !format.SchemaFormat(side.Format)) {
			return unprocessable("%s needs %s_format to be a format with schemas.", s.given, name)
		}
	}
	return nil
}

// side is a format with its schema: the newest of the subject when none is named.
func (a *API) side(f format.Format, s schemaParams) produce.Side {
	return produce.Side{Format: format.With(f, func(o *format.Options) { o.UseLatest, o.NullIsTombstone = true, true }),
		Schema: format.Schema{ID: s.id, Version: s.version, Subject: s.subject, Strategy: s.strategy}}
}

// setting takes a parameter that is about the request as a whole.
func (a *API) setting(p *params, f field) (err error) {
	switch f.name {
	case "async":
		async, err := parseBool(f)
		p.async = p.async || async
		return err
	case "acks", "timeout", "compression":
		if !slices.Contains(a.cfg.Overrides, f.name) {
			return kafkarest.Errorf(kafkarest.CodeOverrideRefused, "%s is not among the settings that a request may choose here (messages.overrides.allow).", f.name)
		}
		return override(&p.set, f)
	}
	return unprocessable("Unrecognized parameter: %s", f.name)
}

// override takes a setting of the producer.
func override(set *produce.Set, f field) error {
	switch f.name {
	case "acks":
		switch f.value {
		case "all", "-1":
			set.Profile.Acks = "all"
		case "1":
			set.Profile.Acks = "1"
		default: // with 0 nobody could tell what became of a record
			return kafkarest.Errorf(kafkarest.CodeOverrideRefused, "acks must be all or 1.")
		}
	case "timeout":
		const most = 600_000
		n, err := strconv.Atoi(f.value)
		if err != nil || n < 1 || n > most {
			return kafkarest.Errorf(kafkarest.CodeOverrideRefused, "timeout must be 1 to %d milliseconds.", most)
		}
		set.Timeout = time.Duration(n) * time.Millisecond
	case "compression":
		if !slices.Contains(kafka.Compressions, f.value) {
			return kafkarest.Errorf(kafkarest.CodeOverrideRefused, "compression must be one of %s.", strings.Join(kafka.Compressions, ", "))
		}
		set.Profile.Compression = f.value
	}
	return nil
}

// key gives the key's bytes, or its JSON where the key has a format: text that is no JSON is taken as a JSON string.
func (p *params) key() ([]byte, error) {
	f := p.set.Key.Format
	switch {
	case !p.hasKey:
		return nil, nil
	case f == nil:
		return p.keyText, nil
	case p.keyRaw:
		return nil, unprocessable("A key in base64 is stored as it is: it cannot have a format.")
	}
	v := jsontext.Value(bytes.Clone(p.keyText)) // several messages may have it, and encoders may change it
	if f.Name() != "text" && f.Name() != "binary" && v.IsValid(jsontext.AllowDuplicateNames(true)) {
		if isNull(bytes.TrimSpace(v)) {
			return nil, nil
		}
		return v, nil
	}
	quoted, err := jsontext.AppendQuote(nil, p.keyText)
	if err != nil {
		return nil, unprocessable("The key is not UTF-8 text.")
	}
	return quoted, nil
}
