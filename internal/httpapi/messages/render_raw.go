package messages

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"kafkarest/internal/httpapi"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Clients and proxies refuse a reply whose headers are large, and with it the place of the next message: they would ask for this one for ever.
// What is larger is told of, and JSON has it.
const (
	mostField  = 4 << 10  // bytes of a key, or of the value of a record header
	mostFields = 16 << 10 // of all record headers together
)

// fields writes what a message has beside its value as headers, of a reply or of a part: those that a produce request takes, and the place.
func fields(h http.Header, r *kgo.Record, out *handedOut) {
	h.Set("Kafka-Topic", r.Topic)
	h.Set("Kafka-Partition", strconv.Itoa(int(r.Partition)))
	h.Set("Kafka-Offset", strconv.FormatInt(r.Offset, 10))
	h.Set("Kafka-Timestamp", strconv.FormatInt(r.Timestamp.UnixMilli(), 10))
	if r.Value == nil {
		h.Set("Kafka-Tombstone", "true")
	}
	switch {
	case r.Key == nil:
	case len(r.Key) > mostField:
		h.Set("Kafka-Key-Left-Out", strconv.Itoa(len(r.Key)))
	case len(r.Key) > 0 && plain(string(r.Key)):
		h.Set("Kafka-Key", string(r.Key))
	default:
		h.Set("Kafka-Key-Base64", base64.StdEncoding.EncodeToString(r.Key))
	}
	if left := recordFields(h, r.Headers); left > 0 { // a header of HTTP cannot carry them: JSON can
		h.Set("Kafka-Headers-Left-Out", strconv.Itoa(left))
	}
	if out != nil {
		h.Set("Kafka-Ack", out.ack)
		h.Set("Kafka-Delivery-Count", strconv.Itoa(out.held.Deliveries))
		h.Set("Kafka-Deadline", timeText(out.held.Deadline))
	}
}

// recordFields writes the headers of a record that HTTP can carry, and counts the others.
func recordFields(h http.Header, headers []kgo.RecordHeader) (left int) {
	room := mostFields
	for _, header := range headers {
		size := len("Kafka-Header-: \r\n") + len(header.Key) + len(header.Value)
		if header.Value == nil || size > room || !isToken(header.Key) || !plain(string(header.Value)) {
			left++
			continue
		}
		room -= size
		h.Add("Kafka-Header-"+header.Key, string(header.Value))
	}
	return left
}

// isToken reports whether text may be part of a header's name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// plain reports whether text survives as the value of a header: printable ASCII that does not begin or end with a blank.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return strings.TrimSpace(s) == s && len(s) <= mostField
}

// replyRaw answers with the bytes of one value. The type is not the one that the message claims: a browser must not run what is stored.
func replyRaw(c *httpapi.Call, r *kgo.Record, out *handedOut) error {
	fields(c.Header(), r, out)
	c.Header().Set("X-Content-Type-Options", "nosniff")
	return c.Reply(http.StatusOK, r.Value)
}

// replyParts answers with a part for each message.
func replyParts(c *httpapi.Call, records []*kgo.Record, out func(int) *handedOut) error {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i, r := range records {
		h := http.Header{"Content-Type": {partType(r)}}
		fields(h, r, out(i))
		part, err := w.CreatePart(textproto.MIMEHeader(h))
		if err != nil {
			return err
		}
		if _, err := part.Write(r.Value); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Accept = typeMultipart + "; boundary=" + w.Boundary()
	c.Header().Set("X-Content-Type-Options", "nosniff")
	return c.Reply(http.StatusOK, body.Bytes())
}

// partType is the content-type that the message was stored with, if it has one.
func partType(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == "content-type" && len(h.Value) > 0 && plain(string(h.Value)) {
			return string(h.Value)
		}
	}
	return typeRaw
}
