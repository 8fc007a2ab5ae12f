package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// avroWriter writes one JSON value as Avro's binary. Error texts are those of Java Avro's JsonDecoder where it has one.
type avroWriter struct {
	out     []byte
	in      jsonScanner
	o       Options
	depth   int
	scratch []byte
}

// misfit says that the data does not fit the schema.
type misfit string

func (m misfit) Error() string { return string(m) }

func misfitf(format string, args ...any) error { return misfit(fmt.Sprintf(format, args...)) }

func (w *avroWriter) expected(what string) error {
	return misfitf("Expected %s. Got %s", what, w.in.token())
}

// top writes a whole key or value. Bytes as the root are stored bare, without Avro's length, as Java's serializer does.
func (w *avroWriter) top(n *avroNode) error {
	start := len(w.out)
	if err := w.value(n); err != nil {
		return err
	}
	if w.in.peek() != 0 {
		return errMalformed
	}
	if n.kind == avroBytes {
		_, size := binary.Varint(w.out[start:])
		w.out = append(w.out[:start], w.out[start+size:]...)
	}
	return nil
}

func (w *avroWriter) value(n *avroNode) error {
	if w.o.Plain && n.logical != "" {
		if done, err := w.logical(n); done {
			return err
		}
	}
	switch n.kind {
	case avroNull:
		return w.null()
	case avroBoolean:
		return w.boolean()
	case avroInt:
		return w.integer("int", 32)
	case avroLong:
		return w.integer("long", 64)
	case avroFloat, avroDouble:
		return w.float(n.kind)
	case avroString:
		return w.str()
	case avroBytes, avroFixed:
		return w.bytes(n)
	case avroEnum:
		return w.enum(n)
	}
	return w.nested(n)
}

// nested writes the types that can hold others, to a limited depth.
func (w *avroWriter) nested(n *avroNode) error {
	if w.depth++; w.depth > 2*MaxDepth { // a union and what it holds are two levels here and one, or none, of the JSON
		return misfitf("The data nests deeper than %d", MaxDepth)
	}
	defer func() { w.depth-- }()
	switch n.kind {
	case avroArray:
		return w.array(n)
	case avroMap:
		return w.mapping(n)
	case avroRecord:
		return w.record(n)
	}
	return w.union(n)
}

func (w *avroWriter) null() error {
	if !w.in.literal("null") {
		return w.expected("null")
	}
	return nil
}

func (w *avroWriter) boolean() error {
	switch {
	case w.in.literal("true"):
		w.out = append(w.out, 1)
	case w.in.literal("false"):
		w.out = append(w.out, 0)
	default:
		return w.expected("boolean")
	}
	return nil
}

func startsNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

func (w *avroWriter) integer(what string, bits int) error {
	c := w.in.peek()
	if c == '"' && w.o.Int64AsString && bits == 64 {
		return w.quotedLong()
	}
	if !startsNumber(c) {
		return w.expected(what)
	}
	number := w.in.number()
	v, ok := parseInteger(number, bits)
	if !ok {
		return misfitf("Numeric value (%s) out of range of %s", clip(number), what)
	}
	w.out = binary.AppendVarint(w.out, v)
	return nil
}

func (w *avroWriter) quotedLong() error {
	text, err := w.in.text(w.scratch)
	if err != nil {
		return err
	}
	v, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return misfitf("The string is not a long")
	}
	w.out = binary.AppendVarint(w.out, v)
	return nil
}

// parseInteger takes 3, 3.0 and 3e2, and not 3.5, which Java would cut off without a word.
func parseInteger(number []byte, bits int) (int64, bool) {
	v, err := strconv.ParseInt(string(number), 10, bits)
	if err == nil {
		return v, true
	}
	if isInteger(number) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	v = int64(f)
	return v, bits == 64 || v == int64(int32(v))
}

func (w *avroWriter) float(kind avroKind) error {
	what, bits := "double", 64
	if kind == avroFloat {
		what, bits = "float", 32
	}
	var v float64
	switch c := w.in.peek(); {
	case startsNumber(c):
		number := w.in.number()
		parsed, err := strconv.ParseFloat(string(number), bits)
		if err != nil {
			return misfitf("Numeric value (%s) out of range of %s", clip(number), what)
		}
		v = parsed
	case c == '"':
		special, ok := w.nonFinite()
		if !ok {
			return w.expected(what)
		}
		v = special
	default:
		return w.expected(what)
	}
	if bits == 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, javaFloatBits(v))
	} else {
		w.out = binary.LittleEndian.AppendUint64(w.out, javaDoubleBits(v))
	}
	return nil
}

// nonFinite consumes one of the strings that stand for numbers which JSON has not; other strings stay.
func (w *avroWriter) nonFinite() (float64, bool) {
	at := w.in.i
	text, err := w.in.text(w.scratch)
	if err == nil {
		switch string(text) {
		case "NaN":
			return math.NaN(), true
		case "Infinity", "INF":
			return math.Inf(1), true
		case "-Infinity", "-INF":
			return math.Inf(-1), true
		}
	}
	w.in.i = at
	return 0, false
}

func (w *avroWriter) str() error {
	if w.in.peek() != '"' {
		return w.expected("string")
	}
	text, err := w.in.text(w.scratch)
	if err != nil {
		return err
	}
	w.out = binary.AppendVarint(w.out, int64(len(text)))
	w.out = append(w.out, text...)
	return nil
}

// bytes writes a string whose characters are the bytes, U+0000 to U+00FF.
func (w *avroWriter) bytes(n *avroNode) error {
	what := "bytes"
	if n.kind == avroFixed {
		what = "fixed"
	}
	if w.in.peek() != '"' {
		return w.expected(what)
	}
	text, err := w.in.text(w.scratch)
	if err != nil {
		return err
	}
	return w.latin1(n, text)
}

func (w *avroWriter) latin1(n *avroNode, text []byte) error {
	size := utf8.RuneCount(text)
	if n.kind == avroFixed {
		if size != n.size {
			return misfitf("Expected fixed length %d, but got %d", n.size, size)
		}
	} else {
		w.out = binary.AppendVarint(w.out, int64(size))
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r > 0xff {
			return misfitf("Expected bytes. Got a string with the character %U, which is no byte", r)
		}
		w.out = append(w.out, byte(r))
		text = text[n:]
	}
	return nil
}

func (w *avroWriter) enum(n *avroNode) error {
	if w.in.peek() != '"' {
		return w.expected("enum")
	}
	text, err := w.in.text(w.scratch)
	if err != nil {
		return err
	}
	i, ok := n.symbolIndex[string(text)]
	if !ok {
		return misfitf("Unknown symbol in enum %s", clip(text))
	}
	w.out = binary.AppendVarint(w.out, int64(i))
	return nil
}
