package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// avroReader writes Avro's binary as JSON. Nothing in the data can make it take more memory than MaxDecoded, or nest deeper than MaxDepth.
type avroReader struct {
	in    []byte
	out   []byte
	o     Options
	depth int // of the JSON
}

var (
	errAvroShort    = errors.New("the Avro data ends too early")
	errAvroTrailing = errors.New("bytes are left after the Avro data")
	errAvroVarint   = errors.New("the Avro data has a malformed number")
	errAvroLength   = errors.New("the Avro data has a negative or too large length")
	errAvroDeep     = fmt.Errorf("the Avro data nests deeper than %d", MaxDepth)
)

// top reads a whole key or value: see avroWriter.top.
func (r *avroReader) top(n *avroNode) error {
	if n.kind == avroBytes {
		err := r.latin1(n, r.in)
		r.in = nil
		return err
	}
	if err := r.value(n); err != nil {
		return err
	}
	if len(r.in) > 0 {
		return errAvroTrailing
	}
	return nil
}

func (r *avroReader) value(n *avroNode) error {
	if len(r.out) > MaxDecoded {
		return errTooLong
	}
	if r.o.Plain && n.logical != "" {
		if done, err := r.logical(n); done {
			return err
		}
	}
	switch n.kind {
	case avroNull:
		r.out = append(r.out, "null"...)
		return nil
	case avroBoolean:
		return r.boolean()
	case avroInt, avroLong:
		return r.integer(n.kind)
	case avroFloat, avroDouble:
		return r.float(n.kind)
	case avroString, avroBytes:
		return r.sized(n)
	case avroFixed:
		return r.fixed(n)
	case avroEnum:
		return r.enum(n)
	}
	return r.nested(n)
}

func (r *avroReader) nested(n *avroNode) error {
	if n.kind == avroUnion {
		return r.union(n)
	}
	if r.depth++; r.depth > MaxDepth {
		return errAvroDeep
	}
	defer func() { r.depth-- }()
	switch n.kind {
	case avroRecord:
		return r.record(n)
	case avroArray:
		return r.blocks(n, '[', ']')
	}
	return r.blocks(n, '{', '}')
}

// take consumes n bytes.
func (r *avroReader) take(n int) ([]byte, error) {
	if n > len(r.in) {
		return nil, errAvroShort
	}
	out := r.in[:n]
	r.in = r.in[n:]
	return out, nil
}

func (r *avroReader) varint() (int64, error) {
	v, n := binary.Varint(r.in)
	switch {
	case n == 0:
		return 0, errAvroShort
	case n < 0:
		return 0, errAvroVarint
	}
	r.in = r.in[n:]
	return v, nil
}

func (r *avroReader) boolean() error {
	b, err := r.take(1)
	if err != nil {
		return err
	}
	r.out = strconv.AppendBool(r.out, b[0] == 1)
	return nil
}

func (r *avroReader) integer(kind avroKind) error {
	v, err := r.varint()
	if err != nil {
		return err
	}
	if kind == avroInt && v != int64(int32(v)) {
		return errAvroVarint
	}
	r.number(kind, v)
	return nil
}

func (r *avroReader) number(kind avroKind, v int64) {
	if kind == avroLong && r.o.Int64AsString {
		r.out = append(strconv.AppendInt(append(r.out, '"'), v, 10), '"')
		return
	}
	r.out = strconv.AppendInt(r.out, v, 10)
}

// float writes a float with the digits of the double that it is: Java's encoder widens it first.
func (r *avroReader) float(kind avroKind) error {
	var v float64
	if kind == avroFloat {
		b, err := r.take(4)
		if err != nil {
			return err
		}
		v = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	} else {
		b, err := r.take(8)
		if err != nil {
			return err
		}
		v = math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	switch {
	case math.IsNaN(v):
		r.out = append(r.out, `"NaN"`...)
	case math.IsInf(v, 1):
		r.out = append(r.out, `"Infinity"`...)
	case math.IsInf(v, -1):
		r.out = append(r.out, `"-Infinity"`...)
	default:
		r.out = appendJavaDouble(r.out, v)
	}
	return nil
}

// length consumes the length of a string or bytes.
func (r *avroReader) length() (int, error) {
	n, err := r.varint()
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, errAvroLength
	}
	if n > int64(len(r.in)) {
		return 0, errAvroShort
	}
	return int(n), nil
}

