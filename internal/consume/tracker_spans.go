package consume

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
)

// span is the offsets that begin with from and end before to.
type span struct{ from, to int64 }

// spans are disjoint, ascending and not adjacent.
type spans []span //nolint:recvcheck // add and dropBelow alone change it

// at finds the first span that ends after offset.
func (s spans) at(offset int64) int {
	i, _ := slices.BinarySearchFunc(s, offset, func(x span, o int64) int {
		if x.to <= o {
			return -1
		}
		return cmp.Compare(x.from, o)
	})
	if i > 0 && s[i-1].to > offset {
		i--
	}
	return i
}

func (s spans) has(offset int64) bool {
	i := s.at(offset)
	return i < len(s) && s[i].from <= offset
}

// skip is the first offset from there on that is in no span.
func (s spans) skip(offset int64) int64 {
	if i := s.at(offset); i < len(s) && s[i].from <= offset {
		return s[i].to
	}
	return offset
}

func (s *spans) add(from, to int64) {
	if from >= to {
		return
	}
	i := 0
	if n := len(*s); n > 0 && (*s)[n-1].to < from { // nearly always: they come in order
		*s = append(*s, span{from, to})
		return
	}
	for i < len(*s) && (*s)[i].to < from {
		i++
	}
	j := i
	for j < len(*s) && (*s)[j].from <= to {
		from, to = min(from, (*s)[j].from), max(to, (*s)[j].to)
		j++
	}
	*s = slices.Replace(*s, i, j, span{from, to})
}

// dropBelow forgets what lies wholly below an offset.
func (s *spans) dropBelow(offset int64) {
	n := 0
	for n < len(*s) && (*s)[n].to <= offset {
		n++
	}
	*s = (*s)[n:]
}

func (s spans) count() (n int64) {
	for _, x := range s {
		n += x.to - x.from
	}
	return n
}

// The metadata of a commit is text for Kafka, which refuses more than 4,096 characters by default (offset.metadata.max.bytes). Ours is the
// prefix, whose number is the version, and base64 of: the kind, the committed offset, the spans after it and a checksum. A committed offset
// that is not the one of the commit shows that somebody else has moved the group, and the spans are not believed.
const (
	metadataPrefix = "kr1."
	metadataMost   = 4096

	runsKind   = 'r' // distances as varints, in turn not acknowledged and acknowledged
	bitmapKind = 'b' // a bit for each offset after the committed one, lowest bit first
)

// metadata writes as much of the spans above low as fits the limit of characters, in the form that loses less, and tells how many
// acknowledged offsets did not fit. Nothing to say is "".
func (s spans) metadata(low int64, limit int) (text string, unfit int64) {
	if len(s) == 0 {
		return "", 0
	}
	most := (limit-len(metadataPrefix))/4*3 - 4 // bytes, without the checksum
	head := binary.AppendUvarint([]byte{runsKind}, uint64(low))
	if most <= len(head)+2 {
		return "", s.count()
	}
	body, kept := s.runs(slices.Clone(head), low, most)
	head[0] = bitmapKind
	if len(body) > 64 || kept < s.count() { // few runs are shorter than any bitmap
		if bits, keptBits := s.bitmap(head, low, most); keptBits > kept || keptBits == kept && len(bits) < len(body) {
			body, kept = bits, keptBits
		}
	}
	if kept == 0 {
		return "", s.count()
	}
	body = binary.BigEndian.AppendUint32(body, crc32.ChecksumIEEE(body))
	return metadataPrefix + base64.RawURLEncoding.EncodeToString(body), s.count() - kept
}

func (s spans) runs(b []byte, low int64, most int) (body []byte, kept int64) {
	at := low
	for _, x := range s {
		longer := binary.AppendUvarint(binary.AppendUvarint(b, uint64(x.from-at)), uint64(x.to-x.from))
		if len(longer) > most {
			break
		}
		b, at = longer, x.to
		kept += x.to - x.from
	}
	return b, kept
}

func (s spans) bitmap(b []byte, low int64, most int) (body []byte, kept int64) {
	end := min(s[len(s)-1].to-low, int64(most-len(b))*8)
	bits := make([]byte, (end+7)/8)
	for _, x := range s {
		for o := x.from - low; o < min(x.to-low, end); o++ {
			bits[o/8] |= 1 << (o % 8)
			kept++
		}
	}
	return append(b, bits...), kept
}

// parseMetadata reads what metadata wrote for the same committed offset. Foreign text, or damaged or outdated text, is no span.
func parseMetadata(text string, committed int64) spans {
	encoded, ours := strings.CutPrefix(text, metadataPrefix)
	if !ours || len(encoded) > 1<<16 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(b) < 6 {
		return nil
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(body):]) != crc32.ChecksumIEEE(body) {
		return nil
	}
	r := varints{body[1:], false}
	if low := r.next(math.MaxInt64); r.bad || int64(low) != committed {
		return nil
	}
	switch body[0] {
	case runsKind:
		return parseRuns(&r, committed)
	case bitmapKind:
		return parseBitmap(r.b, committed)
	}
	return nil
}

func parseRuns(r *varints, at int64) (s spans) {
	for len(r.b) > 0 {
		from := r.next(math.MaxInt64)
		length := r.next(math.MaxInt64)
		if r.bad || from > uint64(math.MaxInt64-at) || length > uint64(math.MaxInt64-at)-from {
			return nil
		}
		at += int64(from)
		s.add(at, at+int64(length))
		at += int64(length)
	}
	return s
}

func parseBitmap(bits []byte, low int64) (s spans) {
	if low > math.MaxInt64-int64(len(bits))*8 {
		return nil
	}
	for o := range int64(len(bits)) * 8 {
		if bits[o/8]&(1<<(o%8)) != 0 {
			s.add(low+o, low+o+1)
		}
	}
	return s
}
