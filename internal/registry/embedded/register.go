package embedded

import (
	"context"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
)

// The modes of a subject, or of all.
const (
	modeReadWrite        = "READWRITE"
	modeReadOnly         = "READONLY"
	modeReadOnlyOverride = "READONLY_OVERRIDE"
	modeImport           = "IMPORT"
)

const latest = -1

// candidate is a schema that a request brings, checked.
type candidate struct {
	sr.Schema
	hash  string
	texts []string // of what it refers to, what is referred to first
}

// candidate resolves what a schema refers to and brings it into its canonical form.
func (r *Registry) candidate(ctx context.Context, s sr.Schema) (*candidate, error) {
	if s.Schema == "" {
		return nil, errorf(42201, "Empty schema")
	}
	names, texts, err := r.references(s.References)
	if err != nil {
		return nil, invalidSchema(s, err)
	}
	text, identity, err := r.config.Canonical(ctx, s.Type, s.Schema, names, texts)
	if err != nil {
		return nil, invalidSchema(s, err)
	}
	s.Schema = text
	return &candidate{Schema: s, hash: hashOf(s.Type, identity, s.References), texts: texts}, nil
}

func invalidSchema(s sr.Schema, err error) error {
	return errorf(42201, "Invalid schema %s with refs %v of type %s, details: %s", clip(s.Schema), s.References, s.Type, clip(err.Error()))
}

// references gives names and texts of all that refs lead to, each once, what is referred to first.
func (r *Registry) references(refs []sr.SchemaReference) (names, texts []string, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.references(refs)
}

func (s *state) references(refs []sr.SchemaReference) (names, texts []string, err error) {
	seen := map[string]bool{}
	var add func(refs []sr.SchemaReference) error
	add = func(refs []sr.SchemaReference) error {
		for _, ref := range refs {
			if seen[ref.Name] {
				continue
			}
			seen[ref.Name] = true
			// A schema can only refer to what was registered before it, so this ends.
			v, err := s.find(ref.Subject, ref.Version, true)
			if err != nil {
				return errorf(42201, "No schema reference found for subject %q and version %d", ref.Subject, ref.Version)
			}
			if err := add(v.schema.References); err != nil {
				return err
			}
			names, texts = append(names, ref.Name), append(texts, v.schema.Schema.Schema)
		}
		return nil
	}
	err = add(refs)
	return names, texts, err
}

// lookup gives the version of a subject that has a schema.
func (r *Registry) lookup(ctx context.Context, subject string, s sr.Schema, deleted bool) (*version, error) {
	r.mu.RLock()
	known := len(r.state.versions(subject, deleted)) > 0
	r.mu.RUnlock()
	if !known {
		return nil, errSubject(subject)
	}
	c, err := r.candidate(ctx, s)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if v := r.state.holding(subject, c.hash, deleted); v != nil {
		return v, nil
	}
	return nil, errNoSchema
}

// holding gives the newest version of a subject with that schema, or nil.
func (s *state) holding(subject, hash string, deleted bool) *version {
	versions := s.versions(subject, deleted)
	for _, v := range slices.Backward(versions) {
		if v.schema.hash == hash {
			return v
		}
	}
	return nil
}

// register gives a schema its place in a subject. id and number are only given in the mode IMPORT.
func (r *Registry) register(ctx context.Context, subject string, s sr.Schema, id, number int) (*version, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	c, err := r.candidate(ctx, s)
	if err != nil {
		return nil, err
	}
	v, isNew, err := r.place(subject, c, id, number)
	if err != nil || !isNew {
		return v, err
	}
	// An id is never given twice, not even after a write whose end is not known.
	r.mu.Lock()
	r.state.nextID = max(r.state.nextID, v.schema.id+1)
	r.mu.Unlock()
	if err := r.write(ctx, schemaRecord(v)); err != nil {
		return nil, err
	}
	return v, nil
}

// place says where a schema goes, and whether it is not there yet.
func (r *Registry) place(subject string, c *candidate, id, number int) (v *version, isNew bool, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	mode := r.state.modeOf(subject)
	if id > 0 && mode == modeImport {
		v, err = r.state.imported(subject, c, id, number)
		return v, true, err
	}
	switch have := r.state.holding(subject, c.hash, false); {
	case id > 0:
		return nil, false, errorf(42205, "Subject %s is not in import mode", subject)
	case mode == modeImport:
		return nil, false, errorf(42205, "Subject %s is in import mode", subject)
	case have != nil:
		return have, false, nil
	case mode != modeReadWrite:
		return nil, false, errorf(42205, "Subject %s is in read-only mode", subject)
	}
	v, err = r.state.follow(subject, c)
	return v, true, err
}

