package format

import (
	"encoding/binary"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
)

// This file is Options.Plain for Avro: logical types as people write them, unions without tags, and defaults for fields left out.

// defaultOf gives a field's default in binary, made when it is first needed. It is nil for a field without a default.
func defaultOf(f *avro.SchemaField) func() ([]byte, error) {
	if !f.HasDefault {
		return nil
	}
	node, value := f.Type, f.Default
	return sync.OnceValues(func() ([]byte, error) {
		s, err := node.Schema()
		if err != nil {
			return nil, err
		}
		return s.Encode(value)
	})
}

// timeLayouts are how the logical types of an int or a long are written. unit is how many nanoseconds one of it has.
var timeLayouts = map[string]struct {
	kind   avroKind
	unit   int64
	layout string
}{
	"date":                   {avroInt, 24 * int64(time.Hour), time.DateOnly},
	"time-millis":            {avroInt, int64(time.Millisecond), "15:04:05.000"},
	"time-micros":            {avroLong, int64(time.Microsecond), "15:04:05.000000"},
	"timestamp-millis":       {avroLong, int64(time.Millisecond), "2006-01-02T15:04:05.000Z07:00"},
	"timestamp-micros":       {avroLong, int64(time.Microsecond), "2006-01-02T15:04:05.000000Z07:00"},
	"timestamp-nanos":        {avroLong, 1, "2006-01-02T15:04:05.000000000Z07:00"},
	"local-timestamp-millis": {avroLong, int64(time.Millisecond), "2006-01-02T15:04:05.000"},
	"local-timestamp-micros": {avroLong, int64(time.Microsecond), "2006-01-02T15:04:05.000000"},
	"local-timestamp-nanos":  {avroLong, 1, "2006-01-02T15:04:05.000000000"},
}

// logical writes a JSON value of a logical type, and reports false where the value is not in the type's own form.
func (w *avroWriter) logical(n *avroNode) (bool, error) {
	c := w.in.peek()
	if n.logical == "decimal" && (n.kind == avroBytes || n.kind == avroFixed) {
		return w.decimal(n, c)
	}
	l, ok := timeLayouts[n.logical]
	if !ok || l.kind != n.kind || c != '"' {
		return false, nil
	}
	at := w.in.i
	text, err := w.in.text(w.scratch)
	if err != nil {
		return true, err
	}
	// On input the fraction may be of any length: the layout without it takes all.
	layout, _, _ := strings.Cut(l.layout, ".")
	if strings.HasSuffix(l.layout, "Z07:00") {
		layout += "Z07:00"
	}
	t, err := time.Parse(layout, string(text))
	if err != nil && w.o.Int64AsString && n.kind == avroLong {
		w.in.i = at // may be the digits of a long
		return false, nil
	}
	if err != nil {
		return true, misfitf("Expected %s as in %q. Got another string", n.logical, l.layout)
	}
	v, ok := countUnits(t, n.logical, l.unit)
	if !ok {
		return true, misfitf("The %s is out of range, or finer than its unit", n.logical)
	}
	w.out = binary.AppendVarint(w.out, v)
	return true, nil
}

// countUnits gives the units of t since the epoch, or since midnight for a time of day. Digits that the unit cannot hold are refused
// and not cut off.
func countUnits(t time.Time, logical string, unit int64) (int64, bool) {
	if strings.HasPrefix(logical, "time-") {
		t = t.AddDate(1970-t.Year(), 0, 0)
	}
	total := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(int64(time.Second)))
	total.Add(total, big.NewInt(int64(t.Nanosecond())))
	units, rest := new(big.Int).DivMod(total, big.NewInt(unit), new(big.Int))
	return units.Int64(), rest.Sign() == 0 && units.IsInt64()
}

// logical reads a value of a logical type, and reports false where the type has no form of its own.
func (r *avroReader) logical(n *avroNode) (bool, error) {
	l, ok := timeLayouts[n.logical]
	if !ok || l.kind != n.kind {
		return false, nil // decimals are done where their bytes are read
	}
	v, err := r.varint()
	if err != nil {
		return true, err
	}
	if n.kind == avroInt && v != int64(int32(v)) {
		return true, errAvroVarint
	}
	t := unitsSinceEpoch(v, l.unit)
	if t.Year() < 0 || t.Year() > 9999 { // RFC 3339 cannot write it
		r.number(n.kind, v)
		return true, nil
	}
	r.out = append(t.AppendFormat(append(r.out, '"'), l.layout), '"')
	return true, nil
}

func unitsSinceEpoch(v, unit int64) time.Time {
	if unit > int64(time.Second) {
		return time.Unix(v*(unit/int64(time.Second)), 0).UTC()
	}
	perSecond := int64(time.Second) / unit
	return time.Unix(v/perSecond, v%perSecond*unit).UTC()
}

