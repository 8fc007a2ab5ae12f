package format

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// codec is one compiled schema. It is shared by goroutines.
type codec interface {
	// encode appends the body for v, which is valid JSON and not empty; null is spelled out.
	encode(dst []byte, v jsontext.Value, o Options) ([]byte, error)
	// decode turns a body into JSON. data is read-only, and the result may be part of it.
	decode(ctx context.Context, data []byte, o Options) (jsontext.Value, error)
	// recordName is the full name that the record name strategies use, "" when the schema has none.
	recordName() string
}

// maxSchema is how long a schema text may be, without what it refers to: what the registry client takes in one answer.
const maxSchema = 1 << 20

var (
	errCompilerCrash = errors.New("the schema cannot be compiled")
	errLongSchema    = errors.New("the schema is longer than 1 MiB")
)

// compile makes the codec of a schema text. It does no I/O. The compilers are other people's, and anybody may send a schema: a crash of
// theirs must not be ours.
func compile(ctx context.Context, typ sr.SchemaType, text string, deps []dependency) (c codec, err error) {
	defer func() {
		if recover() != nil {
			c, err = nil, errCompilerCrash
		}
	}()
	if len(text) > maxSchema {
		return nil, errLongSchema
	}
	switch typ {
	case sr.TypeAvro:
		return compileAvro(text, deps)
	case sr.TypeJSON:
		return compileJSONSchema(text, deps)
	case sr.TypeProtobuf:
		return compileProtobuf(ctx, text, deps)
	}
	return nil, fmt.Errorf("schema type %d is unknown", typ)
}

// compiled is a codec and the type of the schema that it was made of.
type compiled struct {
	codec
	typ  sr.SchemaType
	size int // bytes of schema text, with all that it refers to
}

// compiler keeps what it compiled, by id and by text, within bounds. A compiled schema is many times
// larger than its text, so the bound is low: 1,000 schemas or 8 MiB of text in both generations together.
type compiler struct {
	schemas Schemas

	mu        sync.Mutex
	young     map[any]*compiled
	old       map[any]*compiled
	youngSize int
}

const (
	maxCompiledEntries = 500     // of each generation
	maxCompiledBytes   = 4 << 20 // of schema text, of each generation
)

type textKey [sha256.Size]byte

func newCompiler(s Schemas) *compiler { return &compiler{schemas: s, young: map[any]*compiled{}} }

// byID fetches and compiles the schema with that id.
func (c *compiler) byID(ctx context.Context, id int) (*compiled, error) {
	if hit := c.get(id); hit != nil {
		return hit, nil
	}
	s, err := c.schemas.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.registered(ctx, id, s)
}

// registered compiles a schema that the registry has given with its id.
func (c *compiler) registered(ctx context.Context, id int, s sr.Schema) (*compiled, error) {
	if hit := c.get(id); hit != nil {
		return hit, nil
	}
	return c.compile(ctx, id, s)
}

// text compiles a schema that the client has given.
func (c *compiler) text(ctx context.Context, s sr.Schema) (*compiled, error) {
	key := textKey(fingerprint(s))
	if hit := c.get(key); hit != nil {
		return hit, nil
	}
	return c.compile(ctx, key, s)
}

func (c *compiler) compile(ctx context.Context, key any, s sr.Schema) (*compiled, error) {
	deps, err := resolveReferences(ctx, c.schemas, s.Type, s.References)
	if err != nil {
		return nil, err
	}
	codec, err := compile(ctx, s.Type, s.Schema, deps)
	if err != nil {
		return nil, &schemaError{typ: s.Type, text: s.Schema, err: err}
	}
	size := len(s.Schema)
	for _, d := range deps {
		size += len(d.text)
	}
	out := &compiled{codec: codec, typ: s.Type, size: size}
	c.put(key, out)
	return out, nil
}

func (c *compiler) get(key any) *compiled {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hit := c.young[key]; hit != nil {
		return hit
	}
	hit := c.old[key]
	if hit != nil { // used again: let it live one generation longer
		delete(c.old, key)
		c.add(key, hit)
	}
	return hit
}

func (c *compiler) put(key any, v *compiled) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, v)
}

// add starts a new generation when the young one is full, and so forgets the old one. c.mu is held.
func (c *compiler) add(key any, v *compiled) {
	if len(c.young) >= maxCompiledEntries || c.youngSize+v.size > maxCompiledBytes {
		c.old, c.young, c.youngSize = c.young, map[any]*compiled{}, 0
	}
	c.young[key] = v
	c.youngSize += v.size
}

// fingerprint tells schema texts apart that a registry would: by type, text and references.
func fingerprint(s sr.Schema) [sha256.Size]byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\x00%s", s.Type, s.Schema)
	for _, r := range s.References {
		fmt.Fprintf(&b, "\x00%s\x00%s\x00%d", r.Name, r.Subject, r.Version)
	}
	return sha256.Sum256([]byte(b.String()))
}

// schemaError says that a schema text cannot be compiled.
type schemaError struct {
	typ  sr.SchemaType
	text string
	err  error
}

func (e *schemaError) Error() string { return e.err.Error() }
func (e *schemaError) Unwrap() error { return e.err }
