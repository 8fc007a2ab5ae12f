package format

import (
	"bytes"
	"context"
	"encoding/base64"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
)

// Binary carries any bytes as a base64 string: the standard alphabet, padding optional on input (as the Confluent REST Proxy takes it)
// and written on output.
type Binary struct{}

// Name is "binary".
func (Binary) Name() string { return "binary" }

// NewEncoder never fails.
func (Binary) NewEncoder(context.Context, Schema) (Encoder, error) { return binaryEncoder{}, nil }

type binaryEncoder struct{}

func (binaryEncoder) SchemaID() int { return 0 }

// Encode decodes the base64 into new memory, so that an error can still quote what was sent.
func (binaryEncoder) Encode(v jsontext.Value) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	if v.Kind() != '"' {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: data=%s is not a base64 string.", clip(v))
	}
	src := []byte(v[1 : len(v)-1])
	if bytes.IndexByte(src, '\\') >= 0 {
		unquoted, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return nil, kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the string is not valid JSON.")
		}
		src = unquoted
	}
	enc := base64.StdEncoding
	if len(src)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	out := make([]byte, enc.DecodedLen(len(src)))
	n, err := enc.Decode(out, src)
	// The standard library's decoder skips line breaks, which the base64 of one string may not have.
	if err != nil || bytes.IndexByte(src, '\n') >= 0 || bytes.IndexByte(src, '\r') >= 0 {
		return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: data=%s is not a valid base64 string.", clip(v))
	}
	return out[:n], nil
}

// clip keeps an error text that quotes the client's data short.
func clip(v jsontext.Value) string {
	const limit = 200
	if len(v) > limit {
		return string(v[:limit]) + "…"
	}
	return string(v)
}

// Decode gives the base64 of data as a JSON string.
func (Binary) Decode(_ context.Context, data []byte) (jsontext.Value, error) {
	out := make([]byte, 1, base64.StdEncoding.EncodedLen(len(data))+2)
	out[0] = '"'
	out = base64.StdEncoding.AppendEncode(out, data)
	return append(out, '"'), nil
}
