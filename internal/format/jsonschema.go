package format

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// jsonSchemaCodec checks JSON by a schema and stores it as it was sent, without insignificant white space.
type jsonSchemaCodec struct {
	schema *jsonschema.Schema
	title  string
}

const jsonSchemaRoot = "registry:///schema"

// compileJSONSchema takes drafts 4 to 2020-12, and draft 7 where the schema does not say. References lead into the registry only: no
// file is opened and no host is asked.
func compileJSONSchema(text string, deps []dependency) (codec, error) {
	doc, err := parseSchemaJSON(text)
	if err != nil {
		return nil, err
	}
	base := jsonSchemaRoot
	out := &jsonSchemaCodec{}
	if object, ok := doc.(map[string]any); ok {
		out.title, _ = object["title"].(string)
		if id, _ := object["$id"].(string); id != "" {
			base = resolveURL(base, id)
		}
	}
	loader, err := newRegistryLoader(base, deps)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(loader)
	if err := c.AddResource(jsonSchemaRoot, doc); err != nil {
		return nil, err
	}
	out.schema, err = c.Compile(jsonSchemaRoot)
	return out, err
}

var (
	errSchemaJSON   = errors.New("the JSON Schema is not JSON")
	errNumberLength = errors.New("a number has more than 1000 digits, or an exponent beyond 999")
	errNotRegistry  = errors.New("references are looked up among the schema's registered references only")
)

func parseSchemaJSON(text string) (any, error) {
	v := jsontext.Value(text)
	if !v.IsValid(jsontext.AllowDuplicateNames(true)) || TooDeep(v, MaxDepth) {
		return nil, errSchemaJSON
	}
	return unmarshalBounded(v)
}

// unmarshalBounded gives valid JSON as values. Numbers are kept as text, and the validator makes exact numbers of them: one with a
// giant exponent would cost seconds each.
func unmarshalBounded(v jsontext.Value) (any, error) {
	if hasGiantNumber(v) {
		return nil, errNumberLength
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(v))
}

func hasGiantNumber(v jsontext.Value) bool {
	s := jsonScanner{b: v}
	for {
		switch c := s.peek(); {
		case c == 0:
			return false
		case c == '"':
			if _, _, err := s.rawString(); err != nil {
				return false
			}
		case startsNumber(c):
			if number := s.number(); len(number) > 1000 || len(exponentOf(number)) > 4 {
				return true
			}
		default:
			s.i++
		}
	}
}

// exponentOf gives a number's exponent with its sign.
func exponentOf(number []byte) []byte {
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		return number[i+1:]
	}
	return nil
}

// registryLoader serves the references of one schema, by their name as it stands and by their name resolved against the schema's $id.
type registryLoader map[string]any

func newRegistryLoader(base string, deps []dependency) (registryLoader, error) {
	out := registryLoader{}
	for _, d := range deps {
		doc, err := parseSchemaJSON(d.text)
		if err != nil {
			return nil, fmt.Errorf("reference %q: %w", d.name, err)
		}
		out[d.name] = doc
		out[resolveURL(base, d.name)] = doc
		out[resolveURL(jsonSchemaRoot, d.name)] = doc
	}
	return out, nil
}

// Load gives one reference.
func (l registryLoader) Load(location string) (any, error) {
	if doc, ok := l[location]; ok {
		return doc, nil
	}
	return nil, errNotRegistry
}

func resolveURL(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	r, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	r.Fragment = ""
	return r.String()
}

func (c *jsonSchemaCodec) recordName() string { return c.title }

func (c *jsonSchemaCodec) encode(dst []byte, v jsontext.Value, _ Options) ([]byte, error) {
	doc, err := unmarshalBounded(v)
	if err != nil {
		return nil, misfit(err.Error())
	}
	if err := c.schema.Validate(doc); err != nil {
		return nil, violations(err, doc)
	}
	at := len(dst)
	dst = append(dst, v...)
	body := jsontext.Value(dst[at:])
	if err := body.Compact(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true)); err != nil {
		return nil, errMalformed
	}
	return dst[:at+len(body)], nil
}

func (c *jsonSchemaCodec) decode(ctx context.Context, data []byte, _ Options) (jsontext.Value, error) {
	return JSON{}.Decode(ctx, data)
}

// violations gives the texts of what the data violates, in the words of the validator that the Confluent REST Proxy has where these are
// part of its contract: "#/f: expected type: Integer, found: String".
func violations(err error, doc any) error {
	var top *jsonschema.ValidationError
	if !errors.As(err, &top) {
		return misfit(err.Error())
	}
	const limit = 20
	texts := leaves(nil, top, doc)
	if len(texts) == 1 {
		return misfit(texts[0])
	}
	count := len(texts)
	if count > limit {
		texts = append(texts[:limit], "…")
	}
	return misfitf("#: %d schema violations found: %s", count, strings.Join(texts, "; "))
}

// leaves appends the texts of the violations that have no further cause. The causes of a failed choice stand behind it.
func leaves(dst []string, e *jsonschema.ValidationError, doc any) []string {
	var causes []string
	for _, cause := range e.Causes {
		causes = leaves(causes, cause, doc)
	}
	var text string
	switch k := e.ErrorKind.(type) {
	case *kind.OneOf:
		text = fmt.Sprintf("%d subschemas matched instead of one", len(k.Subschemas))
	case *kind.AnyOf:
		text = fmt.Sprintf("no subschema matched out of the total %d subschemas", len(e.Causes))
	default:
		if len(causes) > 0 {
			return append(dst, causes...)
		}
		text = violation(e, doc)
	}
	if len(causes) > 0 {
		text += " (" + strings.Join(causes, "; ") + ")"
	}
	return append(dst, pointer(e.InstanceLocation)+": "+text)
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(path []string) string {
	var b strings.Builder
	b.WriteByte('#')
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(p))
	}
	return b.String()
}

var typeNames = map[string]string{
	"null": "Null", "boolean": "Boolean", "integer": "Integer", "number": "Number", "string": "String",
	"array": "JSONArray", "object": "JSONObject",
}

func violation(e *jsonschema.ValidationError, doc any) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		want := slices.Clone(k.Want)
		for i, w := range want {
			want[i] = typeNames[w]
		}
		return fmt.Sprintf("expected type: %s, found: %s", strings.Join(want, " or "), foundType(k.Got, e.InstanceLocation, doc))
	case *kind.Required:
		return fmt.Sprintf("required key [%s] not found", strings.Join(k.Missing, ", "))
	case *kind.AdditionalProperties:
		return fmt.Sprintf("extraneous key [%s] is not permitted", strings.Join(k.Properties, ", "))
	}
	return e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}

// foundType names the type of the value at a place. Numbers have the name of the Java class that holds them.
func foundType(got string, path []string, doc any) string {
	if got != "number" && got != "integer" {
		return typeNames[got]
	}
	for _, p := range path {
		switch within := doc.(type) {
		case map[string]any:
			doc = within[p]
		case []any:
			if i, err := strconv.Atoi(p); err == nil && i >= 0 && i < len(within) {
				doc = within[i]
			}
		}
	}
	number, ok := doc.(json.Number)
	if !ok || !isInteger([]byte(number)) {
		return "Double"
	}
	if v, err := number.Int64(); err != nil {
		return "BigInteger"
	} else if v != int64(int32(v)) {
		return "Long"
	}
	return "Integer"
}
