package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/sr"
)

// Client asks a Schema Registry. It is safe for concurrent use. All errors of its methods are *kafkarest.Error; those with a RetryAfter
// say that the registry could not be asked.
type Client struct {
	config    Config
	transport *transport
	sr        *sr.Client
	cache     *cache
}

// New makes a client. It sends nothing before it is asked. Close it.
func New(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	out := &Client{config: c}
	var err error
	if out.transport, err = newTransport(&out.config); err != nil {
		return nil, err
	}
	out.cache = newCache(&out.config)
	out.sr, err = sr.NewClient(
		sr.URLs("http://registry"), // the transport puts the real one in its place
		sr.UserAgent("kafka-rest"),
		sr.HTTPClient(&http.Client{
			Transport:     out.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return out, nil
}

// Close ends what is under way, waits for it and closes idle connections.
func (c *Client) Close() {
	c.cache.close()
	c.transport.inner.CloseIdleConnections()
}

// Ping fails when no registry answers. For health checks: it asks for the schema types, which costs a registry nothing.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	if _, err := c.sr.SupportedTypes(ctx); err != nil && unavailable(err) {
		return publicError(err, "Error when asking for the schema types.")
	}
	return nil
}

// ByID gives the schema with that id.
func (c *Client) ByID(ctx context.Context, id int) (sr.Schema, error) {
	ss, err := c.cache.get(ctx, key{kind: 'i', number: id}, 0, func(ctx context.Context) (sr.SubjectSchema, error) {
		s, err := c.sr.SchemaByID(ctx, id)
		return sr.SubjectSchema{ID: id, Schema: s}, err
	})
	if err != nil {
		return sr.Schema{}, publicError(err, fmt.Sprintf("Error when fetching schema by id. schemaId = %d", id))
	}
	return ss.Schema, nil
}

// Version gives one version of a subject, or its newest for -1. Errors beside those of a look-up: CodeBadRequest when there is no such
// version.
func (c *Client) Version(ctx context.Context, subject string, version int) (sr.SubjectSchema, error) {
	if err := checkSubject(subject); err != nil {
		return sr.SubjectSchema{}, err
	}
	if version == -1 {
		ss, err := c.latest(ctx, subject)
		if err != nil {
			return ss, publicError(err, "Error when fetching latest schema version. subject = "+subject)
		}
		return ss, nil
	}
	ss, err := c.cache.get(ctx, key{kind: 'v', subject: subject, number: version}, 0, func(ctx context.Context) (sr.SubjectSchema, error) {
		return c.keepID(c.sr.SchemaByVersion(ctx, subject, version))
	})
	switch {
	case notFound(err):
		return ss, kafkarest.Wrap(kafkarest.CodeBadRequest, err,
			fmt.Sprintf("Bad Request: Schema does not exist for subject: %s, version: %d", subject, version))
	case err != nil:
		return ss, publicError(err, fmt.Sprintf("Error when fetching schema by version. subject = %s, version = %d", subject, version))
	}
	return ss, nil
}

func (c *Client) latest(ctx context.Context, subject string) (sr.SubjectSchema, error) {
	return c.cache.get(ctx, key{kind: 'l', subject: subject}, c.latestTTL(), func(ctx context.Context) (sr.SubjectSchema, error) {
		return c.keepID(c.sr.SchemaByVersion(ctx, subject, -1))
	})
}

// latestTTL is never 0, which would mean for ever.
func (c *Client) latestTTL() time.Duration { return max(c.config.LatestTTL, 1) }

// keepID lets later look-ups by the id find the schema.
func (c *Client) keepID(ss sr.SubjectSchema, err error) (sr.SubjectSchema, error) {
	if err == nil && ss.ID != 0 {
		c.cache.put(key{kind: 'i', number: ss.ID}, sr.SubjectSchema{ID: ss.ID, Schema: ss.Schema})
	}
	return ss, err
}

// Ensure gives s as the subject holds it. A subject that does not have it gets it with AutoRegister; with UseLatest the subject's
// newest version is given in its place.
func (c *Client) Ensure(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	if err := checkSubject(subject); err != nil {
		return sr.SubjectSchema{}, err
	}
	if c.config.UseLatest {
		ss, err := c.latest(ctx, subject)
		if err == nil {
			return ss, nil
		}
		if !notFound(err) || !c.config.AutoRegister {
			return ss, publicError(err, "Error when fetching latest schema version. subject = "+subject)
		}
	}
	k := key{kind: 'e', subject: subject, print: fingerprint(s)}
	ss, err := c.cache.get(ctx, k, 0, func(ctx context.Context) (sr.SubjectSchema, error) { return c.ensure(ctx, subject, s) })
	if err != nil {
		what := "Error when registering schema."
		if !c.config.AutoRegister {
			what = "Error when looking up schema."
		}
		return ss, publicError(err, fmt.Sprintf("%s format = %s, subject = %s, schema = %s", what, formatName(s.Type), subject, clip(s.Schema)))
	}
	return ss, nil
}

// ensure looks up first: most schemas are there, and a registry may let those look up who may not register.
func (c *Client) ensure(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	if c.config.Normalize {
		ctx = sr.WithParams(ctx, sr.Normalize)
	}
	ss, err := c.sr.LookupSchema(ctx, subject, s)
	if err == nil || !notFound(err) || !c.config.AutoRegister {
		return c.found(ss, err, subject, s)
	}
	id, err := c.sr.RegisterSchema(ctx, subject, s, -1, -1)
	if err != nil {
		return sr.SubjectSchema{}, err
	}
	if ss, err = c.sr.LookupSchema(ctx, subject, s); err != nil { // the version is not worth a failure: the id is all that records need
		ss = sr.SubjectSchema{ID: id}
	}
	return c.found(ss, nil, subject, s)
}

// found completes what registries leave out.
func (c *Client) found(ss sr.SubjectSchema, err error, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	if err != nil {
		return ss, err
	}
	if ss.Schema.Schema == "" {
		ss.Schema = s
	}
	if ss.Subject == "" {
		ss.Subject = subject
	}
	ss.Type = s.Type // Apicurio Registry leaves it out, which means Avro; a schema is only ever found as what it was looked for
	return c.keepID(ss, nil)
}

// checkSubject refuses what has no place in a path of the registry.
func checkSubject(subject string) error {
	const limit = 1000
	if subject == "" || subject == "." || subject == ".." || len(subject) > limit {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the subject is not a valid one.")
	}
	return nil
}

// formatName is how error texts of the contract call a schema's type.
func formatName(t sr.SchemaType) string {
	if t == sr.TypeJSON {
		return "JSONSCHEMA"
	}
	return t.String()
}

func fingerprint(s sr.Schema) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\x00%s", s.Type, s.Schema)
	for _, r := range s.References {
		fmt.Fprintf(h, "\x00%s\x00%s\x00%d", r.Name, r.Subject, r.Version)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
