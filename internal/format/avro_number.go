package format

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// appendJavaDouble writes a finite number as Java's Double.toString does since JDK 19: the shortest decimal that reads back as the same
// number, at least one digit on both sides of the point, and an exponent outside 10^-3 to 10^7.
func appendJavaDouble(dst []byte, v float64) []byte { return appendJavaNumber(dst, v, 64) }

// appendJavaFloat is the same for Float.toString.
func appendJavaFloat(dst []byte, v float32) []byte { return appendJavaNumber(dst, float64(v), 32) }

func appendJavaNumber(dst []byte, v float64, bits int) []byte {
	if abs := math.Abs(v); v == 0 || abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', -1, bits)
		if isInteger(dst[start:]) {
			dst = append(dst, '.', '0')
		}
		return dst
	}
	// 'e' gives d.ddde±xx with two digits of exponent at least.
	text := strconv.AppendFloat(make([]byte, 0, 32), v, 'e', -1, bits)
	mantissa, exponent := splitExponent(text)
	if isInteger(mantissa) {
		mantissa = twoDigits(v, mantissa, bits)
	}
	dst = append(dst, mantissa...)
	dst = append(dst, 'E')
	return append(dst, exponent...)
}

// twoDigits is for numbers whose shortest decimal has a single digit: Java then takes the nearest of those with two, 4.9E-324 and not
// 5.0E-324.
func twoDigits(v float64, mantissa []byte, bits int) []byte {
	text := strconv.AppendFloat(make([]byte, 0, 32), v, 'e', 1, bits)
	if back, err := strconv.ParseFloat(string(text), bits); err == nil && back == v {
		closer, exponent := splitExponent(text)
		shortest, same := splitExponent(strconv.AppendFloat(nil, v, 'e', -1, bits))
		if string(exponent) == string(same) && string(closer) != string(shortest) {
			return closer
		}
	}
	return append(mantissa, '.', '0')
}

// splitExponent cuts 1.5e-07 into 1.5 and -7.
func splitExponent(text []byte) (mantissa, exponent []byte) {
	i := len(text) - 1
	for text[i] != 'e' {
		i--
	}
	mantissa, exponent = text[:i:i], text[i+1:]
	sign := exponent[:1]
	exponent = exponent[1:]
	for len(exponent) > 1 && exponent[0] == '0' {
		exponent = exponent[1:]
	}
	if sign[0] == '-' {
		exponent = append([]byte{'-'}, exponent...)
	}
	return mantissa, exponent
}

// Java has one NaN on the wire.
const (
	javaNaN32 = 0x7fc00000
	javaNaN64 = 0x7ff8000000000000
)

func javaFloatBits(v float64) uint32 {
	if math.IsNaN(v) {
		return javaNaN32
	}
	return math.Float32bits(float32(v))
}

func javaDoubleBits(v float64) uint64 {
	if math.IsNaN(v) {
		return javaNaN64
	}
	return math.Float64bits(v)
}

const upperHex = "0123456789ABCDEF"

// appendJavaString quotes valid UTF-8 as Jackson does: the short escapes, other control characters as \u00XX in upper case, characters
// beyond U+FFFF as two escapes, and nothing else.
func appendJavaString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < firstOfFour {
			continue
		}
		dst = append(dst, s[start:i]...)
		if c >= firstOfFour {
			r, size := utf8.DecodeRune(s[i:])
			dst = appendSurrogates(dst, r)
			i += size - 1
		} else {
			dst = appendEscape(dst, c)
		}
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

const firstOfFour = 0xf0 // begins the UTF-8 of a character beyond U+FFFF

func appendSurrogates(dst []byte, r rune) []byte {
	high, low := utf16.EncodeRune(r)
	for _, half := range [2]rune{high, low} {
		dst = append(dst, '\\', 'u', upperHex[half>>12&15], upperHex[half>>8&15], upperHex[half>>4&15], upperHex[half&15])
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
}
