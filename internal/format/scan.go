package format

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonScanner walks over a JSON text that is known to be valid. It never reads beyond the text, whatever it is.
type jsonScanner struct {
	b []byte
	i int
}

var errMalformed = errors.New("malformed JSON")

// peek skips white space and gives the first byte of the next token, 0 at the end.
func (s *jsonScanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// next consumes c if it is the next token.
func (s *jsonScanner) next(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// token names the next token as Jackson does in the error texts of Java Avro.
func (s *jsonScanner) token() string {
	switch c := s.peek(); c {
	case '{':
		return "START_OBJECT"
	case '}':
		return "END_OBJECT"
	case '[':
		return "START_ARRAY"
	case ']':
		return "END_ARRAY"
	case '"':
		return "VALUE_STRING"
	case 't':
		return "VALUE_TRUE"
	case 'f':
		return "VALUE_FALSE"
	case 'n':
		return "VALUE_NULL"
	case 0:
		return "null"
	}
	at := s.i
	text := s.number()
	s.i = at
	if isInteger(text) {
		return "VALUE_NUMBER_INT"
	}
	return "VALUE_NUMBER_FLOAT"
}

func isInteger(number []byte) bool {
	for _, c := range number {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

// number gives the text of the number that comes next, empty if none does.
func (s *jsonScanner) number() []byte {
	s.peek()
	start := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return s.b[start:s.i]
		}
	}
	return s.b[start:]
}

// rawString consumes the string that comes next, and gives it with its quotes and whether it has escapes.
func (s *jsonScanner) rawString() (raw []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, errMalformed
	}
	start := s.i
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '"':
			s.i++
			return s.b[start:s.i], escaped, nil
		case '\\':
			escaped = true
			s.i++
		}
	}
	s.i = len(s.b)
	return nil, false, errMalformed
}

// text consumes a string and gives what it says: a part of the input, or scratch's memory if it has escapes.
func (s *jsonScanner) text(scratch []byte) ([]byte, error) {
	raw, escaped, err := s.rawString()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return raw[1 : len(raw)-1], nil
	}
	out, err := jsontext.AppendUnquote(scratch[:0], raw)
	if err != nil {
		return nil, errMalformed
	}
	return out, nil
}

// member consumes a member's name and the colon.
func (s *jsonScanner) member(scratch []byte) ([]byte, error) {
	if s.peek() != '"' {
		return nil, errMalformed
	}
	name, err := s.text(scratch)
	if err != nil {
		return nil, err
	}
	if !s.next(':') {
		return nil, errMalformed
	}
	return name, nil
}

// literal consumes true, false or null.
func (s *jsonScanner) literal(word string) bool {
	s.peek()
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return false
	}
	s.i += len(word)
	return true
}

// skip consumes one value of any kind.
func (s *jsonScanner) skip() error {
	depth := 0
	for {
		switch c := s.peek(); c {
		case 0:
			return errMalformed
		case '"':
			if _, _, err := s.rawString(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			s.i++
		case '}', ']':
			depth--
			s.i++
		default:
			s.i++
			if depth == 0 {
				s.scalarTail()
			}
		}
		if depth <= 0 {
			return nil
		}
	}
}

// scalarTail consumes what is left of a number or literal.
func (s *jsonScanner) scalarTail() {
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// value consumes one value of any kind and gives its text.
func (s *jsonScanner) value() (jsontext.Value, error) {
	s.peek()
	start := s.i
	err := s.skip()
	return jsontext.Value(s.b[start:s.i]), err
}
