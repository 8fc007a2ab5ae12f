package format

import (
	"context"
	"errors"
	"fmt"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/sr"
)

// LatestVersion as a version means the newest of the subject.
const LatestVersion = -1

// ErrSchemaUnavailable is in the chain of a Decode error whose cause is the registry and not the record: it could not be reached, or
// failed. The record may well be decoded later, so it must not be skipped.
var ErrSchemaUnavailable = errors.New("the schema is not available for now")

// Schemas is what the schema formats need of a Schema Registry. Its errors are *kafkarest.Error, and may come from a cache, as the
// answers may. An error with a RetryAfter says that the registry could not be asked, and not what it answered.
type Schemas interface {
	// ByID gives the schema with that id.
	ByID(ctx context.Context, id int) (sr.Schema, error)
	// Version gives one version of a subject, or its newest for LatestVersion.
	Version(ctx context.Context, subject string, version int) (sr.SubjectSchema, error)
	// Ensure gives s as the subject holds it, and registers it first where the configuration says so. The schema of the answer is
	// the one to write with: it is another than s when the configuration says that the newest of the subject is to be used.
	Ensure(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error)
	// Subject applies a name strategy, the configured one for "". record is the full name of the schema's record, and "" when no
	// schema is known yet.
	Subject(strategy, topic string, key bool, record string) (string, error)
}

// dependency is one schema that another one refers to, by the name that the other calls it.
type dependency struct {
	name string
	text string
}

const (
	maxDependencies    = 200
	maxDependencyDepth = 32
)

// resolveReferences gives all that refs lead to, what is referred to before what refers to it, each name once.
func resolveReferences(ctx context.Context, s Schemas, typ sr.SchemaType, refs []sr.SchemaReference) ([]dependency, error) {
	r := resolver{schemas: s, typ: typ, state: map[string]int{}}
	err := r.add(ctx, refs, 0)
	return r.found, err
}

type resolver struct {
	schemas Schemas
	typ     sr.SchemaType
	found   []dependency
	state   map[string]int // by name: 1 being resolved, 2 done
}

func (r *resolver) add(ctx context.Context, refs []sr.SchemaReference, depth int) error {
	if depth > maxDependencyDepth {
		return referenceError("schema references nest deeper than %d", maxDependencyDepth)
	}
	for _, ref := range refs {
		if r.state[ref.Name] == 2 {
			continue
		}
		if r.state[ref.Name] == 1 {
			return referenceError("schema reference %q leads back to itself", ref.Name)
		}
		r.state[ref.Name] = 1
		if len(r.state) > maxDependencies {
			return referenceError("more than %d schema references", maxDependencies)
		}
		if err := r.addOne(ctx, ref, depth); err != nil {
			return err
		}
		r.state[ref.Name] = 2
	}
	return nil
}

func (r *resolver) addOne(ctx context.Context, ref sr.SchemaReference, depth int) error {
	ss, err := r.schemas.Version(ctx, ref.Subject, ref.Version)
	if err != nil {
		return err
	}
	if ss.Type != r.typ {
		return referenceError("schema reference %q is of type %s, and the schema is of type %s", ref.Name, ss.Type, r.typ)
	}
	if err := r.add(ctx, ss.References, depth+1); err != nil {
		return err
	}
	r.found = append(r.found, dependency{name: ref.Name, text: ss.Schema.Schema})
	return nil
}

func referenceError(format string, args ...any) error {
	return kafkarest.Errorf(kafkarest.CodeInvalidSchema, "Invalid schema: %s", fmt.Sprintf(format, args...))
}
