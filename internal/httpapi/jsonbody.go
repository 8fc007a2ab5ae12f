package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"kafkarest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DecodeJSON reads one JSON document into v, a pointer to a struct, and refuses members that v does not have, duplicate members and
// anything after the document. It reports present = false for an empty body and for a literal null.
// Errors: 400 for what is not JSON or has the wrong type, 422 for an unknown member.
func DecodeJSON(body []byte, v any) (present bool, err error) {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || string(trimmed) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return true, JSONError(body, err)
	}
	return true, nil
}

// JSONError turns an error of the JSON library into the published one. The texts begin as those of the reference's parser do, which
// clients match on.
func JSONError(body []byte, err error) error {
	if e := (*kafkarest.Error)(nil); errors.As(err, &e) {
		return e
	}
	bad := func(format string, args ...any) error {
		return kafkarest.Wrap(kafkarest.CodeBadRequest, err, fmt.Sprintf(format, args...))
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		name := semantic.JSONPointer.LastToken()
		if errors.Is(err, json.ErrUnknownName) {
			return kafkarest.Wrap(kafkarest.CodeUnprocessable, err, "Unrecognized field: "+name)
		}
		return bad("Cannot deserialize value of type `%s` from %s: %s", javaType(semantic), kindName(semantic.JSONKind), at(semantic.JSONPointer))
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return bad("Duplicate field '%s'", syntactic.JSONPointer.LastToken())
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return bad("Unexpected end-of-input: the document ends at byte %d, before it is complete", len(body))
		}
		if token := tokenAt(body, int(syntactic.ByteOffset)); token != "" {
			return bad("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false') at byte %d",
				token, syntactic.ByteOffset)
		}
		return bad("Unexpected character or structure at byte %d: %v", syntactic.ByteOffset, errors.Unwrap(syntactic))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return bad("Unexpected end-of-input: the document ends at byte %d, before it is complete", len(body))
	}
	return bad("The request body is not the JSON that is expected here.")
}

func at(p jsontext.Pointer) string {
	if p == "" {
		return "the document"
	}
	return string(p)
}

// javaType names what was expected, in the reference's manner.
func javaType(e *json.SemanticError) string {
	if e.GoType == nil {
		return "object"
	}
	name := e.GoType.String()
	switch {
	case strings.Contains(name, "Int"), strings.HasPrefix(name, "int"):
		return "int"
	case strings.HasPrefix(name, "[]"):
		return "java.util.ArrayList"
	case strings.Contains(name, "Text"), strings.HasPrefix(name, "string"):
		return "java.lang.String"
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "Object value (token `JsonToken.START_OBJECT`)"
	case '[':
		return "Array value (token `JsonToken.START_ARRAY`)"
	case '"':
		return "String value"
	case '0':
		return "Number value"
	case 't', 'f':
		return "Boolean value"
	case 'n':
		return "null"
	}
	return "this value"
}

// tokenAt gives the bare word that covers an offset of the body, "" if there is none.
func tokenAt(body []byte, offset int) string {
	word := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
	}
	if offset >= len(body) {
		return ""
	}
	from, to := offset, offset
	for from > 0 && word(body[from-1]) {
		from--
	}
	for to < len(body) && word(body[to]) && to-from < 100 {
		to++
	}
	if from == to || body[from] >= '0' && body[from] <= '9' {
		return ""
	}
	return string(body[from:to])
}

// Text is a string member that also takes a JSON number or boolean, as the reference does.
type Text string

// UnmarshalJSONFrom takes scalars.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		*t = Text(s)
		return err
	case '0', 't', 'f':
		*t = Text(v)
		return nil
	}
	return wrongKind(v, errNotString)
}

// wrongKind says what came instead: the library does not look at it for types that decode themselves.
func wrongKind(v jsontext.Value, err error) error {
	return &json.SemanticError{JSONKind: v.Kind(), Err: err}
}

// Int is an integer member that also takes a numeric string, and drops the fraction of a decimal, as the reference does.
type Int int64

// UnmarshalJSONFrom takes numbers and strings.
func (n *Int) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	i, err := ParseInt(v)
	if err != nil {
		return wrongKind(v, err)
	}
	*n = Int(i)
	return nil
}

var (
	errNotInt    = errors.New("not an integer")
	errNotString = errors.New("not a string")
)

// ParseInt reads a JSON value as Int does.
func ParseInt(v jsontext.Value) (int64, error) {
	text := v
	switch v.Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return 0, err
		}
		text = bytes.TrimSpace(s)
	case '0':
	default:
		return 0, errNotInt
	}
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return i, nil
	}
	if v.Kind() == '"' {
		return 0, errNotInt
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.Abs(f) >= 1<<63 {
		return 0, errNotInt
	}
	return int64(f), nil
}
