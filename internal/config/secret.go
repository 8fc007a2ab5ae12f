package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const masked = "<secret>"

var (
	// secretWords in a key make its value one that is never shown; some are there for misspelt ones. "keystore.key" is inline PEM.
	secretWords = []string{
		"pass", "pasw", "pwd", "secret", "jaas", "user.info", "token", "key.pem", "keystore.key", "credential", "private.key", "api.key",
	}
	// notSecret are ends of keys that have such a word and hold no secret.
	notSecret = []string{".endpoint", ".url", ".minutes", ".entries", ".class", ".ms", ".seconds"}

	userInfo = regexp.MustCompile(`://[^/@\s,]*@`)
	// provider is Kafka's pattern of an indirect value (KIP-297): ${provider:path:key} or ${provider:key}.
	provider = regexp.MustCompile(`\$\{([^}:]*):(?:([^}]*):)?([^}:]*)\}`)
)

func isSecret(key string) bool {
	if i, ok := index[key]; ok && table[i].Kind == KindSecret {
		return true
	}
	name := strings.ToLower(key)
	has := func(end string) bool { return strings.HasSuffix(name, end) }
	return !slices.ContainsFunc(notSecret, has) &&
		slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}

// mask is how a value may be shown: secrets not at all, URLs without the user and password in them.
func mask(key, text string) string {
	if text != "" && (isSecret(key) || strings.Contains(text, "PRIVATE KEY")) {
		return masked
	}
	return userInfo.ReplaceAllString(text, "://"+masked+"@")
}

func (v value) shown(key string) string {
	if v.hidden {
		return masked
	}
	return mask(key, v.text)
}

// resolve fetches the values that are kept elsewhere.
func (l *loader) resolve() {
	for _, key := range slices.Sorted(maps.Keys(l.values)) {
		v := l.values[key]
		text, err := l.fetch(key, v.text)
		if err != nil {
			l.fail(key, err.Error(), "")
			continue
		}
		if text != v.text {
			v.text, v.hidden = text, true
			l.values[key] = v
		}
	}
}

func (l *loader) fetch(key, text string) (string, error) {
	if isSecret(key) {
		if name, ok := strings.CutPrefix(text, "file:"); ok {
			return notEmpty(wholeFile(name))
		}
		if name, ok := strings.CutPrefix(text, "env:"); ok {
			return l.variable(name)
		}
	}
	var failed error
	out := provider.ReplaceAllStringFunc(text, func(match string) string {
		part := provider.FindStringSubmatch(match)
		found, err := l.provide(part[1], part[2], part[3])
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s cannot be resolved: %w", match, err))
		}
		return found
	})
	return out, failed
}

func (l *loader) provide(name, path, key string) (string, error) {
	switch name {
	case "file":
		return fromProperties(path, key)
	case "env":
		return l.variable(key)
	case "dir":
		return notEmpty(wholeFile(filepath.Join(path, filepath.Base(key))))
	}
	return "", fmt.Errorf("there is no provider %q, only file, env and dir", name)
}

func (l *loader) variable(name string) (string, error) {
	text, ok := l.env[name]
	if !ok || text == "" {
		return "", fmt.Errorf("the environment variable %q is empty or not set", name)
	}
	return text, nil
}

func fromProperties(path, key string) (string, error) {
	data, err := readSmall(path)
	if err != nil {
		return "", err
	}
	all, err := parseProperties(data)
	if err != nil {
		return "", err
	}
	if all[key] == "" {
		return "", fmt.Errorf("%s has no %q", path, key)
	}
	return all[key], nil
}

func wholeFile(name string) (string, error) {
	data, err := readSmall(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no file %s", name)
	}
	return strings.TrimRight(string(data), "\r\n"), err
}

func notEmpty(text string, err error) (string, error) {
	if err == nil && text == "" {
		return "", errors.New("the file is empty")
	}
	return text, err
}
