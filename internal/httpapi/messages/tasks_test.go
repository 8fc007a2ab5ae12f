package messages

import (
	"bytes"
	"testing"

	"kafkarest"
	"kafkarest/internal/produce"
)

// TestSizeOf: all that a request may make large counts against the budget of tasks.
func TestSizeOf(t *testing.T) {
	const large = 10_000
	data := bytes.Repeat([]byte("x"), large)
	least := sizeOf([]produce.Message{{Topic: "t"}})
	for name, m := range map[string]produce.Message{
		"key":         {Key: data},
		"value":       {Value: data},
		"header":      {Headers: []kafkarest.Header{{Key: "h", Value: data}}},
		"header name": {Headers: []kafkarest.Header{{Key: string(data)}}},
	} {
		if n := sizeOf([]produce.Message{m}); n < least+large || n > least+large+100 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// TestSeveralTopics: whose tasks do not wait as bytes.
func TestSeveralTopics(t *testing.T) {
	if a, b := (produce.Message{Topic: "a"}), (produce.Message{Topic: "b"}); severalTopics(nil) || severalTopics([]produce.Message{a, a}) || !severalTopics([]produce.Message{a, a, b}) {
		t.Error("one is several, or several are one")
	}
}
