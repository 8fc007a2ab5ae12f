package format

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kafkarest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// MaxDecoded is how long the JSON of one decoded key or value may be: 16 MiB. A short record can stand for a long text (an array of a
// million nulls is four bytes of Avro), so the limit is on what comes out.
const MaxDecoded = 16 << 20

var errTooLong = errors.New("the decoded record is longer than 16 MiB of JSON")

// Options say how the schema formats travel as JSON. The zero value is what the Confluent REST Proxy does.
type Options struct {
	// Plain asks for JSON that people expect: Avro unions without tags where they are not needed, decimals as strings, timestamps as
	// RFC 3339; on input also Avro fields left out that have a default.
	Plain bool
	// Int64AsString writes Avro longs as strings, which JavaScript keeps exact, and takes them so.
	Int64AsString bool
	// NullIsTombstone stores a null key or value as Kafka's null even with a schema (null.request.body.always.publishes.empty.record).
	NullIsTombstone bool
	// UseLatest takes the newest version of the subject when a request gives no schema. Null is then Kafka's null.
	UseLatest bool
}

// Registered is a format whose schemas lie in a Schema Registry. A record read in it is decoded by its own schema, whatever its type.
type Registered struct {
	name     string
	label    string // how error texts of the contract call the format
	typ      sr.SchemaType
	any      bool // takes every type: what the registry says of the schema decides
	compiler *compiler
	options  Options
}

// SchemaFormats gives avro, jsonschema and protobuf over one cache of compiled schemas. s is nil when no registry is configured, and
// the formats then refuse all that needs one.
func SchemaFormats(s Schemas, o Options) Table {
	c := newCompiler(s)
	return Table{
		&Registered{name: "avro", label: "AVRO", typ: sr.TypeAvro, compiler: c, options: o},
		&Registered{name: "jsonschema", label: "JSONSCHEMA", typ: sr.TypeJSON, compiler: c, options: o},
		&Registered{name: "protobuf", label: "PROTOBUF", typ: sr.TypeProtobuf, compiler: c, options: o},
	}
}

// With gives the format with changed options over the same caches. Formats without options are given back as they are.
func With(f Format, change func(*Options)) Format {
	r, ok := f.(*Registered)
	if !ok {
		return f
	}
	out := *r
	change(&out.options)
	return &out
}

// Usable reports whether records can be read in a format: not in one whose registry is not configured.
func Usable(f Format) bool {
	r, ok := f.(*Registered)
	return !ok || r.compiler.schemas != nil
}

// SchemaFormat reports whether the schemas of a format lie in a registry: records in any of those are decoded by any of them.
func SchemaFormat(f Format) bool {
	_, ok := f.(*Registered)
	return ok
}

// OfAnyType gives a schema format over the same caches that encodes by schemas of every type: for requests that name a schema by its
// id or version and leave its type open. Other formats are given back as they are.
func OfAnyType(f Format) Format {
	r, ok := f.(*Registered)
	if !ok {
		return f
	}
	out := *r
	out.any = true
	return &out
}

// Used says which schema an encoder writes with.
type Used struct {
	Type    sr.SchemaType
	Subject string // "" when the schema was given by id
	ID      int
	Version int // 0 when the schema was given by id
}

// Describer is an Encoder that can say more of its schema than the id. Encoders of the schema formats are Describers when they have a
// schema.
type Describer interface {
	Encoder
	Used() Used
}

// Name is avro, jsonschema or protobuf.
func (f *Registered) Name() string { return f.name }

// NewEncoder finds the schema of one side: by id, by text, by version, or as the newest of the subject if the options say so. With none
// of them the encoder takes null only.
// Errors beside those of Format: CodeUnprocessable for text and id together, CodeBadRequest for an unknown version.
func (f *Registered) NewEncoder(ctx context.Context, s Schema) (Encoder, error) {
	if s.Text != "" && s.ID != 0 {
		return nil, kafkarest.Errorf(kafkarest.CodeUnprocessable,
			"Only one of %[1]s_schema and %[1]s_schema_id can be given.", s.Side)
	}
	if f.compiler.schemas == nil && (s.Text != "" || s.ID != 0) {
		return nil, kafkarest.Errorf(kafkarest.CodeInvalidPayload, "Payload error. Schema Registry must be configured when using schemas.")
	}
	if f.compiler.schemas == nil {
		return noRegistry{}, nil
	}
	switch {
	case s.ID != 0:
		return f.byID(ctx, s)
	case s.Text != "":
		return f.byText(ctx, s)
	case s.Version != 0:
		return f.byVersion(ctx, s)
	case f.options.UseLatest:
		s.Version = LatestVersion
		return &latestEncoder{find: func() (Encoder, error) { return f.byVersion(ctx, s) }}, nil
	}
	return noSchema{side: s.Side}, nil
}

