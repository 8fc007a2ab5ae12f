package embedded

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
)

// state is what the topic says, in memory.
type state struct {
	schemas  map[int]*schema
	byHash   map[string]int // hash of type, identity and references → id
	subjects map[string][]*version
	compat   map[string]string // by subject, "" for all
	modes    map[string]string // likewise
	nextID   int
}

// schema is one text with its references. The same one under several subjects has one id.
type schema struct {
	id   int
	hash string
	sr.Schema
}

// version is a schema's place in a subject.
type version struct {
	subject string
	number  int
	deleted bool // softly
	schema  *schema
}

func newState() *state {
	return &state{
		schemas: map[int]*schema{}, byHash: map[string]int{}, subjects: map[string][]*version{},
		compat: map[string]string{}, modes: map[string]string{}, nextID: 1,
	}
}

// apply changes the state as a record of the topic says. Records that it does not know are passed over, as Confluent's registry does.
func (s *state) apply(rec record) {
	switch rec.key.Type {
	case keySchema:
		s.applySchema(rec)
	case keyNoop:
		s.nextID = max(s.nextID, rec.value.ID+1)
	case keyConfig:
		set(s.compat, rec.key.Subject, rec.value.Compat, rec.tombstone)
	case keyMode:
		set(s.modes, rec.key.Subject, rec.value.Mode, rec.tombstone)
	}
}

func set(m map[string]string, subject, value string, remove bool) {
	if remove || value == "" {
		delete(m, subject)
		return
	}
	m[subject] = value
}

func (s *state) applySchema(rec record) {
	s.remove(rec.key.Subject, rec.key.Version)
	v := rec.value
	if rec.tombstone || v.ID <= 0 {
		return
	}
	sc := s.schemas[v.ID]
	if sc == nil {
		sc = &schema{id: v.ID, hash: v.Hash, Schema: sr.Schema{Schema: v.Schema, Type: v.Type, References: v.References}}
		if sc.hash == "" {
			sc.hash = hashOf(v.Type, v.Schema, v.References)
		}
		s.schemas[v.ID] = sc
		s.byHash[sc.hash] = v.ID
	}
	s.nextID = max(s.nextID, v.ID+1)
	versions := slices.Concat(s.subjects[rec.key.Subject], []*version{{rec.key.Subject, rec.key.Version, v.Deleted, sc}})
	slices.SortFunc(versions, func(a, b *version) int { return cmp.Compare(a.number, b.number) })
	s.subjects[rec.key.Subject] = versions
}

// remove forgets a version, and its schema when no version has it any more.
func (s *state) remove(subject string, number int) {
	versions := s.subjects[subject]
	i := slices.IndexFunc(versions, func(v *version) bool { return v.number == number })
	if i < 0 {
		return
	}
	gone := versions[i]
	versions = slices.Delete(slices.Clone(versions), i, i+1)
	if s.subjects[subject] = versions; len(versions) == 0 {
		delete(s.subjects, subject)
	}
	if len(s.versionsOf(gone.schema.id, true)) == 0 {
		delete(s.schemas, gone.schema.id)
		delete(s.byHash, gone.schema.hash)
	}
}

// versions gives a subject's versions, oldest first.
func (s *state) versions(subject string, deleted bool) []*version {
	var out []*version
	for _, v := range s.subjects[subject] {
		if deleted || !v.deleted {
			out = append(out, v)
		}
	}
	return out
}

// find gives one version of a subject, the newest for latest.
func (s *state) find(subject string, number int, deleted bool) (*version, error) {
	versions := s.versions(subject, deleted)
	if len(versions) == 0 {
		return nil, errSubject(subject)
	}
	if number == latest {
		return versions[len(versions)-1], nil
	}
	for _, v := range versions {
		if v.number == number {
			return v, nil
		}
	}
	return nil, errVersion(number)
}

// versionsOf gives the places of a schema, by subject and number.
func (s *state) versionsOf(id int, deleted bool) []*version {
	return s.collect(func(v *version) bool { return v.schema.id == id && (deleted || !v.deleted) })
}

// referrers gives the versions that refer to one.
func (s *state) referrers(subject string, number int) []*version {
	return s.collect(func(v *version) bool {
		return !v.deleted && slices.ContainsFunc(v.schema.References, func(r sr.SchemaReference) bool {
			return r.Subject == subject && r.Version == number
		})
	})
}

func (s *state) collect(want func(*version) bool) []*version {
	var out []*version
	for _, subject := range slices.Sorted(maps.Keys(s.subjects)) {
		for _, v := range s.subjects[subject] {
			if want(v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// compatOf is the level that holds for a subject.
func (s *state) compatOf(subject string) string {
	return cmp.Or(s.compat[subject], s.compat[""], "BACKWARD")
}

// modeOf is the mode that holds for a subject.
func (s *state) modeOf(subject string) string {
	return cmp.Or(s.modes[subject], s.modes[""], modeReadWrite)
}

func (v *version) subjectSchema() sr.SubjectSchema {
	return sr.SubjectSchema{Subject: v.subject, Version: v.number, ID: v.schema.id, Schema: v.schema.Schema}
}
