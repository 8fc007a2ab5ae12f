package load

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The media types of the v2 API that the loads use.
const (
	TypeV2     = "application/vnd.kafka.v2+json"
	TypeJSON   = "application/vnd.kafka.json.v2+json"
	TypeBinary = "application/vnd.kafka.binary.v2+json"
)

// Request builds the bytes of one HTTP/1.1 request. An empty contentType or accept leaves the header away; an empty body is sent
// with a length of 0 for a method that may carry one.
func Request(method, host, path, contentType, accept, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	if contentType != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", contentType)
	}
	if accept != "" {
		fmt.Fprintf(&b, "Accept: %s\r\n", accept)
	}
	if body != "" || (method != "GET" && method != "HEAD") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	return []byte(b.String())
}

// Value is a JSON object of exactly size bytes (at least 32) that carries id; it holds no word that a reply's member could be
// taken for.
func Value(id, size int) string {
	head := `{"id":` + strconv.Itoa(id) + `,"pad":"`
	const tail = `"}`
	return head + strings.Repeat("x", max(0, size-len(head)-len(tail))) + tail
}

// Varied is a JSON object of exactly size bytes (at least 64) as an application might send it: half of it is like that of any other id.
func Varied(id, size int) string {
	random := rand.New(rand.NewPCG(uint64(id), 3))
	head := `{"order":` + strconv.Itoa(id) + `,"state":"accepted","customer":"`
	const digits, tail = "0123456789abcdef", `"}`
	b := []byte(head)
	for len(b) < size-len(tail) {
		b = append(b, digits[random.IntN(len(digits))])
	}
	return string(append(b, tail...))
}

// ProduceJSON is a v2 produce body with the given count of records, each a JSON value of size bytes.
func ProduceJSON(records, size int) string {
	return envelope(records, func(i int) string { return Value(i, size) })
}

// ProduceBinary is a v2 produce body with the given count of records, each size arbitrary but repeatable bytes in base64.
func ProduceBinary(records, size int) string {
	random := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, size)
	return envelope(records, func(int) string {
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		return `"` + base64.StdEncoding.EncodeToString(raw) + `"`
	})
}

func envelope(records int, value func(i int) string) string {
	var b strings.Builder
	b.WriteString(`{"records":[`)
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"value":` + value(i) + `}`)
	}
	b.WriteString(`]}`)
	return b.String()
}
