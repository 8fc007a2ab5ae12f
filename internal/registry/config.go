// Package registry is the client of a Schema Registry: several addresses with failover, caches, one request for many that wait, and the
// subject name strategies. It satisfies the Schemas interface of the package format.
package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Config of a Client. Start from Default.
type Config struct {
	// URLs of one registry or of several nodes of it, tried in turn. http and https; a path is kept as prefix, user info is sent as
	// basic authentication to that URL only. At least one.
	URLs []string

	Username string // basic authentication for all URLs; "" for none. With SASL_INHERIT these are the credentials of Kafka
	Password string
	Bearer   string // a bearer token, which excludes Username; "" for none

	TLS *tls.Config // trust and, for mutual TLS, a certificate; nil for the system's trust

	Timeout     time.Duration // of one look-up with all its tries; default 5 s
	LatestTTL   time.Duration // how long the newest version of a subject is taken from the cache; default 10 s
	NegativeTTL time.Duration // how long a failure is taken from the cache; default 1 s
	MaxEntries  int           // of the cache; default 2000
	MaxBytes    int           // of schema text in the cache; default 16 MiB

	AutoRegister bool // register a schema that its subject does not have; default true
	UseLatest    bool // write with the newest version of the subject instead of the schema given; default false
	Normalize    bool // ask the registry to normalize schemas; default false

	KeyStrategy   Strategy // default TopicName
	ValueStrategy Strategy // default TopicName
}

// Default is the configuration of a client without its URLs.
func Default() Config {
	return Config{
		Timeout:      5 * time.Second,
		LatestTTL:    10 * time.Second,
		NegativeTTL:  time.Second,
		MaxEntries:   2000,
		MaxBytes:     16 << 20,
		AutoRegister: true,
	}
}

// Validate says what is wrong, naming the field.
func (c Config) Validate() error {
	if len(c.URLs) == 0 {
		return errors.New("registry: URLs: at least one is needed")
	}
	for _, u := range c.URLs {
		if _, err := parseURL(u); err != nil {
			return err
		}
	}
	if c.Bearer != "" && c.Username != "" {
		return errors.New("registry: Bearer and Username exclude each other")
	}
	if c.Timeout <= 0 || c.LatestTTL < 0 || c.NegativeTTL < 0 {
		return errors.New("registry: Timeout must be more than 0, LatestTTL and NegativeTTL at least 0")
	}
	if c.MaxEntries < 1 || c.MaxBytes < 1 {
		return errors.New("registry: MaxEntries and MaxBytes must be at least 1")
	}
	return nil
}

// String is for logs and error texts: no password, no token, and of the URLs only what anybody may see.
func (c Config) String() string {
	urls := make([]string, 0, len(c.URLs))
	for _, u := range c.URLs {
		if parsed, err := parseURL(u); err == nil {
			u = parsed.Redacted()
		} else {
			u = "<not a URL>"
		}
		urls = append(urls, u)
	}
	auth := "none"
	switch {
	case c.Username != "":
		auth = "basic"
	case c.Bearer != "":
		auth = "bearer"
	}
	return fmt.Sprintf("registry %s, authentication %s, TLS %t, time-out %v, register %t, newest %t, normalize %t, subjects %s and %s",
		strings.Join(urls, ","), auth, c.TLS != nil, c.Timeout, c.AutoRegister, c.UseLatest, c.Normalize, c.KeyStrategy, c.ValueStrategy)
}

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for the log, which would write the fields.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// parseURL never quotes the URL: it may hold a password.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("registry: URLs: one is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("registry: URLs: %s is not of the form http://host:port or https://host:port", u.Redacted())
	}
	return u, nil
}
