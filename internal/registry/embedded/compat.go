package embedded

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

var compatLevels = []string{
	"NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE",
}

// parseLevel takes a level in any case of letters.
func parseLevel(s string) (string, error) {
	s = strings.ToUpper(s)
	if !slices.Contains(compatLevels, s) {
		return "", errCompat
	}
	return s, nil
}

// incompatible says why a schema may not follow earlier ones, oldest first, at a level. Nothing means that it may.
func (s *state) incompatible(c *candidate, earlier []*version, level string) []string {
	if len(earlier) == 0 || level == "NONE" {
		return nil
	}
	direction, transitive := strings.CutSuffix(level, "_TRANSITIVE")
	if !transitive {
		earlier = earlier[len(earlier)-1:]
	}
	var problems []string
	for _, v := range slices.Backward(earlier) {
		if problem := s.conflict(c, v, direction); problem != "" {
			problems = append(problems, fmt.Sprintf("{%s with version %d}", problem, v.number))
		}
	}
	return problems
}

// conflict says why the data of a schema and an earlier one cannot be read with each other in the directions of a level.
func (s *state) conflict(c *candidate, v *version, direction string) string {
	if c.Type != v.schema.Type {
		return fmt.Sprintf("schema type %s differs from %s", c.Type, v.schema.Type)
	}
	if c.Type != sr.TypeAvro {
		return "" // see the package's comment
	}
	fresh, err := parseAvro(c.Schema.Schema, c.texts)
	if err != nil {
		return err.Error()
	}
	_, texts, err := s.references(v.schema.References)
	if err != nil {
		return err.Error()
	}
	old, err := parseAvro(v.schema.Schema.Schema, texts)
	if err != nil {
		return err.Error()
	}
	if direction != "FORWARD" {
		if err := avro.CheckCompatibility(old, fresh); err != nil {
			return "the new schema cannot read data of the old: " + err.Error()
		}
	}
	if direction != "BACKWARD" {
		if err := avro.CheckCompatibility(fresh, old); err != nil {
			return "the old schema cannot read data of the new: " + err.Error()
		}
	}
	return ""
}

func parseAvro(text string, deps []string) (*avro.Schema, error) {
	var known avro.SchemaCache
	for _, d := range deps {
		if _, err := known.Parse(d); err != nil {
			return nil, err
		}
	}
	return known.Parse(text)
}
