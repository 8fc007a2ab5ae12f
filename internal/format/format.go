// Package format turns the JSON that a client sends into the bytes of a record's key or value, and back. A format is one file of this
// folder and one line in Table; every API version then serves it. Formats know nothing of HTTP and nothing of a Kafka client.
package format

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// Side says which half of a record is meant. It is part of a schema's subject.
type Side string

// The two sides.
const (
	Key   Side = "key"
	Value Side = "value"
)

// Schema says which schema one side of a produce request is to be written with. The zero value gives none.
type Schema struct {
	Topic string // the topic that the records go to: the default subject is Topic-key or Topic-value
	Side  Side
	Text  string // the schema's source, "" for none
	ID    int    // a registry's id, 0 for none

	References []sr.SchemaReference // what Text refers to, each already in the registry; ignored without Text
	Version    int                  // without Text and ID: this version of the subject, or LatestVersion; 0 for none
	Subject    string               // takes the place of the subject that the name strategy gives; "" for the strategy's
	Strategy   string               // takes the place of the configured name strategy: TOPIC_NAME, RECORD_NAME or TOPIC_RECORD_NAME; "" for the configured one
}

// Format is one embedded format, such as json.
type Format interface {
	// Name is how the format is written in a media type and in a consumer's "format" setting, in lower case.
	Name() string
	// NewEncoder readies one side of one request. Formats without schemas ignore what the schema says.
	// Errors: CodeInvalidSchema, CodeInvalidPayload, CodeSerialization, CodeForbidden.
	NewEncoder(ctx context.Context, s Schema) (Encoder, error)
	// Decode turns stored bytes into one JSON value. data is never nil: a null key or value is JSON null before any format sees it.
	// The result may be data itself, and is then read-only. An error means that the record cannot be decoded; its text is shown to the
	// client, so it names the cause and holds nothing of the data.
	Decode(ctx context.Context, data []byte) (jsontext.Value, error)
}

// Encoder encodes one side of the records of one request. It is used by one goroutine.
type Encoder interface {
	// Encode gives the bytes to store for one JSON value, which is valid and is nil for null or absent. The result may share memory
	// with v, and is nil for a Kafka null. Errors: CodeBadRequest for data that does not fit.
	Encode(v jsontext.Value) ([]byte, error)
	// SchemaID is the registry's id of the schema that was used, and 0 when none was.
	SchemaID() int
}

// Table is the list of formats that a server offers.
type Table []Format

// Plain are the formats that need no Schema Registry, in the order in which they are offered.
func Plain() Table { return Table{Binary{}, JSON{}, Text{}} }

// Find gives the format with that name, in any case of letters, or nil.
func (t Table) Find(name string) Format {
	name = strings.ToLower(name)
	if i := slices.IndexFunc(t, func(f Format) bool { return f.Name() == name }); i >= 0 {
		return t[i]
	}
	return nil
}
