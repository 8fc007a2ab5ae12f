package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// missing stands for a member or header that is not there.
type missing struct{}

// stringMatcher is what <<name>> or <<name:argument>> means. It reports whether got is as wanted.
type stringMatcher func(argument string, got any) bool

// stringMatchers are the matchers that a string can be. absent is not one of them: it looks at the member, not at a value.
var stringMatchers = map[string]stringMatcher{
	"any":      func(_ string, got any) bool { return got != missing{} },
	"absent":   func(_ string, got any) bool { return got == missing{} },
	"int":      matchInt,
	"string":   func(_ string, got any) bool { _, ok := got.(string); return ok },
	"nonempty": func(_ string, got any) bool { return nonEmpty(got) },
	"contains": onString(strings.Contains),
	"prefix":   onString(strings.HasPrefix),
	"regex":    onString(matchRegex),
}

func onString(match func(got, argument string) bool) stringMatcher {
	return func(argument string, got any) bool {
		s, ok := got.(string)
		return ok && match(s, argument)
	}
}

func matchRegex(got, pattern string) bool {
	ok, err := regexp.MatchString(pattern, got)
	return ok && err == nil
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

func matchInt(argument string, got any) bool {
	n, ok := got.(json.Number)
	if !ok || !integer.MatchString(n.String()) {
		return false
	}
	return argument == "" || sameNumber(n, json.Number(argument))
}

func nonEmpty(got any) bool {
	switch v := got.(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// parseMatcher splits <<name:argument>>.
func parseMatcher(s string) (name, argument string, ok bool) {
	if len(s) < 5 || !strings.HasPrefix(s, "<<") || !strings.HasSuffix(s, ">>") {
		return "", "", false
	}
	name, argument, _ = strings.Cut(s[2:len(s)-2], ":")
	return name, argument, true
}

var arrayMatchers = []string{"array_contains", "array_lacks", "array_unordered", "array_len"}

// isArrayMatcher reports whether an expected object is one of the form {"<<array_…>>": …}.
func isArrayMatcher(want map[string]any) bool {
	for key := range want {
		if strings.HasPrefix(key, "<<") {
			return true
		}
	}
	return false
}

// checkMatchers finds matchers that do not exist and regular expressions that do not compile in an expectation.
func checkMatchers(want any) error {
	switch w := want.(type) {
	case string:
		return checkStringMatcher(w)
	case []any:
		for _, v := range w {
			if err := checkMatchers(v); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(w)) {
			if err := checkArrayMatcher(key, w[key], len(w)); err != nil {
				return err
			}
			if err := checkMatchers(w[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkStringMatcher(s string) error {
	name, argument, ok := parseMatcher(s)
	if !ok {
		return nil
	}
	if stringMatchers[name] == nil {
		return fmt.Errorf("unknown matcher %s", s)
	}
	if name == "regex" {
		_, err := regexp.Compile(variable.ReplaceAllString(argument, "x"))
		return err
	}
	return nil
}

func checkArrayMatcher(key string, value any, members int) error {
	if !strings.HasPrefix(key, "<<") {
		return nil
	}
	name, _, ok := parseMatcher(key)
	if !ok || !slices.Contains(arrayMatchers, name) || members != 1 {
		return fmt.Errorf("unknown matcher %s, or other members beside it", key)
	}
	if name == "array_len" {
		if n, ok := value.(json.Number); !ok || !integer.MatchString(n.String()) {
			return fmt.Errorf("%s wants a number", key)
		}
		return nil
	}
	if _, ok := value.([]any); !ok {
		return fmt.Errorf("%s wants an array", key)
	}
	return nil
}