// noRegistry is the encoder where no registry is configured. It fails only while records are encoded: the other side may have been given a
// schema, which is the worse mistake.
type noRegistry struct{}

func (noRegistry) SchemaID() int { return 0 }

func (noRegistry) Encode(jsontext.Value) ([]byte, error) {
	return nil, kafkarest.Errorf(kafkarest.CodeSerialization,
		"Error serializing message. Schema Registry not defined, no Schema Registry client available to serialize message.")
}

func (f *Registered) byID(ctx context.Context, s Schema) (Encoder, error) {
	if s.ID < 0 || s.ID > math.MaxInt32 {
		return nil, kafkarest.Errorf(kafkarest.CodeSerialization,
			"Error serializing message. Error when fetching schema by id. schemaId = %d\nSchema %d not found; error code: 40403", s.ID, s.ID)
	}
	c, err := f.compiler.byID(ctx, s.ID)
	if err != nil {
		return nil, serializationError(err, "Error when fetching schema by id. schemaId = %d", s.ID)
	}
	return f.encoder(c, Used{ID: s.ID})
}

func (f *Registered) byText(ctx context.Context, s Schema) (Encoder, error) {
	given := sr.Schema{Schema: s.Text, Type: f.typ, References: s.References}
	c, err := f.compiler.text(ctx, given)
	if err != nil {
		return nil, f.invalidSchema(err, s.Text)
	}
	subject, err := f.subject(s, c.recordName())
	if err != nil {
		return nil, err
	}
	ss, err := f.compiler.schemas.Ensure(ctx, subject, given)
	if err != nil {
		return nil, err
	}
	return f.registered(ctx, ss)
}

func (f *Registered) byVersion(ctx context.Context, s Schema) (Encoder, error) {
	subject, err := f.subject(s, "")
	if err != nil {
		return nil, err
	}
	ss, err := f.compiler.schemas.Version(ctx, subject, s.Version)
	if err != nil {
		return nil, err
	}
	return f.registered(ctx, ss)
}

func (f *Registered) subject(s Schema, record string) (string, error) {
	if s.Subject != "" {
		return s.Subject, nil
	}
	return f.compiler.schemas.Subject(s.Strategy, s.Topic, s.Side == Key, record)
}

func (f *Registered) registered(ctx context.Context, ss sr.SubjectSchema) (Encoder, error) {
	c, err := f.compiler.registered(ctx, ss.ID, ss.Schema)
	if err != nil {
		return nil, serializationError(err, "The schema of subject %s, version %d, cannot be used", ss.Subject, ss.Version)
	}
	return f.encoder(c, Used{Subject: ss.Subject, ID: ss.ID, Version: ss.Version})
}

func (f *Registered) encoder(c *compiled, u Used) (Encoder, error) {
	if c.typ != f.typ && !f.any {
		return nil, kafkarest.Errorf(kafkarest.CodeSerialization,
			"Error serializing message. Schema %d is of type %s, and the request is in the format %s.", u.ID, c.typ, f.name)
	}
	u.Type = c.typ
	return &schemaEncoder{codec: c.codec, used: u, options: f.options}, nil
}

// invalidSchema is the error for a text that the client gave. A failure to fetch what it refers to keeps its own code.
func (f *Registered) invalidSchema(err error, text string) error {
	if ke, ok := errors.AsType[*kafkarest.Error](err); ok {
		return ke
	}
	return kafkarest.Wrap(kafkarest.CodeInvalidSchema, err,
		fmt.Sprintf("Invalid schema: Error when parsing raw schema. format = %s, schema = %s", f.label, clipText(text)))
}

