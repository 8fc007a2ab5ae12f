package embedded

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// This file holds the endpoints that only read.

func (r *Registry) pathSchema(req *http.Request) (*schema, error) {
	id, err := strconv.Atoi(req.PathValue("id"))
	if err != nil {
		return nil, errNoEndpoint
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.state.schemas[id]; s != nil {
		return s, nil
	}
	return nil, errSchemaID(id)
}

func (r *Registry) getByID(req *http.Request) (any, error) {
	s, err := r.pathSchema(req)
	if err != nil {
		return nil, err
	}
	if !flag(req, "fetchMaxId") {
		return s.Schema, nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return struct {
		sr.Schema
		MaxID int `json:"maxId"`
	}{s.Schema, r.state.nextID - 1}, nil
}

func (r *Registry) getTextByID(req *http.Request) (any, error) {
	s, err := r.pathSchema(req)
	if err != nil {
		return nil, err
	}
	return rawText(s.Schema.Schema), nil
}

func (r *Registry) getSubjectsOfID(req *http.Request) (any, error) {
	versions, err := r.places(req)
	subjects := []string{}
	for _, v := range versions {
		if !slices.Contains(subjects, v.subject) {
			subjects = append(subjects, v.subject)
		}
	}
	return subjects, err
}

func (r *Registry) getVersionsOfID(req *http.Request) (any, error) {
	versions, err := r.places(req)
	type place struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	out := []place{}
	for _, v := range versions {
		out = append(out, place{v.subject, v.number})
	}
	return out, err
}

func (r *Registry) places(req *http.Request) ([]*version, error) {
	s, err := r.pathSchema(req)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.versionsOf(s.id, flag(req, "deleted")), nil
}

func (r *Registry) listSubjects(req *http.Request) (any, error) {
	prefix, deleted := req.URL.Query().Get("subjectPrefix"), flag(req, "deleted")
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []string{}
	for _, subject := range slices.Sorted(maps.Keys(r.state.subjects)) {
		if strings.HasPrefix(subject, prefix) && len(r.state.versions(subject, deleted)) > 0 {
			out = append(out, subject)
		}
	}
	return out, nil
}

func (r *Registry) listSchemas(req *http.Request) (any, error) {
	prefix, deleted, newest := req.URL.Query().Get("subjectPrefix"), flag(req, "deleted"), flag(req, "latestOnly")
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []sr.SubjectSchema{}
	for _, subject := range slices.Sorted(maps.Keys(r.state.subjects)) {
		versions := r.state.versions(subject, deleted)
		if !strings.HasPrefix(subject, prefix) || len(versions) == 0 {
			continue
		}
		if newest {
			versions = versions[len(versions)-1:]
		}
		for _, v := range versions {
			out = append(out, v.subjectSchema())
		}
	}
	return out, nil
}

func (r *Registry) listVersions(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	versions := r.state.versions(subject, flag(req, "deleted"))
	if len(versions) == 0 {
		return nil, errSubject(subject)
	}
	out := []int{}
	for _, v := range versions {
		out = append(out, v.number)
	}
	return out, nil
}

func (r *Registry) pathVersionOf(req *http.Request) (*version, error) {
	number, err := pathVersion(req)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.find(req.PathValue("subject"), number, flag(req, "deleted"))
}

func (r *Registry) getVersion(req *http.Request) (any, error) {
	v, err := r.pathVersionOf(req)
	if err != nil {
		return nil, err
	}
	return v.subjectSchema(), nil
}

func (r *Registry) getVersionText(req *http.Request) (any, error) {
	v, err := r.pathVersionOf(req)
	if err != nil {
		return nil, err
	}
	return rawText(v.schema.Schema.Schema), nil
}

// getReferrers gives the ids of the schemas that refer to a version.
func (r *Registry) getReferrers(req *http.Request) (any, error) {
	v, err := r.pathVersionOf(req)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := []int{}
	for _, from := range r.state.referrers(v.subject, v.number) {
		if !slices.Contains(ids, from.schema.id) {
			ids = append(ids, from.schema.id)
		}
	}
	return ids, nil
}
