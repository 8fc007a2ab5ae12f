package messages

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

// TestFingerprint: requests that store the same are the same, however their clients want to hear of it.
func TestFingerprint(t *testing.T) {
	body := sha256.Sum256([]byte("x"))
	of := func(target string, headers ...string) [sha256.Size]byte {
		r := httptest.NewRequest(http.MethodPost, target, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return fingerprint(r, body)
	}
	first := of("/messages/t?key=a&acks=1", "Kafka-Header-A", "b", "Content-Type", "text/plain")
	for _, same := range []string{"key=a&acks=1&async=true", "async=false&key=a&acks=1", "key=a&callback=https://x/&acks=1&timeout=5", "key=a&%61sync=true&acks=1"} {
		if of("/messages/t?"+same, "Kafka-Header-A", "b", "Content-Type", "text/plain", "Kafka-Callback", "https://x/", "Prefer", "respond-async") != first {
			t.Errorf("%s is another request", same)
		}
	}
	for _, different := range []string{"key=b&acks=1", "key=a", "key=a&acks=1&partition=0", "key=a&acks=1&header=async:true"} {
		if of("/messages/t?"+different, "Kafka-Header-A", "b", "Content-Type", "text/plain") == first {
			t.Errorf("%s is the same request", different)
		}
	}
	if of("/messages/t?key=a&acks=1", "Content-Type", "text/plain") == first {
		t.Error("a header of the record is left out")
	}
}

// TestRecount: what a result says comes out of it again as it went in.
func TestRecount(t *testing.T) {
	stored := produce.Result{Partition: 1, Offset: 7, Timestamp: time.UnixMilli(1)}
	failed := func(code kafkarest.Code, message string) produce.Result {
		return produce.Result{Partition: kafkarest.AnyPartition, Err: kafkarest.Errorf(code, "%s", message)}
	}
	large := produce.Result{Partition: 3, Err: kafkarest.Wrap(kafkarest.CodeKafka, produce.ErrTooLarge, `"error": too large`)}
	doubt := failed(kafkarest.CodeInDoubt, "who knows")
	for _, results := range [][]produce.Result{
		{stored}, {stored, large, stored}, {large}, {doubt}, {large, doubt}, {large, failed(kafkarest.CodeUnprocessable, "no")}, {stored, doubt},
	} {
		var want tally
		result := appendOffsets(nil, func(i int) target { return target{"t", results[i].Partition} }, results, &want)
		var lines int
		got, err := recount(result, func(jsontext.Value) { lines++ })
		want.retryAfter = 0
		if err != nil || got.tally != want || got.count != len(results) || lines != len(results) {
			t.Errorf("%s: %+v, want %+v, %v", result, got, want, err)
		}
		if single := len(results) == 1 && results[0].Err != nil; single != (len(got.single) == 1) || single && got.single[0].Partition != results[0].Partition {
			t.Errorf("%s: %+v", result, got.single)
		}
	}
	if _, err := recount([]byte(`[{"a":1`), func(jsontext.Value) {}); err == nil {
		t.Error("what is cut off is taken")
	}
}

// TestWaitPreference: how long a client wants to wait, within what is allowed (RFC 7240 §4.3).
func TestWaitPreference(t *testing.T) {
	a := &API{cfg: Config{MaxWait: time.Minute}}
	for prefer, want := range map[string]time.Duration{
		"wait=5": 5 * time.Second, "respond-async, Wait=5": 5 * time.Second, `wait="7"`: 7 * time.Second, "wait=90": time.Minute,
		"wait=99999999999": time.Minute, "wait=99999999999999999999999": time.Minute, "wait=1;x": time.Second, "wait=1 ; x=y": time.Second,
		"": 0, "wait": 0, "wait=x": 0, "wait=-1": 0, "return=minimal": 0,
	} {
		if got, _ := a.wait(http.Header{"Prefer": {prefer}}); got != want {
			t.Errorf("%s: %v, want %v", prefer, got, want)
		}
	}
}
