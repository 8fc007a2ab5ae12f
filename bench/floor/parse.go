package floor

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readBody reads the body into memory of its own, which the records' values go on pointing into until they are acknowledged.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// parse streams over the envelope {"value_schema":…,"records":[{"key":…,"value":…}]}.
func parse(body []byte, topic string, s *side) ([]*kgo.Record, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	var records []*kgo.Record
	err := object(dec, func(name string) error {
		switch {
		case name == `"value_schema"` && s.schemas != nil:
			text, err := dec.ReadValue()
			if err != nil {
				return err
			}
			return s.read(text)
		case name != `"records"`:
			return dec.SkipValue()
		}
		return array(dec, func() error {
			rec := &kgo.Record{Topic: topic}
			records = append(records, rec)
			return record(dec, rec, s)
		})
	})
	return records, err
}

func record(dec *jsontext.Decoder, rec *kgo.Record, s *side) error {
	return object(dec, func(name string) (err error) {
		switch name {
		case `"key"`:
			rec.Key, err = payload(dec, s)
		case `"value"`:
			rec.Value, err = payload(dec, s)
		default:
			err = dec.SkipValue()
		}
		return err
	})
}

// payload reads one key or value; null is nil.
func payload(dec *jsontext.Decoder, s *side) ([]byte, error) {
	raw, err := dec.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return nil, err
	}
	return s.encode(raw)
}

// asSent keeps the bytes of a JSON value.
func asSent(raw jsontext.Value) ([]byte, error) { return raw, nil }

func fromBase64(raw jsontext.Value) ([]byte, error) {
	if raw.Kind() != '"' {
		return nil, fmt.Errorf("%s where base64 should be", raw.Kind())
	}
	text := raw[1 : len(raw)-1]
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(data, text)
	return data[:n], err
}

// object calls member for each member of the object that comes next, with the name as sent (quoted), to read its value.
func object(dec *jsontext.Decoder, member func(name string) error) error {
	if err := open(dec, '{'); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := member(known(name)); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// known gives the name without allocating for those that matter.
func known(name []byte) string {
	for _, k := range [...]string{`"value"`, `"key"`, `"records"`, `"value_schema"`} {
		if string(name) == k {
			return k
		}
	}
	return ""
}

func array(dec *jsontext.Decoder, element func() error) error {
	if err := open(dec, '['); err != nil {
		return err
	}
	for k := dec.PeekKind(); k != ']'; k = dec.PeekKind() {
		if k == 0 {
			break // ReadToken gives the error
		}
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func open(dec *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return fmt.Errorf("%s where %s should be", token.Kind(), kind)
	}
	return nil
}
