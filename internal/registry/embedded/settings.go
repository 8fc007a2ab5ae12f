package embedded

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// This file holds the endpoints of compatibility levels and modes. Their subject is "" for all.

type levelReply struct {
	Level string `json:"compatibilityLevel"`
}

func (r *Registry) getConfig(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if subject != "" && r.state.compat[subject] == "" && !flag(req, "defaultToGlobal") {
		return nil, errorf(40408, "Subject '%s' does not have subject-level compatibility configured", subject)
	}
	return levelReply{r.state.compatOf(subject)}, nil
}

func (r *Registry) putConfig(req *http.Request) (any, error) {
	var b struct {
		Compatibility string `json:"compatibility"`
	}
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	level, err := parseLevel(b.Compatibility)
	if err != nil {
		return nil, err
	}
	rec := record{key: recordKey{Type: keyConfig, Subject: req.PathValue("subject")}, value: recordValue{Compat: level}}
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.write(req.Context(), rec); err != nil {
		return nil, err
	}
	return map[string]string{"compatibility": level}, nil
}

// deleteConfig goes back to the level of all, or for all to BACKWARD, and gives the level that held.
func (r *Registry) deleteConfig(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	before := r.state.compat[subject]
	r.mu.RUnlock()
	if before == "" && subject != "" {
		return nil, errSubject(subject)
	}
	if err := r.write(req.Context(), record{key: recordKey{Type: keyConfig, Subject: subject}, tombstone: true}); err != nil {
		return nil, err
	}
	return levelReply{cmp.Or(before, "BACKWARD")}, nil
}

type modeReply struct {
	Mode string `json:"mode"`
}

func (r *Registry) getMode(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if subject != "" && r.state.modes[subject] == "" && !flag(req, "defaultToGlobal") {
		return nil, errorf(40409, "Subject '%s' does not have subject-level mode configured", subject)
	}
	return modeReply{r.state.modeOf(subject)}, nil
}

func (r *Registry) putMode(req *http.Request) (any, error) {
	var b modeReply
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	mode := strings.ToUpper(b.Mode)
	if !slices.Contains([]string{modeReadWrite, modeReadOnly, modeReadOnlyOverride, modeImport}, mode) {
		return nil, errMode
	}
	subject := req.PathValue("subject")
	r.writing.Lock()
	defer r.writing.Unlock()
	if mode == modeImport && !flag(req, "force") && r.holdsSchemas(subject) {
		return nil, errImportExists
	}
	rec := record{key: recordKey{Type: keyMode, Subject: subject}, value: recordValue{Mode: mode}}
	if err := r.write(req.Context(), rec); err != nil {
		return nil, err
	}
	return modeReply{mode}, nil
}

// holdsSchemas reports whether a subject, or any for "", has versions.
func (r *Registry) holdsSchemas(subject string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if subject == "" {
		return len(r.state.subjects) > 0
	}
	return len(r.state.subjects[subject]) > 0
}

func (r *Registry) deleteMode(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	before := r.state.modes[subject]
	r.mu.RUnlock()
	if before == "" {
		return nil, errSubject(subject)
	}
	if err := r.write(req.Context(), record{key: recordKey{Type: keyMode, Subject: subject}, tombstone: true}); err != nil {
		return nil, err
	}
	return modeReply{before}, nil
}
