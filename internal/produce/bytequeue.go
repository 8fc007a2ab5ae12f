package produce

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// byteQueue holds byte strings, first in, first out, in few pieces of memory. What is neither at its front nor at its end is compressed: it
// may have to wait for long, and what waits is often alike.
type byteQueue struct {
	chunks []chunk // the first is read from, the last is written to
	at     int     // in the first
}

type chunk struct {
	data   []byte
	packed bool
}

// The sizes of a chunk: each is twice as large as the one before it, so that a short queue is small.
const (
	firstChunk = 1 << 10
	lastChunk  = 64 << 10
)

func (q *byteQueue) empty() bool { return len(q.chunks) == 0 }

func (q *byteQueue) push(data []byte) {
	need := binary.MaxVarintLen64 + len(data)
	if last := len(q.chunks) - 1; last < 0 || cap(q.chunks[last].data)-len(q.chunks[last].data) < need {
		size := firstChunk
		if last >= 0 {
			size = min(2*cap(q.chunks[last].data), lastChunk)
		}
		if last > 0 {
			q.chunks[last].pack()
		}
		q.chunks = append(q.chunks, chunk{data: make([]byte, 0, max(size, need))})
	}
	tail := &q.chunks[len(q.chunks)-1]
	tail.data = binary.AppendUvarint(tail.data, uint64(len(data)))
	tail.data = append(tail.data, data...)
}

// pop takes the first away. What it returns stays as it is.
func (q *byteQueue) pop() []byte {
	head := &q.chunks[0]
	head.unpack()
	in := reading(head.data[q.at:])
	out := in.next(int(in.uvarint()))
	if q.at = len(head.data) - len(in); len(in) == 0 {
		head.data = nil
		q.chunks, q.at = q.chunks[1:], 0
	}
	return out
}

// pack compresses a chunk where that is worth anything.
func (c *chunk) pack() {
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	if out := e.EncodeAll(c.data, nil); len(out) < len(c.data)/8*7 {
		c.data, c.packed = slices.Clone(out), true
	}
}

func (c *chunk) unpack() {
	if !c.packed {
		return
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	data, err := d.DecodeAll(c.data, make([]byte, 0, lastChunk))
	if err != nil {
		panic(fmt.Sprintf("what was compressed a while ago: %v", err))
	}
	c.data, c.packed = data, false
}

// Neither has goroutines as long as only EncodeAll and DecodeAll are called.
var (
	encoders = sync.Pool{New: func() any {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(lastChunk), zstd.WithEncoderCRC(false)))
	}}
	decoders = sync.Pool{New: func() any {
		return must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)))
	}}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // an option that is not valid
	}
	return v
}
