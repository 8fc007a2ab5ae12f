package conformance

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// variables are the values of ${name}.
type variables map[string]string

// expand replaces the variables in a text. One that has no value is an error.
func (v variables) expand(s string) (string, error) {
	return v.expandWith(s, func(s string) string { return s })
}

// expandJSON replaces variables in the text of a JSON document, where they stand within strings.
func (v variables) expandJSON(s string) (string, error) {
	return v.expandWith(s, func(s string) string {
		quoted := jsonText(s)
		return quoted[1 : len(quoted)-1]
	})
}

func (v variables) expandWith(s string, quote func(string) string) (string, error) {
	var err error
	out := variable.ReplaceAllStringFunc(s, func(ref string) string {
		value, ok := v[ref[2:len(ref)-1]]
		if !ok && err == nil {
			err = fmt.Errorf("variable %s has no value", ref)
		}
		return quote(value)
	})
	return out, err
}

// capture sets variables from a reply.
func (v variables) capture(pointers map[string]string, body []byte) error {
	if len(pointers) == 0 {
		return nil
	}
	doc, err := decodeJSON(body)
	if err != nil {
		return fmt.Errorf("nothing can be captured: %w", err)
	}
	for name, pointer := range pointers {
		value, ok := resolve(doc, pointer)
		if !ok {
			return fmt.Errorf("capture of %s: the reply has nothing at %s", name, pointer)
		}
		if s, ok := value.(string); ok {
			v[name] = s
		} else {
			v[name] = jsonText(value)
		}
	}
	return nil
}

// resolve finds the value that a JSON pointer (RFC 6901) names.
func resolve(doc any, pointer string) (any, bool) {
	if pointer == "" {
		return doc, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = unescape.Replace(token)
		switch v := doc.(type) {
		case map[string]any:
			member, ok := v[token]
			if !ok {
				return nil, false
			}
			doc = member
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// randomWord makes a word of twelve lower-case letters.
func randomWord() string {
	word := make([]byte, 12)
	_, _ = rand.Read(word) // never fails: it crashes the program instead
	for i, b := range word {
		word[i] = 'a' + b%26
	}
	return string(word)
}
