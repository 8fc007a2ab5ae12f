package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is a loaded and checked configuration. It does not change, and is safe for use by many goroutines.
type Config struct {
	values    map[string]value // what is set; defaults are in the table
	warnings  []string
	listeners []Listener
	public    []Listener
}

type value struct {
	text   string
	source string // sourceFile, sourceEnv or sourceFlag
	origin string // the variable's name, when the source is the environment
	hidden bool   // came from a secret's store, so it is never shown, whatever the key
}

const (
	sourceDefault = "default"
	sourceFile    = "file"
	sourceEnv     = "environment"
	sourceFlag    = "flag"
)

func (v value) where() string {
	if v.origin != "" {
		return v.source + " " + v.origin
	}
	return v.source
}

// String reads a string, choice or secret. A choice has the spelling of the table.
//
// It and the other getters panic when the table has no such key or another kind of it: a mistake in the program, not in a file.
func (c *Config) String(key string) string {
	k, text := c.get(key, KindString, KindEnum, KindSecret)
	if k.Kind == KindEnum {
		if canonical := k.canonical(text); canonical != "" {
			return canonical
		}
	}
	return text
}

// Int reads a whole number.
func (c *Config) Int(key string) int { return int(c.number(key, KindInt)) }

// Int64 reads a whole number of either size.
func (c *Config) Int64(key string) int64 { return c.number(key, KindInt64, KindInt) }

// Millis reads a duration.
func (c *Config) Millis(key string) time.Duration {
	return time.Duration(c.number(key, KindMillis)) * time.Millisecond
}

// Bool reads a switch.
func (c *Config) Bool(key string) bool {
	_, text := c.get(key, KindBool)
	return strings.EqualFold(text, "true")
}

// List reads a list; nil when it is empty. Elements that the table restricts have its spelling.
func (c *Config) List(key string) []string {
	k, text := c.get(key, KindList)
	out := splitList(text)
	for i, element := range out {
		if canonical := k.canonical(element); canonical != "" {
			out[i] = canonical
		}
	}
	return out
}

// Networks reads a list of networks, such as forwarded.trusted.addresses.
func (c *Config) Networks(key string) []netip.Prefix {
	var out []netip.Prefix
	for _, element := range c.List(key) {
		if network, err := parseNetwork(element); err == nil {
			out = append(out, network)
		}
	}
	return out
}

// Costs reads rate.limit.costs: permits by endpoint name, which may end in ".*".
func (c *Config) Costs(key string) map[string]int {
	costs, err := parseCosts(strings.Join(c.List(key), ","))
	if err != nil {
		return nil // not reached: loading has checked it
	}
	return costs
}

// HeaderRules reads response.http.headers.config.
func (c *Config) HeaderRules(key string) []HeaderRule {
	rules, err := parseHeaderRules(c.String(key))
	if err != nil {
		return nil // not reached: loading has checked it
	}
	return rules
}

// IsSet tells whether a file, the environment or a flag sets the key, be it to its default.
func (c *Config) IsSet(key string) bool {
	if _, ok := lookUp(key); !ok && !isPassThrough(key) {
		panic("config: no key " + key)
	}
	_, ok := c.values[key]
	return ok
}

// Prefixed is every set key under the prefixes, without the prefix; of keys that become the same, that of the later prefix wins. The
// proxy's own keys that happen to share a prefix (consumer.request.timeout.ms) are left out.
func (c *Config) Prefixed(prefixes ...string) map[string]string {
	out := map[string]string{}
	for _, prefix := range prefixes {
		for key, v := range c.values {
			if name, ok := strings.CutPrefix(key, prefix); ok && name != "" && isPassThrough(key) {
				out[name] = v.text
			}
		}
	}
	return out
}

// Listeners are the addresses to listen on, with their TLS settings.
func (c *Config) Listeners() []Listener { return slices.Clone(c.listeners) }

// AdvertisedListeners are the addresses for URLs in replies, in the configured order; nil when none are configured.
func (c *Config) AdvertisedListeners() []Listener { return slices.Clone(c.public) }

// Warnings are sentences for the log at start: settings without effect and settings that deserve a second look.
func (c *Config) Warnings() []string { return slices.Clone(c.warnings) }

// Redacted is every setting with effect as "key=value (source)", sorted, secrets as <secret>.
func (c *Config) Redacted() []string {
	var out []string
	for _, k := range table {
		if _, set := c.values[k.Name]; !set && k.Status == Honoured {
			out = append(out, fmt.Sprintf("%s=%s (%s)", k.Name, mask(k.Name, k.Default), sourceDefault))
		}
	}
	for key, v := range c.values {
		out = append(out, fmt.Sprintf("%s=%s (%s)", key, v.shown(key), v.where()))
	}
	slices.Sort(out)
	return out
}

func (c *Config) get(key string, kinds ...Kind) (Key, string) {
	i, ok := index[key]
	if !ok {
		panic("config: no key " + key)
	}
	k := table[i]
	if !slices.Contains(kinds, k.Kind) {
		panic(fmt.Sprintf("config: key %s is read as %v and is %v", key, kinds, k.Kind))
	}
	if v, ok := c.values[key]; ok {
		return k, v.text
	}
	return k, k.Default
}

func (c *Config) number(key string, kinds ...Kind) int64 {
	k, text := c.get(key, kinds...)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return k.Min // not reached: loading has checked what is honoured, and nothing else is read
	}
	return n
}
