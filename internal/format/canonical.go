package format

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
)

// Canonical checks a schema text and gives the text that a registry keeps, and an identity: a text that is equal for schemas that differ
// in their spelling only. names and texts are what the schema refers to, what is referred to first. It does no I/O.
//
// Avro is written as Java prints it, JSON Schema without white space, Protobuf as it came. Avro defaults that do not fit their types, which
// the formats put up with in schemas that exist, are refused.
func Canonical(ctx context.Context, typ sr.SchemaType, text string, names, texts []string) (canonical, identity string, err error) {
	deps := make([]dependency, len(names))
	for i, name := range names {
		deps[i] = dependency{name: name, text: texts[i]}
	}
	c, err := compile(ctx, typ, text, deps)
	if err != nil {
		return "", "", err
	}
	switch c := c.(type) {
	case *avroCodec:
		if err := strictAvro(text, texts); err != nil {
			return "", "", err
		}
		canonical, err = canonicalAvro(text)
		return canonical, canonical, err
	case *jsonSchemaCodec:
		v := jsontext.Value(text)
		err = v.Compact(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true))
		return string(v), string(v), err
	case *protobufCodec:
		file := protodesc.ToFileDescriptorProto(c.file)
		file.Name = nil
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
		return text, string(wire), err
	}
	return "", "", fmt.Errorf("schema type %s has no canonical form", typ)
}

func strictAvro(text string, deps []string) error {
	var known avro.SchemaCache
	for _, d := range deps {
		if _, err := parseAvro(&known, d); err != nil {
			return err
		}
	}
	_, err := known.Parse(text)
	return err
}
