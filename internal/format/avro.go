package format

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
)

// This file turns an Avro schema into a plan; avro_encode.go and avro_decode.go walk the plan with the data. Between JSON and Avro's
// binary nothing is built: the texts and the bytes are those of Java Avro 1.12's JsonDecoder and JsonEncoder, which a codec over
// generic values gives only after a second walk.

type avroKind uint8

const (
	avroNull avroKind = iota
	avroBoolean
	avroInt
	avroLong
	avroFloat
	avroDouble
	avroString
	avroBytes
	avroFixed
	avroEnum
	avroArray
	avroMap
	avroRecord
	avroUnion
)

var avroKinds = map[string]avroKind{
	"null": avroNull, "boolean": avroBoolean, "int": avroInt, "long": avroLong, "float": avroFloat, "double": avroDouble,
	"string": avroString, "bytes": avroBytes, "fixed": avroFixed, "enum": avroEnum, "array": avroArray, "map": avroMap,
	"record": avroRecord, "error": avroRecord, "union": avroUnion,
}

// avroNode is one type of a schema. Recursive schemas make it a graph.
type avroNode struct {
	kind  avroKind
	label string // how a union's tag names the type

	fields     []avroField // record
	fieldIndex map[string]int

	elem *avroNode // items of an array, values of a map

	branches    []*avroNode // union
	branchIndex map[string]int
	nullBranch  int // -1 for none

	symbols     []string // enum
	symbolIndex map[string]int

	size int // fixed

	logical   string // for Options.Plain
	precision int
	scale     int
}

type avroField struct {
	name string
	key  []byte // the name as a JSON member's start: "name":
	node *avroNode
	fill func() ([]byte, error) // the default in binary; nil for none
}

type avroCodec struct{ root *avroNode }

// compileAvro parses a schema and what it refers to.
func compileAvro(text string, deps []dependency) (codec, error) {
	b := avroBuilder{named: map[string]*avroNode{}}
	var known avro.SchemaCache
	for _, d := range deps {
		s, err := parseAvro(&known, d.text)
		if err != nil {
			return nil, fmt.Errorf("reference %q: %w", d.name, err)
		}
		if _, err := b.node(s.Root(), ""); err != nil {
			return nil, fmt.Errorf("reference %q: %w", d.name, err)
		}
	}
	s, err := parseAvro(&known, text)
	if err != nil {
		return nil, err
	}
	root, err := b.node(s.Root(), "")
	if err != nil {
		return nil, err
	}
	return &avroCodec{root: root}, nil
}

// parseAvro takes schemas whose defaults do not fit their types, as Java's serializers do: older registries let them in, and records
// written with them are about. Such a schema is used without its defaults.
func parseAvro(known *avro.SchemaCache, text string) (*avro.Schema, error) {
	s, err := known.Parse(text)
	if err == nil {
		return s, nil
	}
	bare, printErr := withoutDefaults(text)
	if printErr != nil {
		return nil, err
	}
	if s, bareErr := known.Parse(bare); bareErr == nil {
		return s, nil
	}
	return nil, err
}

func (c *avroCodec) recordName() string {
	switch c.root.kind {
	case avroRecord, avroEnum, avroFixed:
		return c.root.label
	}
	return ""
}

// nullable reports whether the schema itself takes null.
func (c *avroCodec) nullable() bool {
	return c.root.kind == avroNull || c.root.kind == avroUnion && c.root.nullBranch >= 0
}

func (c *avroCodec) encode(dst []byte, v jsontext.Value, o Options) ([]byte, error) {
	if v.Kind() == 'n' && c.nullable() {
		// The Confluent REST Proxy has no bytes for it either, and answers 500.
		return nil, kafkarest.Wrap(kafkarest.CodeBadRequest, errTopLevelNull, "Bad Request: null has no bytes in this nullable Avro schema: "+
			"leave the schema out, or set null.request.body.always.publishes.empty.record=true for a tombstone.")
	}
	w := avroWriter{out: dst, in: jsonScanner{b: v}, o: o}
	if err := w.top(c.root); err != nil {
		return nil, err
	}
	return w.out, nil
}

