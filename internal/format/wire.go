package format

import (
	"encoding/binary"
	"errors"
	"slices"
)

// The wire format of Confluent's serializers: a zero byte, the schema id as four bytes big-endian and, for protobuf, the place of the
// message in its file.
const headerSize = 5

var (
	errNoHeader = errors.New("not in the Schema Registry's wire format: it does not start with a zero byte and a schema id")
	errIndexes  = errors.New("the protobuf message index is malformed")
)

func appendHeader(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}

// parseHeader gives the schema id of data and what follows it.
func parseHeader(data []byte) (int, []byte, error) {
	if len(data) < headerSize || data[0] != 0 {
		return 0, nil, errNoHeader
	}
	return int(binary.BigEndian.Uint32(data[1:])), data[headerSize:], nil
}

// maxIndexes is how deep messages nest in messages at most: protobuf compilers take fewer.
const maxIndexes = 64

// appendIndexes writes the place of a message. The first message of a file, by far the commonest, is a single zero.
func appendIndexes(dst []byte, path []int) []byte {
	if slices.Equal(path, []int{0}) {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(path)))
	for _, i := range path {
		dst = binary.AppendVarint(dst, int64(i))
	}
	return dst
}

// parseIndexes is the inverse of appendIndexes, and gives what follows. It takes the long form of the first message too.
func parseIndexes(data []byte) ([]int, []byte, error) {
	count, n := binary.Varint(data)
	if n <= 0 || count < 0 || count > maxIndexes {
		return nil, nil, errIndexes
	}
	data = data[n:]
	if count == 0 {
		return []int{0}, data, nil
	}
	path := make([]int, count)
	for i := range path {
		v, n := binary.Varint(data)
		if n <= 0 || v < 0 || v > 1<<20 {
			return nil, nil, errIndexes
		}
		path[i], data = int(v), data[n:]
	}
	return path, data, nil
}
