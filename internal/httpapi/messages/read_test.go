package messages

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/format"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestStartOf(t *testing.T) {
	seven := int64(7)
	for text, want := range map[string]consume.From{
		"earliest":                  {Earliest: true},
		"latest":                    {},
		"7":                         {Offset: &seven},
		"-100":                      {Last: 100},
		"2026-11-20T10:00:00Z":      {Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)},
		"2026-11-20T11:00:00+01:00": {Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)},
		"AQEBAAEcXeLM":              {Cursor: "AQEBAAEcXeLM"},
	} {
		got, err := startOf(text)
		same := (got.Offset == nil) == (want.Offset == nil) && (got.Offset == nil || *got.Offset == *want.Offset)
		if err != nil || !same || got.Earliest != want.Earliest || got.Last != want.Last || !got.Time.Equal(want.Time) || got.Cursor != want.Cursor {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "-0", "-10001", "+1", "1.5", "99999999999999999999", "yesterday", "Earliest", "2026-11-20", "0001-01-01T00:00:00Z", "x"} {
		if got, err := startOf(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestLease(t *testing.T) {
	for _, lease := range []uint64{1, 1 << 63, 12345678901234567891} {
		if got, err := parseLease(leaseText(lease)); err != nil || got != lease {
			t.Errorf("%d: %d, %v", lease, got, err)
		}
	}
	for _, text := range []string{"", "x", "AAAAAAAAAAA", leaseText(5) + "A", "AAAAAAAAAA_="} {
		if got, err := parseLease(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "1": time.Second, "0.25": 250 * time.Millisecond, "1e9": time.Minute, "Inf": time.Minute} {
		if got, err := seconds("wait", text, 0, time.Minute); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "NaN", "1s", "-Inf"} {
		if got, err := seconds("wait", text, 0, time.Minute); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

// FuzzMessage has whatever bytes written as a message: it is always one line of JSON, and the bytes can be had back from it.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("k"), []byte("{\"a\":\n1}"), "h", []byte{0xff})
	f.Add([]byte{}, []byte("\xff\r\n"), "\xff", []byte("x"))
	f.Add([]byte("\u2028"), []byte(" 1 "), "", []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte, header string, headerValue []byte) {
		rec := &kgo.Record{Topic: "t", Key: key, Value: value, Headers: []kgo.RecordHeader{{Key: header, Value: headerValue}}}
		for _, r := range []renderer{{}, {format.JSON{}, format.Text{}}, {format.Binary{}, format.Binary{}}} {
			line := r.message(t.Context(), nil, rec, nil)
			var m struct {
				Key, Value json.RawMessage
				Encoding   map[string]string
			}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			for _, c := range line {
				if c == '\n' || c == '\r' {
					t.Fatalf("more than one line: %q", line)
				}
			}
			checkSide(t, key, m.Key, m.Encoding["key"])
			checkSide(t, value, m.Value, m.Encoding["value"])
		}
	})
}

func checkSide(t *testing.T, stored []byte, got json.RawMessage, as string) {
	t.Helper()
	switch {
	case stored == nil:
		if string(got) != "null" || as != "" {
			t.Errorf("null is %s as %q", got, as)
		}
	case as == encodedBase64:
		var back []byte
		if err := json.Unmarshal(got, &back); err != nil || string(back) != string(stored) {
			t.Errorf("%q is %s as base64: %v", stored, got, err)
		}
	case as == encodedText:
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != string(stored) {
			t.Errorf("%q is %s as text: %v", stored, got, err)
		}
	case as != encodedJSON:
		t.Errorf("%q is %s as %q", stored, got, as)
	}
}

// TestFieldsCannotSplitAReply has what others have stored in the place of headers.
func TestFieldsCannotSplitAReply(t *testing.T) {
	h := http.Header{}
	fields(h, &kgo.Record{Topic: "t", Key: []byte("k\r\nX: y"), Value: []byte{}, Headers: []kgo.RecordHeader{
		{Key: "ok", Value: []byte("fine")}, {Key: "bad name", Value: []byte("v")}, {Key: "a", Value: []byte("v\r\nX: y")}, {Key: "n"}, {Key: "", Value: []byte("v")},
		{Key: "b\r\nX", Value: []byte("v")}, {Key: "blank", Value: []byte(" v")},
	}}, nil)
	if h.Get("Kafka-Header-Ok") != "fine" || h.Get("Kafka-Headers-Left-Out") != "6" || h.Get("Kafka-Key-Base64") == "" || len(h) != 7 {
		t.Errorf("%v", h)
	}
}

// TestFieldsAreSmall has a key and record headers that would make a reply that clients refuse.
func TestFieldsAreSmall(t *testing.T) {
	for _, size := range []int{mostField, mostField + 1, 200_000} {
		r := &kgo.Record{Topic: "t", Key: bytes.Repeat([]byte{0xff}, size), Value: []byte{}}
		for range 100 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "h", Value: bytes.Repeat([]byte("v"), 1000)})
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "long", Value: bytes.Repeat([]byte("v"), mostField+1)})
		h := http.Header{}
		fields(h, r, nil)
		left := h.Get("Kafka-Key-Left-Out")
		if size > mostField && (left != strconv.Itoa(size) || h.Get("Kafka-Key-Base64") != "") || size <= mostField && (left != "" || h.Get("Kafka-Key-Base64") == "") {
			t.Errorf("a key of %d bytes: left out %q, base64 of %d", size, left, len(h.Get("Kafka-Key-Base64")))
		}
		if sent := len(h.Values("Kafka-Header-H")); sent != 16 || h.Get("Kafka-Headers-Left-Out") != strconv.Itoa(101-sent) {
			t.Errorf("%d headers of 1,000 bytes are sent, %s left out", sent, h.Get("Kafka-Headers-Left-Out"))
		}
		var b strings.Builder
		if _ = h.Write(&b); b.Len() > 24<<10 {
			t.Errorf("%d bytes of headers", b.Len())
		}
	}
}

// TestBothSidesUndecodable has each side, and both, be something else than the format says.
func TestBothSidesUndecodable(t *testing.T) {
	type failure struct {
		Code      int
		Side      string
		Message   string
		Retriable bool
	}
	for name, test := range map[string]struct {
		key, value         string
		first, valueFailed string
	}{
		"neither": {"1", "2", "", ""},
		"key":     {"x", "2", "key", ""},
		"value":   {"1", "x", "value", ""},
		"both":    {"x", "x", "key", "value"},
	} {
		r := renderer{format.JSON{}, format.JSON{}}
		line := r.message(t.Context(), nil, &kgo.Record{Topic: "t", Key: []byte(test.key), Value: []byte(test.value)}, nil)
		var m struct {
			Error      failure `json:"error"`
			ValueError failure `json:"value_error"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if m.Error.Side != test.first || m.ValueError.Side != test.valueFailed || (m.ValueError.Message != "") != (test.valueFailed != "") {
			t.Errorf("%s: %s", name, line)
		}
	}
}
