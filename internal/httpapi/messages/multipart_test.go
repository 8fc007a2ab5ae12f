package messages

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

// TestPartKeepsNoRoom: a part holds about as much memory as counts for it, however its bytes come.
func TestPartKeepsNoRoom(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 70_000, 1_100_000} {
		want := strings.Repeat("x", size)
		body, err := readAll(iotest.HalfReader(strings.NewReader(want)))
		if err != nil || body == nil || !bytes.Equal(body, []byte(want)) {
			t.Fatalf("%d bytes: %d, %v", size, len(body), err)
		}
		if size > 1000 && cap(body) > size+size/4 {
			t.Errorf("%d bytes are kept in %d", size, cap(body))
		}
	}
}
