package format

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// This file prints Avro schemas as Java's Schema.toString does, which is the text that Java clients register: without white space, the
// attributes in a fixed order, names without the namespace that surrounds them, and plain types as plain strings.

var (
	avroNamedOrder = []string{"type", "name", "namespace", "doc", "fields", "symbols", "size", "items", "values", "default"}
	avroFieldOrder = []string{"name", "type", "doc", "default", "order", "aliases"}

	errAvroText = errors.New("the Avro schema is not of the form that can be printed")
)

type jsonMember struct {
	name  string
	value jsontext.Value
}

// canonicalAvro prints a schema.
func canonicalAvro(text string) (string, error) { return printAvro(text, false) }

// withoutDefaults prints a schema without the defaults of its fields.
func withoutDefaults(text string) (string, error) { return printAvro(text, true) }

func printAvro(text string, bare bool) (string, error) {
	v := jsontext.Value(text)
	if !v.IsValid() || TooDeep(v, MaxDepth) {
		return "", errAvroText
	}
	p := avroPrinter{bare: bare}
	if err := p.schema(v, ""); err != nil {
		return "", err
	}
	return string(p.out), nil
}

type avroPrinter struct {
	out  []byte
	bare bool // leaves defaults of fields out
}

func (p *avroPrinter) schema(v jsontext.Value, space string) error {
	s := jsonScanner{b: v}
	switch s.peek() {
	case '"':
		return p.name(v, space)
	case '[':
		return p.list(v, func(e jsontext.Value) error { return p.schema(e, space) })
	case '{':
		return p.object(v, space)
	}
	return errAvroText
}

// name prints a reference, short where the namespace is the one around it.
func (p *avroPrinter) name(v jsontext.Value, space string) error {
	name, err := jsonString(v)
	if err != nil {
		return err
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 && name[:i] == space {
		name = name[i+1:]
	}
	p.quote(name)
	return nil
}

func (p *avroPrinter) object(v jsontext.Value, space string) error {
	members, err := objectMembers(v)
	if err != nil {
		return err
	}
	typ := find(members, "type")
	kind, err := jsonString(typ)
	if err != nil {
		return err
	}
	if len(members) == 1 && kind != "record" {
		return p.name(typ, space)
	}
	inner := space
	if find(members, "name") != nil && (kind == "record" || kind == "error" || kind == "enum" || kind == "fixed") {
		if members, inner, err = splitName(members, space); err != nil {
			return err
		}
	}
	order(members, avroNamedOrder)
	return p.members(members, func(m jsonMember) error { return p.attribute(m, inner) })
}

// attribute prints one attribute of a type.
func (p *avroPrinter) attribute(m jsonMember, space string) error {
	switch m.name {
	case "items", "values":
		return p.schema(m.value, space)
	case "fields":
		return p.list(m.value, func(f jsontext.Value) error { return p.field(f, space) })
	}
	return p.value(m.value)
}

func (p *avroPrinter) field(v jsontext.Value, space string) error {
	members, err := objectMembers(v)
	if err != nil {
		return err
	}
	members = slices.DeleteFunc(members, func(m jsonMember) bool {
		if p.bare && m.name == "default" {
			return true
		}
		ascending, err := jsonString(m.value)
		return m.name == "order" && err == nil && ascending == "ascending"
	})
	order(members, avroFieldOrder)
	return p.members(members, func(m jsonMember) error {
		if m.name == "type" {
			return p.schema(m.value, space)
		}
		return p.value(m.value)
	})
}

// splitName makes "name" the short name and "namespace" the rest, left out where it is the one around it.
func splitName(members []jsonMember, space string) ([]jsonMember, string, error) {
	name, err := jsonString(find(members, "name"))
	if err != nil {
		return nil, "", err
	}
	inner := space
	if given := find(members, "namespace"); given != nil {
		if inner, err = jsonString(given); err != nil {
			return nil, "", err
		}
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name, inner = name[i+1:], name[:i]
	}
	out := slices.DeleteFunc(members, func(m jsonMember) bool { return m.name == "name" || m.name == "namespace" })
	out = append(out, jsonMember{"name", appendJavaString(nil, []byte(name))})
	if inner != space {
		out = append(out, jsonMember{"namespace", appendJavaString(nil, []byte(inner))})
	}
	return out, inner, nil
}

// order sorts members by their place in names. Those that are not in it follow in their own order, aliases last of all as in Java.
func order(members []jsonMember, names []string) {
	rank := func(m jsonMember) int {
		if i := slices.Index(names, m.name); i >= 0 {
			return i
		}
		if m.name == "aliases" {
			return len(names) + 1
		}
		return len(names)
	}
	slices.SortStableFunc(members, func(a, b jsonMember) int { return rank(a) - rank(b) })
}

func find(members []jsonMember, name string) jsontext.Value {
	for _, m := range members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (p *avroPrinter) quote(s string) { p.out = appendJavaString(p.out, []byte(s)) }

func (p *avroPrinter) members(members []jsonMember, value func(jsonMember) error) error {
	p.out = append(p.out, '{')
	for i, m := range members {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.quote(m.name)
		p.out = append(p.out, ':')
		if err := value(m); err != nil {
			return err
		}
	}
	p.out = append(p.out, '}')
	return nil
}

func (p *avroPrinter) list(v jsontext.Value, element func(jsontext.Value) error) error {
	s := jsonScanner{b: v}
	if !s.next('[') {
		return errAvroText
	}
	p.out = append(p.out, '[')
	for first := true; !s.next(']'); first = false {
		if !first {
			if !s.next(',') {
				return errAvroText
			}
			p.out = append(p.out, ',')
		}
		e, err := s.value()
		if err != nil {
			return err
		}
		if err := element(e); err != nil {
			return err
		}
	}
	p.out = append(p.out, ']')
	return nil
}

// value prints JSON that is no schema.
func (p *avroPrinter) value(v jsontext.Value) error {
	v = slices.Clone(v)
	if err := v.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
		return errAvroText
	}
	p.out = append(p.out, v...)
	return nil
}

func jsonString(v jsontext.Value) (string, error) {
	s := jsonScanner{b: v}
	text, err := s.text(nil)
	return string(text), err
}

func objectMembers(v jsontext.Value) ([]jsonMember, error) {
	s := jsonScanner{b: v}
	if !s.next('{') {
		return nil, errAvroText
	}
	var out []jsonMember
	for !s.next('}') {
		if len(out) > 0 && !s.next(',') {
			return nil, errAvroText
		}
		name, err := s.member(nil)
		if err != nil {
			return nil, err
		}
		value, err := s.value()
		if err != nil {
			return nil, err
		}
		out = append(out, jsonMember{string(name), value})
	}
	return out, nil
}
