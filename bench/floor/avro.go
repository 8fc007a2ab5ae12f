package floor

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
)

// headerSize is the zero byte and the schema's id before the data.
const headerSize = 5

// schemaID is every schema's: there is no registry here.
const schemaID = 1

// schemas keeps what was compiled, by its text.
type schemas struct {
	mu    sync.Mutex
	known map[string]*avro.Schema
}

func (s *schemas) get(text string) (*avro.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.known[text]; c != nil {
		return c, nil
	}
	c, err := avro.Parse(text)
	if err == nil {
		if s.known == nil {
			s.known = map[string]*avro.Schema{}
		}
		s.known[text] = c
	}
	return c, err
}

// side turns the JSON of one request's keys and values into bytes, with a schema that comes before them.
type side struct {
	schemas *schemas
	encode  func(jsontext.Value) ([]byte, error)
}

// read takes the member value_schema.
func (s *side) read(text jsontext.Value) error {
	plain, err := jsontext.AppendUnquote(nil, text)
	if err != nil {
		return err
	}
	schema, err := s.schemas.get(string(plain))
	if err != nil {
		return err
	}
	s.encode = func(v jsontext.Value) ([]byte, error) { return encodeAvro(schema, v) }
	return nil
}

var errNoSchema = errors.New("value_schema does not come first")

func noSchema(jsontext.Value) ([]byte, error) { return nil, errNoSchema }

// encodeAvro is the library's way from JSON to bytes: JSON to a value, the value to bytes.
func encodeAvro(schema *avro.Schema, v jsontext.Value) ([]byte, error) {
	var value any
	if err := schema.DecodeJSON(v, &value); err != nil {
		return nil, err
	}
	dst := binary.BigEndian.AppendUint32(append(make([]byte, 0, headerSize+len(v)/2), 0), schemaID)
	return schema.AppendEncode(dst, value)
}

// decodeAvro is its way back, with unions as Java writes them.
func decodeAvro(schema *avro.Schema, dst, data []byte) ([]byte, error) {
	if len(data) < headerSize {
		return nil, errors.New("a record without header")
	}
	var value any
	if _, err := schema.Decode(data[headerSize:], &value, avro.TaggedUnions()); err != nil {
		return nil, err
	}
	return schema.AppendEncodeJSON(dst, value, avro.TaggedUnions())
}
