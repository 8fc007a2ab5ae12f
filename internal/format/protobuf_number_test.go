package format

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestFloatsInAny: numbers are printed as Java does also where the field's type is found out by the record.
func TestFloatsInAny(t *testing.T) {
	const schema = `syntax = "proto3"; package p; import "google/protobuf/any.proto"; import "google/protobuf/wrappers.proto";
		message M { google.protobuf.Any a = 1; google.protobuf.DoubleValue w = 2; } message D { double d = 1; int32 i = 2; } message N { M m = 1; int32 i = 2; }`
	c, err := compileProtobuf(t.Context(), schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"a":{"@type":"type.googleapis.com/p.D","d":5.0,"i":5}}`,
		`{"a":{"@type":"type.googleapis.com/google.protobuf.DoubleValue","value":5.0},"w":-0.0}`,
		`{"a":{"@type":"type.googleapis.com/p.N","m":{"w":1.0E-5},"i":0}}`,
		`{"a":{"@type":"type.googleapis.com/p.M","a":{"@type":"type.googleapis.com/p.D","d":0.001,"i":0}}}`,
	} {
		data, err := c.encode(nil, jsontext.Value(text), Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := c.decode(t.Context(), data, Options{}); err != nil || string(got) != text {
			t.Errorf("%s comes back as %s %v", text, got, err)
		}
	}
}

// TestFloatUsers: only what leads to a float is walked over a second time.
func TestFloatUsers(t *testing.T) {
	const schema = `syntax = "proto3"; message A { B b = 1; } message B { A a = 1; C c = 2; } message C { float f = 1; } message D { D d = 1; int32 i = 2; }`
	c, err := compileProtobuf(t.Context(), schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	users := c.(*protobufCodec).exact
	if len(users) != 3 || !users["A"] || !users["B"] || !users["C"] || users["D"] {
		t.Errorf("%v", users)
	}
}
