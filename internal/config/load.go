package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Source is where a configuration comes from. The zero value gives the defaults.
type Source struct {
	File    string            // .properties, or .yaml and .yml; empty means none
	Env     []string          // as os.Environ gives it; nil means none
	Set     map[string]string // from flags; wins over the others
	Require []string          // keys that must not be empty, such as bootstrap.servers for a real Kafka
}

// Load reads and checks a configuration. Its error joins a [Problem] for everything that is wrong; the Config is nil then.
func Load(src Source) (*Config, error) {
	l := &loader{env: envMap(src.Env), values: map[string]value{}, failed: map[string]bool{}}
	l.readFile(src.File)
	l.readEnv()
	for key, text := range src.Set {
		l.put(key, value{text: text, source: sourceFlag})
	}
	l.resolve()
	l.check(src.Require)
	c := &Config{values: l.values}
	if len(l.problems) == 0 {
		l.addListeners(c)
	}
	if len(l.problems) > 0 {
		return nil, l.err()
	}
	l.warn(c)
	slices.Sort(l.warnings)
	c.warnings = slices.Compact(l.warnings)
	return c, nil
}

type loader struct {
	env      map[string]string
	values   map[string]value
	failed   map[string]bool // keys with a problem already: they are not checked further
	problems []*Problem
	warnings []string
}

// put trims as Kafka's own parser does for every type: only characters up to the blank.
func (l *loader) put(key string, v value) {
	v.text = strings.TrimFunc(v.text, func(r rune) bool { return r <= ' ' })
	l.values[key] = v
}

func (l *loader) fail(key, limit, remedy string) {
	v, ok := l.values[key]
	p := &Problem{Key: key, Limit: limit, Remedy: remedy, Source: sourceDefault}
	if ok {
		p.Value, p.Source = v.shown(key), v.where()
	}
	if _, known := lookUp(key); !known && !isPassThrough(key) {
		p.Value, p.bare = "", true
	}
	l.problems = append(l.problems, p)
	l.failed[key] = true
}

func (l *loader) warnf(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

func (l *loader) err() error {
	slices.SortFunc(l.problems, func(a, b *Problem) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Limit, b.Limit)) })
	errs := make([]error, len(l.problems))
	for i, p := range l.problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

func (l *loader) check(require []string) {
	for _, key := range slices.Sorted(maps.Keys(l.values)) {
		if !l.failed[key] {
			l.checkKey(key)
		}
	}
	for _, key := range require {
		if k, _ := lookUp(key); l.values[key].text == "" && k.Default == "" {
			l.fail(key, "is required", "set it in the file, as "+envName(key)+" or by a flag")
		}
	}
}

func (l *loader) checkKey(key string) {
	k, known := lookUp(key)
	text := l.values[key].text
	switch {
	case !known && strings.HasPrefix(key, listenerPrefix):
		l.fail(key, "is not a listener's TLS setting", "write "+listenerPrefix+"NAME.ssl.…"+nearestOf(afterListener(key)))
	case !known && !isPassThrough(key):
		l.fail(key, "is not a known key", "remove it"+nearestOf(key)+
			"; a Java client property needs a prefix: client., producer., consumer. or admin.")
	case !known || k.Status == PassedOn:
	case k.Status == NotApplicable && !k.isDefault(text):
		l.warnf("%s=%s has no effect: %s", key, l.values[key].shown(key), k.Reason)
	case k.Status == Refused && !k.isDefault(text):
		l.fail(key, "is refused: "+k.Reason, "remove it")
	case k.Status == Honoured:
		if limit, remedy := k.check(text); limit != "" {
			l.fail(key, limit, remedy)
		}
	}
}

func afterListener(key string) string {
	rest := strings.TrimPrefix(key, listenerPrefix)
	if _, inner, ok := strings.Cut(rest, "."); ok {
		return inner
	}
	return rest
}

// warn adds the warnings that need more than one key.
func (l *loader) warn(c *Config) {
	if c.IsSet("port") && c.IsSet("listeners") && len(c.List("listeners")) > 0 {
		l.warnf("port has no effect: listeners is set")
	}
	for _, pair := range [][2]string{{"client.", "producer."}, {"client.", "consumer."}, {"client.", "admin."}} {
		l.warnClash(pair[0], pair[1])
	}
	for key := range l.values {
		if _, known := lookUp(key); !known && strings.HasPrefix(key, "confluent.") {
			l.warnf("%s has no effect: it belongs to Confluent's own add-ons", key)
		}
	}
	if c.Bool("insecure.no.auth") {
		return
	}
	for _, listener := range c.listeners {
		if !listener.Loopback() && listener.TLS["ssl.client.authentication"] != "REQUIRED" {
			l.warnf("SECURITY: everybody who reaches %s may use Kafka with this proxy's rights, since it asks for no authentication;"+
				" listen on 127.0.0.1, or ask for client certificates (ssl.client.authentication=REQUIRED), or say insecure.no.auth=true", listener)
		}
	}
}

// warnClash tells of a property that is set under both prefixes, with different values.
func (l *loader) warnClash(general, special string) {
	for key, v := range l.values {
		name, ok := strings.CutPrefix(key, special)
		if !ok || !isPassThrough(key) {
			continue
		}
		if other, ok := l.values[general+name]; ok && other.text != v.text {
			l.warnf("%s wins over %s, which has another value", key, general+name)
		}
	}
}
