package embedded

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	mediaType = "application/vnd.schemaregistry.v1+json"
	maxBody   = 2 << 20
)

// handler gives the reply as a value to be written as JSON, or as rawText.
type handler func(*http.Request) (any, error)

// rawText is a reply that is JSON, or a schema's text, already.
type rawText string

// endpoints are all of the API.
func (r *Registry) endpoints() map[string]handler {
	return map[string]handler{
		"GET /{$}":           func(*http.Request) (any, error) { return struct{}{}, nil },
		"GET /contexts":      func(*http.Request) (any, error) { return []string{"."}, nil },
		"GET /schemas/types": func(*http.Request) (any, error) { return []string{"JSON", "PROTOBUF", "AVRO"}, nil },

		"GET /schemas":                                              r.listSchemas,
		"GET /schemas/ids/{id}":                                     r.getByID,
		"GET /schemas/ids/{id}/schema":                              r.getTextByID,
		"GET /schemas/ids/{id}/subjects":                            r.getSubjectsOfID,
		"GET /schemas/ids/{id}/versions":                            r.getVersionsOfID,
		"GET /subjects":                                             r.listSubjects,
		"POST /subjects/{subject}":                                  r.postLookup,
		"DELETE /subjects/{subject}":                                r.deleteSubjectOf,
		"GET /subjects/{subject}/versions":                          r.listVersions,
		"POST /subjects/{subject}/versions":                         r.postRegister,
		"GET /subjects/{subject}/versions/{version}":                r.getVersion,
		"GET /subjects/{subject}/versions/{version}/schema":         r.getVersionText,
		"GET /subjects/{subject}/versions/{version}/referencedby":   r.getReferrers,
		"DELETE /subjects/{subject}/versions/{version}":             r.deleteVersionOf,
		"POST /compatibility/subjects/{subject}/versions":           r.postCompatibility,
		"POST /compatibility/subjects/{subject}/versions/{version}": r.postCompatibility,

		"GET /config":              r.getConfig,
		"PUT /config":              r.putConfig,
		"DELETE /config":           r.deleteConfig,
		"GET /config/{subject}":    r.getConfig,
		"PUT /config/{subject}":    r.putConfig,
		"DELETE /config/{subject}": r.deleteConfig,
		"GET /mode":                r.getMode,
		"PUT /mode":                r.putMode,
		"GET /mode/{subject}":      r.getMode,
		"PUT /mode/{subject}":      r.putMode,
		"DELETE /mode/{subject}":   r.deleteMode,
	}
}

// answer writes what a handler gives.
func answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, maxBody)
		v, err := h(req)
		status := http.StatusOK
		if err != nil {
			var known *apiError
			if !errors.As(err, &known) {
				known = errInternal
			}
			v, status = known, known.status()
		}
		body, err := encode(v)
		if err != nil {
			body, status = []byte(`{"error_code":500,"message":"Internal Server Error"}`), http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		_, _ = w.Write(body) // the client has gone: nobody is left to tell
	})
}

func encode(v any) ([]byte, error) {
	if text, ok := v.(rawText); ok {
		return []byte(text), nil
	}
	return json.Marshal(v)
}

// decode reads a request's body.
func decode(req *http.Request, into any) error {
	if t := req.Header.Get("Content-Type"); t != "" {
		media, _, err := mime.ParseMediaType(t)
		if err != nil || !strings.HasSuffix(media, "json") && media != "application/octet-stream" {
			return errorf(http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type")
		}
	}
	data, err := io.ReadAll(req.Body)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return errTooLarge
	case err != nil:
		return errorf(http.StatusBadRequest, "The request body cannot be read")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return errorf(http.StatusBadRequest, "The request body is not the JSON that is expected")
	}
	return nil
}

// body is what brings a schema.
type body struct {
	sr.Schema
	ID      int `json:"id"`
	Version int `json:"version"`
}

func flag(req *http.Request, name string) bool { return req.URL.Query().Get(name) == "true" }

// pathVersion gives the version of the path, which may be "latest" or -1.
func pathVersion(req *http.Request) (int, error) {
	text := req.PathValue("version")
	if text == "latest" || text == "-1" {
		return latest, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, errVersionText(text)
	}
	return int(n), nil
}

func (r *Registry) postLookup(req *http.Request) (any, error) {
	var b body
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	v, err := r.lookup(req.Context(), req.PathValue("subject"), b.Schema, flag(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return v.subjectSchema(), nil
}

func (r *Registry) postRegister(req *http.Request) (any, error) {
	var b body
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	v, err := r.register(req.Context(), req.PathValue("subject"), b.Schema, b.ID, b.Version)
	if err != nil {
		return nil, err
	}
	return map[string]int{"id": v.schema.id}, nil
}

func (r *Registry) deleteSubjectOf(req *http.Request) (any, error) {
	return r.deleteSubject(req.Context(), req.PathValue("subject"), flag(req, "permanent"))
}

func (r *Registry) deleteVersionOf(req *http.Request) (any, error) {
	number, err := pathVersion(req)
	if err != nil {
		return nil, err
	}
	return r.deleteVersion(req.Context(), req.PathValue("subject"), number, flag(req, "permanent"))
}

// postCompatibility checks against one version at the subject's level, or against as many as the level asks.
func (r *Registry) postCompatibility(req *http.Request) (any, error) {
	var b body
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	c, err := r.candidate(req.Context(), b.Schema)
	if err != nil {
		return nil, err
	}
	problems, err := r.compatibility(req, c)
	if err != nil {
		return nil, err
	}
	out := struct {
		Is       bool     `json:"is_compatible"`
		Messages []string `json:"messages,omitempty"`
	}{Is: len(problems) == 0}
	if flag(req, "verbose") {
		out.Messages = append([]string{}, problems...)
		if c.Type != sr.TypeAvro && out.Is {
			out.Messages = append(out.Messages, "compatibility of "+c.Type.String()+" schemas is not checked by this registry")
		}
	}
	return out, nil
}

func (r *Registry) compatibility(req *http.Request, c *candidate) ([]string, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	level := r.state.compatOf(subject)
	if req.PathValue("version") == "" {
		return r.state.incompatible(c, r.state.versions(subject, false), level), nil
	}
	number, err := pathVersion(req)
	if err != nil {
		return nil, err
	}
	v, err := r.state.find(subject, number, false)
	if err != nil {
		return nil, err
	}
	return r.state.incompatible(c, []*version{v}, level), nil
}
