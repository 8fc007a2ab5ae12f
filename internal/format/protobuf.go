package format

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxProtoDepth is how deep messages may nest: the limit of Java's parser, beyond which no Java consumer could read them.
const maxProtoDepth = 100

// protobufCodec writes the first message of a file, and reads any of its messages.
type protobufCodec struct {
	file  protoreflect.FileDescriptor
	first protoreflect.MessageDescriptor
	types *dynamicpb.Types
	exact floatUsers // whose numbers are printed anew
}

const protobufRoot = "kafka-rest-main.proto"

// builtinProtos are the files that Confluent's serializers know without a reference, beside those of google/protobuf.
var builtinProtos = map[string]string{
	"confluent/meta.proto": `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta {
  string doc = 1;
  map<string, string> params = 2;
  repeated string tags = 3;
}
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
`,
	"confluent/type/decimal.proto": `syntax = "proto3";
package confluent.type;
message Decimal {
  bytes value = 1;
  uint32 precision = 2;
  int32 scale = 3;
}
`,
}

// compileProtobuf compiles a file and what it imports: its references, and the well-known files.
func compileProtobuf(ctx context.Context, text string, deps []dependency) (codec, error) {
	if protoTooDeep(text) {
		return nil, errProtoDeep
	}
	sources := make(map[string]string, len(deps)+len(builtinProtos)+1)
	maps.Copy(sources, builtinProtos)
	for _, d := range deps {
		sources[d.name] = d.text
	}
	sources[protobufRoot] = text
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(sources)}),
		MaxParallelism: 1,
	}
	files, err := c.Compile(ctx, protobufRoot)
	if err != nil {
		if _, ok := errors.AsType[protocompile.PanicError](err); ok {
			return nil, errors.New("the protobuf schema cannot be compiled")
		}
		return nil, err
	}
	return newProtobufCodec(files[0])
}

var errProtoDeep = fmt.Errorf("the protobuf schema nests deeper than %d", maxProtoDepth)

// protoTooDeep reports whether a file's braces nest deeper than any sensible one's do: the parser takes quadratic time for them.
func protoTooDeep(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[', '<':
			if depth++; depth > maxProtoDepth {
				return true
			}
		case '}', ']', '>':
			depth--
		case '"', '\'':
			i += quotedLength(text[i:])
		case '/':
			i += commentLength(text[i:])
		}
	}
	return false
}

// quotedLength is how far the closing quote of a string is.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0], '\n': // no string goes over a line
			return i
		}
	}
	return 0
}

// commentLength is how far the end of a comment is, 0 for a slash that starts none.
func commentLength(s string) int {
	var end string
	switch {
	case strings.HasPrefix(s, "//"):
		end = "\n"
	case strings.HasPrefix(s, "/*"):
		end = "*/"
	default:
		return 0
	}
	if i := strings.Index(s[2:], end); i >= 0 {
		return 1 + i + len(end)
	}
	return len(s)
}

func newProtobufCodec(file linker.File) (codec, error) {
	if file.Messages().Len() == 0 {
		return nil, errors.New("the protobuf schema has no message")
	}
	all := new(protoregistry.Files)
	if err := registerAll(all, file); err != nil {
		return nil, err
	}
	return &protobufCodec{
		file: file, first: file.Messages().Get(0), types: dynamicpb.NewTypes(all), exact: newFloatUsers(file.Messages()),
	}, nil
}

// registerAll makes a file and its imports known to the resolver of extensions and Any.
func registerAll(all *protoregistry.Files, file protoreflect.FileDescriptor) error {
	if _, err := all.FindFileByPath(file.Path()); err == nil {
		return nil
	}
	imports := file.Imports()
	for i := range imports.Len() {
		if err := registerAll(all, imports.Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return all.RegisterFile(file)
}

func (c *protobufCodec) recordName() string { return string(c.first.FullName()) }

func (c *protobufCodec) encode(dst []byte, v jsontext.Value, _ Options) ([]byte, error) {
	if v.Kind() == 'n' {
		return nil, misfit("Expect message object but got: null")
	}
	m := dynamicpb.NewMessage(c.first)
	o := protojson.UnmarshalOptions{Resolver: c.types, RecursionLimit: maxProtoDepth}
	if err := o.Unmarshal(v, m); err != nil {
		return nil, c.misfit(v, err)
	}
	return appendMessage(appendIndexes(dst, []int{0}), m), nil
}

// misfit words a member that the message has not as Java's JsonFormat does, and other errors as they are: in the library's own spacing,
// which varies on purpose, evened out.
func (c *protobufCodec) misfit(v jsontext.Value, err error) error {
	if v.Kind() == '{' {
		if name, ok := c.unknownField(v); ok {
			return misfitf("Cannot find field: %s in message %s", clipText(name), c.first.FullName())
		}
	}
	return misfit(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
}

// unknownField gives the first member that the message itself has not.
func (c *protobufCodec) unknownField(v jsontext.Value) (string, bool) {
	s := jsonScanner{b: v}
	s.next('{')
	for !s.next('}') {
		name, err := s.member(nil)
		if err != nil {
			return "", false
		}
		fields := c.first.Fields()
		if fields.ByJSONName(string(name)) == nil && fields.ByTextName(string(name)) == nil {
			return string(name), true
		}
		if s.skip() != nil {
			return "", false
		}
		s.next(',')
	}
	return "", false
}

func (c *protobufCodec) decode(_ context.Context, data []byte, _ Options) (jsontext.Value, error) {
	path, body, err := parseIndexes(data)
	if err != nil {
		return nil, err
	}
	desc, err := c.message(path)
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(desc)
	in := proto.UnmarshalOptions{Resolver: c.types, RecursionLimit: maxProtoDepth, AllowPartial: true}
	if err := in.Unmarshal(body, m); err != nil {
		return nil, errors.New("the protobuf data does not fit the message")
	}
	out := protojson.MarshalOptions{Resolver: c.types, UseProtoNames: true, EmitDefaultValues: true, AllowPartial: true}
	text, err := out.Marshal(m)
	if err != nil {
		return nil, errors.New("the protobuf message has no JSON form")
	}
	v := jsontext.Value(text)
	if err := v.Compact(jsontext.PreserveRawStrings(true)); err != nil {
		return nil, fmt.Errorf("compact the JSON of a message: %w", err)
	}
	return c.javaFloats(v, desc), nil
}

// message follows a message index into the file.
func (c *protobufCodec) message(path []int) (protoreflect.MessageDescriptor, error) {
	within := c.file.Messages()
	var out protoreflect.MessageDescriptor
	for _, i := range path {
		if i >= within.Len() {
			return nil, errIndexes
		}
		out = within.Get(i)
		within = out.Messages()
	}
	return out, nil
}