// serializationError is the error for a schema that the registry gave and that does not compile here.
func serializationError(err error, format string, args ...any) error {
	if ke, ok := errors.AsType[*kafkarest.Error](err); ok {
		return ke
	}
	what := fmt.Sprintf(format, args...)
	return kafkarest.Wrap(kafkarest.CodeSerialization, err, fmt.Sprintf("Error serializing message. %s\n%s", what, clipText(err.Error())))
}

// clipText keeps an error text that quotes a schema within reason.
func clipText(s string) string {
	const limit = 8 << 10
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

// noSchema is the encoder of a side without a schema. Data that needs one is found only while records are encoded, in their order.
type noSchema struct{ side Side }

func (noSchema) SchemaID() int { return 0 }

func (e noSchema) Encode(v jsontext.Value) ([]byte, error) {
	switch {
	case v == nil || v.Kind() == 'n':
		return nil, nil
	case e.side == Key:
		return nil, kafkarest.Errorf(kafkarest.CodeKeySchemaMissing, "Request includes keys but does not include key schema")
	}
	return nil, kafkarest.Errorf(kafkarest.CodeValueSchemaMissing, "Request includes values but does not include value schema")
}

// latestEncoder finds the newest schema of the subject when the first value that needs one comes. A side that has none, as keys often
// are, asks nothing and fails for nothing.
type latestEncoder struct {
	find  func() (Encoder, error)
	found Encoder
	err   error
}

func (e *latestEncoder) Encode(v jsontext.Value) ([]byte, error) {
	if v == nil || v.Kind() == 'n' {
		return nil, nil
	}
	if e.found == nil && e.err == nil {
		e.found, e.err = e.find()
	}
	if e.err != nil {
		return nil, e.err
	}
	return e.found.Encode(v)
}

func (e *latestEncoder) SchemaID() int { return e.Used().ID }

// Used describes the schema once a value has needed it, and none before.
func (e *latestEncoder) Used() Used {
	if d, ok := e.found.(Describer); ok {
		return d.Used()
	}
	return Used{}
}

type schemaEncoder struct {
	codec   codec
	used    Used
	options Options
}

func (e *schemaEncoder) SchemaID() int { return e.used.ID }

// Used describes the schema that the encoder writes with.
func (e *schemaEncoder) Used() Used { return e.used }

// Encode writes the header and the body. Unlike the formats without schemas, these encode null by the schema: a tombstone is one only
// where the options say so.
func (e *schemaEncoder) Encode(v jsontext.Value) ([]byte, error) {
	if v == nil {
		v = jsontext.Value("null")
	}
	if e.options.NullIsTombstone && v.Kind() == 'n' {
		return nil, nil
	}
	dst := make([]byte, 0, headerSize+1+len(v))
	out, err := e.codec.encode(appendHeader(dst, e.used.ID), v, e.options)
	if err == nil {
		return out, nil
	}
	if ke, ok := errors.AsType[*kafkarest.Error](err); ok {
		return nil, ke
	}
	return nil, kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: "+clipText(err.Error()))
}

// Decode reads the schema id of data and decodes the rest by that schema, whatever its type. See ErrSchemaUnavailable.
func (f *Registered) Decode(ctx context.Context, data []byte) (jsontext.Value, error) {
	id, body, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	if f.compiler.schemas == nil {
		return nil, errors.New("no Schema Registry is configured")
	}
	c, err := f.compiler.byID(ctx, id)
	if err != nil {
		return nil, decodeSchemaError(id, err)
	}
	v, err := c.decode(ctx, body, f.options)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	if len(v) > MaxDecoded {
		return nil, errTooLong
	}
	return v, nil
}

// decodeSchemaError has the public text of err, and err in its chain.
func decodeSchemaError(id int, err error) error {
	var ke *kafkarest.Error
	if !errors.As(err, &ke) {
		return fmt.Errorf("schema %d cannot be used: %w", id, err)
	}
	causes := []error{err}
	if ke.RetryAfter > 0 || ke.Code == kafkarest.CodeForbidden {
		causes = append(causes, ErrSchemaUnavailable)
	}
	return &lookupError{text: fmt.Sprintf("schema %d: %s", id, ke.Message), causes: causes}
}

type lookupError struct {
	text   string
	causes []error
}

func (e *lookupError) Error() string   { return e.text }
func (e *lookupError) Unwrap() []error { return e.causes }
