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

// parse streams over the envelope {"records":[{"key":…,"value":…}]}. JSON values keep their bytes as sent.
func parse(body []byte, topic string, binary bool) ([]*kgo.Record, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	var records []*kgo.Record
	err := object(dec, func(name string) error {
		if name != `"records"` {
			return dec.SkipValue()
		}
		return array(dec, func() error {
			rec := &kgo.Record{Topic: topic}
			records = append(records, rec)
			return record(dec, rec, binary)
		})
	})
	return records, err
}

func record(dec *jsontext.Decoder, rec *kgo.Record, binary bool) error {
	return object(dec, func(name string) (err error) {
		switch name {
		case `"key"`:
			rec.Key, err = payload(dec, binary)
		case `"value"`:
			rec.Value, err = payload(dec, binary)
		default:
			err = dec.SkipValue()
		}
		return err
	})
}

// payload reads one key or value; null is nil.
func payload(dec *jsontext.Decoder, binary bool) ([]byte, error) {
	raw, err := dec.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return nil, err
	}
	if !binary {
		return raw, nil
	}
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
	for _, k := range [...]string{`"value"`, `"key"`, `"records"`} {
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
