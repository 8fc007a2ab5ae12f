// Package conformance holds a proxy against the published behaviour of the Confluent REST Proxy: black-box cases, run over HTTP
// against any base URL. It knows nothing of the proxy's inside and imports none of it.
//
// A case is a line of testdata/cases.jsonl: a list of requests with what their replies must be. Runner runs one, Deviations lists
// the cases that this project answers differently on purpose, and the command cmd/conform prints the outcome of all.
package conformance

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

//go:embed testdata/cases.jsonl
var embeddedCases []byte

// Cases are the cases that come with this package.
func Cases() ([]Case, error) { return Load(bytes.NewReader(embeddedCases)) }

// Case is one case. ${name} in a path, header, body or expectation stands for a variable: run is a random word, fresh for each case;
// base is the proxy's URL without a slash at the end; authority is its host and port; others come from Capture.
type Case struct {
	ID      string            `json:"id"`
	API     string            `json:"api"` // v2 or v3
	Title   string            `json:"title"`
	Notes   string            `json:"notes"`
	Needs   []string          `json:"needs"`  // what the environment must have, such as schema-registry
	Config  map[string]string `json:"config"` // properties that the proxy must be started with; empty for any proxy
	Steps   []Step            `json:"steps"`
	Cleanup []Step            `json:"cleanup"` // requests whose replies are ignored
}

// Step is a request and what is expected of its reply, or a pause if SleepMS is set.
type Step struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"` // with its query; sent as it is written
	Headers    map[string]string `json:"headers"`
	Body       json.RawMessage   `json:"body"`        // a string is sent raw, any other value as JSON
	BodyBase64 string            `json:"body_base64"` // raw bytes
	BodyRepeat *Repeat           `json:"body_repeat"`

	Status       Statuses          `json:"expect_status"` // empty means any
	JSONSubset   json.RawMessage   `json:"expect_json_subset"`
	JSONExact    json.RawMessage   `json:"expect_json_exact"`
	StreamSubset json.RawMessage   `json:"expect_stream_subset"` // the reply's JSON documents as an array
	StreamExact  json.RawMessage   `json:"expect_stream_exact"`
	ReplyBody    *string           `json:"expect_body"`
	ReplyHeaders map[string]string `json:"expect_headers"`
	MinMS        int               `json:"expect_min_ms"` // 0 means no bound
	MaxMS        int               `json:"expect_max_ms"` // 0 means no bound
	RetryUntilMS int               `json:"retry_until_ms"`
	Capture      map[string]string `json:"capture"` // variable to JSON pointer into the reply
	Notes        string            `json:"notes"`
	SleepMS      int               `json:"sleep_ms"`
}

// Repeat is a large body: Prefix, Count times Unit, Suffix.
type Repeat struct {
	Prefix string `json:"prefix"`
	Unit   string `json:"unit"`
	Count  int    `json:"count"`
	Suffix string `json:"suffix"`
}

// Statuses are the HTTP statuses that are accepted: in JSON a number or an array of numbers.
type Statuses []int

// UnmarshalJSON implements json.Unmarshaler.
func (s *Statuses) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil {
		*s = Statuses{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(s))
}

// Load reads cases, one JSON object on each line. A member that it does not know, an unknown matcher or an id that comes twice is an
// error: a misspelt expectation would otherwise never fail.
func Load(r io.Reader) ([]Case, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 16<<20)
	var cases []Case
	seen := map[string]bool{}
	for line := 1; scanner.Scan(); line++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var c Case
		if err := strictJSON(scanner.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("line %d: case %q: %w", line, c.ID, err)
		}
		if seen[c.ID] {
			return nil, fmt.Errorf("line %d: case %q comes twice", line, c.ID)
		}
		seen[c.ID] = true
		cases = append(cases, c)
	}
	return cases, scanner.Err()
}

// strictJSON decodes one JSON document that has no unknown member and nothing after it.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON document")
	}
	return nil
}

// Select are the cases of one API, or of all if api is empty, whose id matches ids, or any if ids is nil.
func Select(cases []Case, api string, ids *regexp.Regexp) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool {
		return api != "" && c.API != api || ids != nil && !ids.MatchString(c.ID)
	})
}

func (c *Case) check() error {
	if c.ID == "" || c.API == "" || c.Title == "" || len(c.Steps) == 0 {
		return errors.New("id, api, title and steps are required")
	}
	for i := range c.Steps {
		if err := c.Steps[i].check(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	for i := range c.Cleanup {
		if err := c.Cleanup[i].check(); err != nil {
			return fmt.Errorf("cleanup %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *Step) check() error {
	if s.SleepMS > 0 {
		if s.Method != "" || s.Path != "" {
			return errors.New("a pause has no request")
		}
		return nil
	}
	if s.Method == "" || s.Path == "" || s.Path[0] != '/' {
		return errors.New("a method and a path that begins with a slash are required")
	}
	for name := range s.Headers {
		if strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") {
			return fmt.Errorf("header %s cannot be chosen", name)
		}
	}
	if err := s.checkBody(); err != nil {
		return err
	}
	for _, doc := range []json.RawMessage{s.JSONSubset, s.JSONExact, s.StreamSubset, s.StreamExact} {
		if err := checkExpectation(doc); err != nil {
			return err
		}
	}
	for _, pattern := range s.ReplyHeaders {
		if err := checkMatchers(pattern); err != nil {
			return err
		}
	}
	if s.ReplyBody != nil {
		return checkMatchers(*s.ReplyBody)
	}
	return nil
}

func (s *Step) checkBody() error {
	n := 0
	for _, set := range []bool{s.Body != nil, s.BodyBase64 != "", s.BodyRepeat != nil} {
		if set {
			n++
		}
	}
	if n > 1 {
		return errors.New("more than one body")
	}
	if _, err := base64.StdEncoding.DecodeString(s.BodyBase64); err != nil {
		return fmt.Errorf("body_base64: %w", err)
	}
	return nil
}

func checkExpectation(doc json.RawMessage) error {
	if doc == nil {
		return nil
	}
	v, err := decodeJSON(doc)
	if err != nil {
		return err
	}
	return checkMatchers(v)
}
