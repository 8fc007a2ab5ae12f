package consume

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"kafkarest"
)

// Cursor is a place in a topic: the offset of the next record to read of each partition. Its text form is opaque to clients, holds all of
// it, and says by its first byte how it is written, so that any node of any later version can read it. The zero value is no place.
type Cursor struct { //nolint:recvcheck // Advance alone changes it
	Topic string
	Whole bool       // it stands for the whole topic: partitions that are added to the topic later begin at their first record
	Ahead bool       // the offset is a number that a client chose: one beyond the end is waited for
	Next  []Position // by partition, ascending, each once; their Topic is Topic
}

const (
	cursorVersion = 1
	cursorWhole   = 1 // flags
	cursorAhead   = 2
	cursorMost    = 64 << 10
)

var cursorText = base64.RawURLEncoding.Strict()

// String is version, flags, the number of partitions, for each of them the distance from the one before and the offset, and a checksum that
// covers the topic's name too. It begins with a letter, which no number and no time does.
func (c Cursor) String() string {
	b := make([]byte, 0, 16+6*len(c.Next))
	flags := byte(0)
	if c.Whole {
		flags = cursorWhole
	}
	if c.Ahead {
		flags |= cursorAhead
	}
	b = append(b, cursorVersion, flags)
	b = binary.AppendUvarint(b, uint64(len(c.Next)))
	before := int32(-1)
	for _, p := range c.Next {
		b = binary.AppendUvarint(b, uint64(p.Partition-before-1))
		b = binary.AppendUvarint(b, uint64(p.Offset))
		before = p.Partition
	}
	b = binary.BigEndian.AppendUint32(b, cursorSum(c.Topic, b))
	return cursorText.EncodeToString(b)
}

func cursorSum(topic string, data []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(topic), table), table, data)
}

var errCursor = errors.New("not a cursor of this topic")

// ParseCursor reads what String wrote for the same topic. Errors: CodeUnprocessable for anything else.
func ParseCursor(topic, text string) (Cursor, error) {
	c, err := parseCursor(topic, text)
	if err != nil {
		return Cursor{}, kafkarest.Wrap(kafkarest.CodeUnprocessable, err,
			fmt.Sprintf("The cursor is not one that was given out for topic %s: use the next of an earlier reply as it is.", topic))
	}
	return c, nil
}

func parseCursor(topic, text string) (Cursor, error) {
	c := Cursor{Topic: topic}
	if len(text) > 2*cursorMost {
		return c, errCursor
	}
	b, err := cursorText.DecodeString(text)
	if err != nil || len(b) < 7 || b[0] != cursorVersion || b[1]&^(cursorWhole|cursorAhead) != 0 {
		return c, errCursor
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(body):]) != cursorSum(topic, body) {
		return c, errCursor
	}
	c.Whole, c.Ahead = b[1]&cursorWhole != 0, b[1]&cursorAhead != 0
	r := varints{body[2:], false}
	count := r.next(cursorMost)
	if uint64(len(r.b)) < 2*count { // before memory is taken for it
		return c, errCursor
	}
	c.Next = make([]Position, 0, count)
	partition := int64(-1)
	for range count {
		partition += int64(r.next(1<<31-1)) + 1
		offset := r.next(1<<63 - 1)
		if r.bad || partition > 1<<31-1 {
			return c, errCursor
		}
		c.Next = append(c.Next, Position{TopicPartition{topic, int32(partition)}, int64(offset)})
	}
	if r.bad || len(r.b) > 0 {
		return c, errCursor
	}
	return c, nil
}

// varints reads unsigned varints one after another.
type varints struct {
	b   []byte
	bad bool
}

// next gives 0 and sets bad when there is none, or one above most, or one that is longer than it must be.
func (r *varints) next(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most || n > 1 && r.b[n-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Clone is a copy that can be advanced apart.
func (c Cursor) Clone() Cursor {
	c.Next = slices.Clone(c.Next)
	return c
}

// Advance notes that everything before offset has been read of a partition. Partitions that the cursor does not have are added.
func (c *Cursor) Advance(partition int32, offset int64) {
	i, ok := slices.BinarySearchFunc(c.Next, partition, func(p Position, n int32) int { return cmp.Compare(p.Partition, n) })
	if ok {
		c.Next[i].Offset = offset
		return
	}
	c.Next = slices.Insert(c.Next, i, Position{TopicPartition{c.Topic, partition}, offset})
}

// Only is the cursor with those partitions alone.
func (c Cursor) Only(partitions []int32) Cursor {
	c.Whole = false
	c.Next = slices.DeleteFunc(slices.Clone(c.Next), func(p Position) bool { return !slices.Contains(partitions, p.Partition) })
	return c
}