// sizedBytes consumes a length and as many bytes.
func (r *avroReader) sizedBytes() ([]byte, error) {
	n, err := r.length()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

func (r *avroReader) sized(n *avroNode) error {
	b, err := r.sizedBytes()
	if err != nil {
		return err
	}
	if n.kind == avroBytes {
		return r.latin1(n, b)
	}
	r.quote(b)
	return nil
}

// quote writes text. Java reads what is not UTF-8 as U+FFFD, and its users see that.
func (r *avroReader) quote(text []byte) {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	r.out = appendJavaString(r.out, text)
}

func (r *avroReader) fixed(n *avroNode) error {
	b, err := r.take(n.size)
	if err != nil {
		return err
	}
	return r.latin1(n, b)
}

// latin1 writes bytes as the characters U+0000 to U+00FF.
func (r *avroReader) latin1(n *avroNode, b []byte) error {
	if r.o.Plain && n.logical == "decimal" {
		r.decimal(n, b)
		return nil
	}
	r.out = append(r.out, '"')
	for _, c := range b {
		switch {
		case c < ' ' || c == '"' || c == '\\':
			r.out = appendEscape(r.out, c)
		case c < utf8.RuneSelf:
			r.out = append(r.out, c)
		default:
			r.out = utf8.AppendRune(r.out, rune(c))
		}
	}
	r.out = append(r.out, '"')
	return nil
}

func (r *avroReader) enum(n *avroNode) error {
	i, err := r.varint()
	if err != nil {
		return err
	}
	if i < 0 || i >= int64(len(n.symbols)) {
		return errors.New("the Avro data has an enum symbol that the schema has not")
	}
	r.out = appendJavaString(r.out, []byte(n.symbols[i]))
	return nil
}

func (r *avroReader) record(n *avroNode) error {
	r.out = append(r.out, '{')
	for i := range n.fields {
		f := &n.fields[i]
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = append(r.out, f.key...)
		if err := r.value(f.node); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// blocks reads an array or a map: blocks of a count and as many items, ended by a count of 0. A negative count has the block's length in
// bytes after it, for readers that skip.
func (r *avroReader) blocks(n *avroNode, open, end byte) error {
	r.out = append(r.out, open)
	first := true
	for {
		count, err := r.blockCount()
		if err != nil {
			return err
		}
		if count == 0 {
			r.out = append(r.out, end)
			return nil
		}
		for range count {
			if !first {
				r.out = append(r.out, ',')
			}
			first = false
			if err := r.item(n); err != nil {
				return err
			}
		}
	}
}

func (r *avroReader) blockCount() (int64, error) {
	count, err := r.varint()
	if err != nil || count >= 0 {
		return count, err
	}
	if _, err := r.varint(); err != nil {
		return 0, err
	}
	if count == math.MinInt64 {
		return 0, errAvroLength
	}
	return -count, nil
}

func (r *avroReader) item(n *avroNode) error {
	if n.kind == avroMap {
		key, err := r.sizedBytes()
		if err != nil {
			return err
		}
		r.quote(key)
		r.out = append(r.out, ':')
	}
	return r.value(n.elem)
}

func (r *avroReader) union(n *avroNode) error {
	i, err := r.varint()
	if err != nil {
		return err
	}
	if i < 0 || i >= int64(len(n.branches)) {
		return errors.New("the Avro data has a union branch that the schema has not")
	}
	branch := n.branches[i]
	if branch.kind == avroNull {
		return r.value(branch)
	}
	if r.depth++; r.depth > MaxDepth {
		return errAvroDeep
	}
	defer func() { r.depth-- }()
	if r.o.Plain {
		return r.plainBranch(n, branch)
	}
	return r.taggedBranch(branch)
}

func (r *avroReader) taggedBranch(branch *avroNode) error {
	r.out = append(r.out, '{')
	r.out = appendJavaString(r.out, []byte(branch.label))
	r.out = append(r.out, ':')
	if err := r.value(branch); err != nil {
		return err
	}
	r.out = append(r.out, '}')
	return nil
}