var errTopLevelNull = errors.New("a null key or value of a nullable Avro schema has no form in the wire format")

func (c *avroCodec) decode(_ context.Context, data []byte, o Options) (jsontext.Value, error) {
	r := avroReader{in: data, o: o, out: make([]byte, 0, 2*len(data)+64)}
	if err := r.top(c.root); err != nil {
		return nil, err
	}
	return r.out, nil
}

// avroBuilder makes nodes. named holds all records, enums and fixeds met so far by full name, those of references included.
type avroBuilder struct {
	named map[string]*avroNode
	depth int
}

var errAvroDepth = errors.New("the Avro schema nests too deep")

// node makes the plan of n, which stands in the namespace ns.
func (b *avroBuilder) node(n *avro.SchemaNode, ns string) (*avroNode, error) {
	if b.depth++; b.depth > MaxDepth {
		return nil, errAvroDepth
	}
	defer func() { b.depth-- }()
	kind, ok := avroKinds[n.Type]
	if !ok || n.Type == n.Name {
		return b.reference(n, ns)
	}
	out := &avroNode{kind: kind, label: n.Type, logical: n.LogicalType, precision: n.Precision, scale: n.Scale, size: n.Size}
	switch kind {
	case avroRecord, avroEnum, avroFixed:
		return out, b.define(out, n)
	case avroArray:
		return out, b.element(out, n.Items, ns)
	case avroMap:
		return out, b.element(out, n.Values, ns)
	case avroUnion:
		return out, b.union(out, n, ns)
	}
	return out, nil
}

func (b *avroBuilder) reference(n *avro.SchemaNode, ns string) (*avroNode, error) {
	if ns != "" && !strings.Contains(n.Type, ".") {
		if found := b.named[ns+"."+n.Type]; found != nil {
			return found, nil
		}
	}
	if found := b.named[n.Type]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("unknown Avro type %q", n.Type)
}

// define fills a named type. It is known before its fields are looked at: they may refer to it.
func (b *avroBuilder) define(out *avroNode, n *avro.SchemaNode) error {
	name, ns := n.Name, n.Namespace
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name, ns = name[i+1:], name[:i]
	}
	out.label = name
	if ns != "" {
		out.label = ns + "." + name
	}
	b.named[out.label] = out
	switch out.kind {
	case avroEnum:
		out.symbols = n.Symbols
		out.symbolIndex = indexOf(n.Symbols)
	case avroRecord:
		return b.fields(out, n.Fields, ns)
	}
	return nil
}

func (b *avroBuilder) fields(out *avroNode, fields []avro.SchemaField, ns string) error {
	out.fields = make([]avroField, len(fields))
	out.fieldIndex = make(map[string]int, len(fields))
	for i := range fields {
		f := &fields[i]
		node, err := b.node(&f.Type, ns)
		if err != nil {
			return err
		}
		key, err := jsontext.AppendQuote(nil, f.Name)
		if err != nil {
			return err
		}
		out.fields[i] = avroField{name: f.Name, key: append(key, ':'), node: node, fill: defaultOf(f)}
		out.fieldIndex[f.Name] = i
	}
	return nil
}

func (b *avroBuilder) element(out *avroNode, n *avro.SchemaNode, ns string) (err error) {
	out.elem, err = b.node(n, ns)
	return err
}

func (b *avroBuilder) union(out *avroNode, n *avro.SchemaNode, ns string) error {
	out.nullBranch = -1
	out.branchIndex = make(map[string]int, len(n.Branches))
	for i := range n.Branches {
		branch, err := b.node(&n.Branches[i], ns)
		if err != nil {
			return err
		}
		out.branches = append(out.branches, branch)
		out.branchIndex[branch.label] = i
		if branch.kind == avroNull {
			out.nullBranch = i
		}
	}
	return nil
}

func indexOf(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, n := range names {
		out[n] = i
	}
	return out
}
