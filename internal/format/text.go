package format

import (
	"context"
	"errors"
	"unicode/utf8"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
)

// Text carries UTF-8 text as a JSON string, stored without quotes. It is an addition to the Confluent REST Proxy's formats.
type Text struct{}

// Name is "text".
func (Text) Name() string { return "text" }

// NewEncoder never fails.
func (Text) NewEncoder(context.Context, Schema) (Encoder, error) { return textEncoder{}, nil }

type textEncoder struct{}

func (textEncoder) SchemaID() int { return 0 }

// Encode unquotes the string.
func (textEncoder) Encode(v jsontext.Value) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	if v.Kind() != '"' {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: data=%s is not a string: the text format takes a JSON string or null.", clip(v))
	}
	out, err := jsontext.AppendUnquote(make([]byte, 0, len(v)), v)
	if err != nil {
		return nil, kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the string is not valid JSON.")
	}
	return out, nil
}

var errNotText = errors.New("not UTF-8 text")

// Decode quotes data as a JSON string.
func (Text) Decode(_ context.Context, data []byte) (jsontext.Value, error) {
	if !utf8.Valid(data) {
		return nil, errNotText
	}
	out, err := jsontext.AppendQuote(make([]byte, 0, len(data)+2), data)
	if err != nil {
		return nil, errNotText
	}
	return out, nil
}