// decimal writes a string or number such as "12.50" as the schema's scale asks.
func (w *avroWriter) decimal(n *avroNode, c byte) (bool, error) {
	var text string
	switch {
	case c == '"':
		raw, err := w.in.text(w.scratch)
		if err != nil {
			return true, err
		}
		text = string(raw)
	case startsNumber(c):
		text = string(w.in.number())
	default:
		return false, nil
	}
	unscaled, ok := parseDecimal(text, n.scale, n.precision)
	if !ok {
		return true, misfitf("Expected a decimal of precision %d and scale %d", n.precision, n.scale)
	}
	body := twosComplement(unscaled)
	if n.kind == avroBytes {
		w.out = binary.AppendVarint(w.out, int64(len(body)))
		w.out = append(w.out, body...)
		return true, nil
	}
	return true, w.fixedDecimal(n, unscaled, body)
}

// fixedDecimal extends the number's sign to the size of the fixed type.
func (w *avroWriter) fixedDecimal(n *avroNode, unscaled *big.Int, body []byte) error {
	if len(body) > n.size {
		return misfitf("Expected a decimal that fits %d bytes", n.size)
	}
	fill := byte(0)
	if unscaled.Sign() < 0 {
		fill = 0xff
	}
	for range n.size - len(body) {
		w.out = append(w.out, fill)
	}
	w.out = append(w.out, body...)
	return nil
}

// parseDecimal gives text times 10^scale, exactly.
func parseDecimal(text string, scale, precision int) (*big.Int, bool) {
	digits, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.Atoi(text[i+1:])
		if err != nil || e > 1000 || e < -1000 {
			return nil, false
		}
		digits, exponent = text[:i], e
	}
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	shift := scale + exponent - len(fraction)
	for ; shift < 0 && strings.HasSuffix(digits, "0"); shift++ {
		digits = digits[:len(digits)-1]
	}
	digits = strings.TrimLeft(digits, "0")
	if shift < 0 || len(digits) > precision || digits != "" && len(digits)+shift > precision {
		return nil, false
	}
	out := new(big.Int)
	if digits != "" {
		out.SetString(digits+strings.Repeat("0", shift), 10)
	}
	if negative {
		out.Neg(out)
	}
	return out, true
}

// twosComplement gives the shortest big-endian form, as Java's BigInteger.toByteArray.
func twosComplement(v *big.Int) []byte {
	if v.Sign() >= 0 {
		b := v.Bytes()
		if len(b) == 0 || b[0]&0x80 != 0 {
			b = slices.Insert(b, 0, 0)
		}
		return b
	}
	// -v-1 has the bits of v inverted.
	b := new(big.Int).Not(v).Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = slices.Insert(b, 0, 0)
	}
	for i := range b {
		b[i] = ^b[i]
	}
	return b
}

const maxDecimalBytes = 1 << 10 // text of a number takes quadratic time

// decimal writes bytes as a string of a decimal number with all digits of its scale.
func (r *avroReader) decimal(n *avroNode, b []byte) {
	if len(b) > maxDecimalBytes || n.scale > 4*maxDecimalBytes {
		plain := *n
		plain.logical = ""
		_ = r.latin1(&plain, b)
		return
	}
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	digits := new(big.Int).Abs(v).String()
	if missing := n.scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	r.out = append(r.out, '"')
	if v.Sign() < 0 {
		r.out = append(r.out, '-')
	}
	point := len(digits) - n.scale
	r.out = append(r.out, digits[:point]...)
	if n.scale > 0 {
		r.out = append(append(r.out, '.'), digits[point:]...)
	}
	r.out = append(r.out, '"')
}

// plainBranch writes a union's value without a tag where our own input would find the same branch again.
func (r *avroReader) plainBranch(n, branch *avroNode) error {
	start := len(r.out)
	if err := r.value(branch); err != nil {
		return err
	}
	if n.plainly(branch, r.out[start:], r.o) {
		return nil
	}
	tag := append(appendJavaString([]byte{'{'}, []byte(branch.label)), ':')
	r.out = append(slices.Insert(r.out, start, tag...), '}')
	return nil
}

// plainly reports whether value, the JSON of a branch, would be taken for that branch without a tag.
func (n *avroNode) plainly(branch *avroNode, value []byte, o Options) bool {
	for _, b := range n.branches {
		if b != branch && b.takes(value[0], o) {
			return false
		}
	}
	if value[0] != '{' {
		return branch.takes(value[0], o)
	}
	s := jsonScanner{b: value, i: 1}
	first, err := s.text(nil)
	if err != nil {
		return true // an empty object
	}
	_, looksTagged := n.branchIndex[string(first)]
	return !looksTagged
}
