package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep a JSON value may nest, in and out: what Jackson, and so the Confluent REST Proxy, takes since 2.15.
const MaxDepth = 1000

// JSON stores the JSON value itself, with the bytes as sent less insignificant white space: numbers and escapes are untouched.
type JSON struct{}

// Name is "json".
func (JSON) Name() string { return "json" }

// NewEncoder never fails.
func (JSON) NewEncoder(context.Context, Schema) (Encoder, error) { return jsonEncoder{}, nil }

type jsonEncoder struct{}

func (jsonEncoder) SchemaID() int { return 0 }

// Encode compacts v in place.
func (jsonEncoder) Encode(v jsontext.Value) ([]byte, error) {
	if v == nil || bytes.IndexByte(v, ' ') < 0 && bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\t') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return v, nil
	}
	if err := v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(false), jsontext.PreserveRawStrings(true)); err != nil {
		return nil, fmt.Errorf("compact a JSON value: %w", err)
	}
	return v, nil
}

var errNotJSON = errors.New("not a JSON value")

// Decode checks that data is one JSON value and hands it on as it is.
func (JSON) Decode(_ context.Context, data []byte) (jsontext.Value, error) {
	if !validJSON(data, MaxDepth) {
		return nil, errNotJSON
	}
	return data, nil
}

var openBrace, openBracket = []byte("{"), []byte("[")

// TooDeep reports whether valid JSON nests deeper than limit.
func TooDeep(data []byte, limit int) bool {
	if len(data) <= limit || bytes.Count(data, openBrace)+bytes.Count(data, openBracket) <= limit {
		return false // it cannot nest deeper than it has opening brackets; the counts are far cheaper than the walk
	}
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
