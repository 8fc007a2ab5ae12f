package format

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// This file rewrites the numbers of a message's JSON as protobuf-java prints them: a float and a double always have a fraction. The
// library prints 5 for 5.0, and nothing but the field's type tells that number from an integer.

// floatUsers are the messages with a float or double in them, or in what they hold.
type floatUsers map[protoreflect.FullName]bool

// The messages whose JSON is not that of their fields, as far as it has numbers.
const (
	anyMessage    = "google.protobuf.Any"
	structMessage = "google.protobuf.Struct"
	listMessage   = "google.protobuf.ListValue"
	valueMessage  = "google.protobuf.Value"
	doubleMessage = "google.protobuf.DoubleValue"
	floatMessage  = "google.protobuf.FloatValue"
)

// newFloatUsers looks at all that messages lead to. A message that can hold any other counts as one with floats.
func newFloatUsers(messages protoreflect.MessageDescriptors) floatUsers {
	users := floatUsers{}
	holders := map[protoreflect.FullName][]protoreflect.FullName{}
	seen := map[protoreflect.FullName]bool{}
	var with []protoreflect.FullName // those found last, whose holders are to be marked
	var visit func(m protoreflect.MessageDescriptor)
	visit = func(m protoreflect.MessageDescriptor) {
		name := m.FullName()
		if seen[name] {
			return
		}
		seen[name] = true
		if name == anyMessage || name == valueMessage {
			with = append(with, name)
		}
		for i := range m.Fields().Len() {
			switch f := m.Fields().Get(i); f.Kind() {
			case protoreflect.FloatKind, protoreflect.DoubleKind:
				with = append(with, name)
			case protoreflect.MessageKind, protoreflect.GroupKind:
				holders[f.Message().FullName()] = append(holders[f.Message().FullName()], name)
				visit(f.Message())
			}
		}
		for i := range m.Messages().Len() {
			visit(m.Messages().Get(i))
		}
	}
	for i := range messages.Len() {
		visit(messages.Get(i))
	}
	for len(with) > 0 {
		name := with[len(with)-1]
		with = with[:len(with)-1]
		if !users[name] {
			users[name] = true
			with = append(with, holders[name]...)
		}
	}
	return users
}

// floatWriter copies JSON, and writes the numbers of floats and doubles anew.
type floatWriter struct {
	users floatUsers
	types *dynamicpb.Types
	in    jsonScanner
	out   []byte
	done  int // how much of the input is in the output
}

// javaFloats gives the JSON of a message with its floats as Java prints them. text is valid JSON without white space.
func (c *protobufCodec) javaFloats(text []byte, m protoreflect.MessageDescriptor) []byte {
	if !c.exact[m.FullName()] {
		return text
	}
	w := floatWriter{users: c.exact, types: c.types, in: jsonScanner{b: text}, out: make([]byte, 0, len(text)+16)}
	w.message(m)
	return append(w.out, text[w.done:]...)
}

func (w *floatWriter) message(m protoreflect.MessageDescriptor) {
	switch m.FullName() {
	case structMessage, listMessage, valueMessage:
		w.free()
	case doubleMessage:
		w.number(64)
	case floatMessage:
		w.number(32)
	case anyMessage:
		w.any()
	default:
		w.object(func(name string) {
			if f := m.Fields().ByTextName(name); f != nil {
				w.field(f)
				return
			}
			_ = w.in.skip() // an extension
		})
	}
}

// object calls member for each member of the object that comes next, to consume its value.
func (w *floatWriter) object(member func(name string)) {
	if !w.in.next('{') {
		_ = w.in.skip() // null
		return
	}
	for !w.in.next('}') {
		name, err := w.in.member(nil)
		if err != nil {
			w.in.i = len(w.in.b) // cannot be: the text is the library's
			return
		}
		member(string(name))
		w.in.next(',')
	}
}

func (w *floatWriter) field(f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		w.object(func(string) { w.single(f.MapValue()) })
	case f.IsList():
		w.in.next('[')
		for !w.in.next(']') && w.in.peek() != 0 {
			w.single(f)
			w.in.next(',')
		}
	default:
		w.single(f)
	}
}

func (w *floatWriter) single(f protoreflect.FieldDescriptor) {
	switch f.Kind() {
	case protoreflect.DoubleKind:
		w.number(64)
	case protoreflect.FloatKind:
		w.number(32)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if w.users[f.Message().FullName()] {
			w.message(f.Message())
			return
		}
		_ = w.in.skip() // the text is the library's
	default:
		_ = w.in.skip() // as above
	}
}

// any finds out what message an Any holds. Its members stand beside @type, or in "value" for those that have a form of their own.
func (w *floatWriter) any() {
	var held protoreflect.MessageDescriptor
	w.object(func(name string) {
		if name == "@type" {
			url, _ := w.in.text(nil) // a string, or nothing is found by it
			if t, err := w.types.FindMessageByURL(string(url)); err == nil {
				held = t.Descriptor()
			}
			return
		}
		if held == nil {
			_ = w.in.skip() // as above
		} else if strings.HasPrefix(string(held.FullName()), "google.protobuf.") && name == "value" {
			w.message(held)
		} else if f := held.Fields().ByTextName(name); f != nil {
			w.field(f)
		} else {
			_ = w.in.skip() // as above
		}
	})
}

// free is the JSON of a Struct or a Value, in which each number is a double.
func (w *floatWriter) free() {
	switch w.in.peek() {
	case '{':
		w.object(func(string) { w.free() })
	case '[':
		w.in.next('[')
		for !w.in.next(']') && w.in.peek() != 0 {
			w.free()
			w.in.next(',')
		}
	default:
		w.number(64)
	}
}

// number writes a number anew, and passes over what is none: "NaN", "Infinity", null.
func (w *floatWriter) number(bits int) {
	if c := w.in.peek(); !startsNumber(c) {
		_ = w.in.skip() // as above
		return
	}
	start := w.in.i
	v, err := strconv.ParseFloat(string(w.in.number()), bits)
	if err != nil {
		return
	}
	w.out = append(w.out, w.in.b[w.done:start]...)
	if bits == 32 {
		w.out = appendJavaFloat(w.out, float32(v))
	} else {
		w.out = appendJavaDouble(w.out, v)
	}
	w.done = w.in.i
}
