package conformance

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
)

//go:embed deviations.json
var embeddedDeviations []byte

// Deviations maps the id of a case that this project answers differently to the reason.
type Deviations map[string]string

// KnownDeviations is the list that comes with this package, deviations.json.
func KnownDeviations() (Deviations, error) { return parseDeviations(embeddedDeviations) }

// LoadDeviations reads a JSON array of objects with the members id and reason. Both must be there, and an id only once.
func LoadDeviations(r io.Reader) (Deviations, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return parseDeviations(data)
}

func parseDeviations(data []byte) (Deviations, error) {
	var list []struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if err := strictJSON(data, &list); err != nil {
		return nil, fmt.Errorf("deviations: %w", err)
	}
	d := Deviations{}
	for _, e := range list {
		if e.ID == "" || e.Reason == "" {
			return nil, errors.New("deviations: an entry without id or reason")
		}
		if _, ok := d[e.ID]; ok {
			return nil, fmt.Errorf("deviations: %s comes twice", e.ID)
		}
		d[e.ID] = e.Reason
	}
	return d, nil
}

// Unknown are the ids that no case has.
func (d Deviations) Unknown(cases []Case) []string {
	known := map[string]bool{}
	for _, c := range cases {
		known[c.ID] = true
	}
	var unknown []string
	for id := range d {
		if !known[id] {
			unknown = append(unknown, id)
		}
	}
	return unknown
}