// follow gives a schema the next version of a subject, if that is compatible.
func (s *state) follow(subject string, c *candidate) (*version, error) {
	if problems := s.incompatible(c, s.versions(subject, false), s.compatOf(subject)); len(problems) > 0 {
		return nil, errorf(409, "Schema being registered is incompatible with an earlier schema for subject %q, details: %v", subject, problems)
	}
	id := s.nextID
	if have, ok := s.byHash[c.hash]; ok {
		id = have
	}
	return &version{subject: subject, number: s.nextNumber(subject), schema: &schema{id: id, hash: c.hash, Schema: c.Schema}}, nil
}

func (s *state) nextNumber(subject string) int {
	all := s.versions(subject, true)
	if len(all) == 0 {
		return 1
	}
	return all[len(all)-1].number + 1
}

// imported takes the id and version that the request gives.
func (s *state) imported(subject string, c *candidate, id, number int) (*version, error) {
	if have := s.schemas[id]; have != nil && have.hash != c.hash {
		return nil, errorf(42207, "Overwrite new schema with id %d is not permitted.", id)
	}
	if id > math.MaxInt32-1 {
		return nil, errorf(42201, "The id %d is out of range", id)
	}
	if number <= 0 {
		number = s.nextNumber(subject)
	}
	return &version{subject: subject, number: number, schema: &schema{id: id, hash: c.hash, Schema: c.Schema}}, nil
}

// deleteSubject deletes all versions: softly, or for good those that are softly deleted. It gives their numbers.
func (r *Registry) deleteSubject(ctx context.Context, subject string, permanent bool) ([]int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	all, active := r.state.versions(subject, true), r.state.versions(subject, false)
	r.mu.RUnlock()
	switch {
	case len(all) == 0:
		return nil, errSubject(subject)
	case permanent && len(active) > 0:
		return nil, errorf(40405, "Subject '%s' was not deleted first before being permanently deleted", subject)
	case !permanent && len(active) == 0:
		return nil, errorf(40404, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)
	}
	targets := active
	if permanent {
		targets = all
	}
	for _, v := range targets {
		if err := r.unreferenced(v); err != nil {
			return nil, err
		}
	}
	var numbers []int
	for _, v := range targets {
		if err := r.delete(ctx, v, permanent); err != nil {
			return nil, err
		}
		numbers = append(numbers, v.number)
	}
	return numbers, nil
}

// deleteVersion is deleteSubject for one version.
func (r *Registry) deleteVersion(ctx context.Context, subject string, number int, permanent bool) (int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	v, err := r.state.find(subject, number, number != latest || permanent)
	r.mu.RUnlock()
	switch {
	case err != nil:
		return 0, err
	case permanent && !v.deleted:
		return 0, errorf(40407, "Subject '%s' Version %d was not deleted first before being permanently deleted", subject, v.number)
	case !permanent && v.deleted:
		return 0, errorf(40406, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", subject, v.number)
	}
	if err := r.unreferenced(v); err != nil {
		return 0, err
	}
	return v.number, r.delete(ctx, v, permanent)
}

func (r *Registry) unreferenced(v *version) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.state.referrers(v.subject, v.number)) > 0 {
		return errorf(42206, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.", v.subject, v.number)
	}
	return nil
}

// delete deletes a version. Before the last trace of an id goes, the highest id is written down: records with it may still be about, and
// must not be read by another schema.
func (r *Registry) delete(ctx context.Context, v *version, permanent bool) error {
	if permanent {
		r.mu.RLock()
		highest := r.state.nextID - 1
		r.mu.RUnlock()
		if err := r.write(ctx, record{key: recordKey{Type: keyNoop}, value: recordValue{ID: highest}}); err != nil {
			return err
		}
	}
	gone := *v
	gone.deleted = true
	rec := schemaRecord(&gone)
	rec.tombstone = permanent
	return r.write(ctx, rec)
}
