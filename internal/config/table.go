package config

import (
	"slices"
	"strings"
)

type group struct {
	title string
	keys  []Key
}

// table is every key, in the order of the documentation; index finds a row by name.
var (
	table = flatten(serverGroups(), apiGroups(), messagesGroups(), securityGroups(), clientGroups(), otherGroups())
	index = indexOf(table)
)

// Table is every key that the proxy knows, in the order of the documentation. The caller owns the slice.
func Table() []Key { return slices.Clone(table) }

func flatten(rooms ...[]group) []Key {
	var out []Key
	for _, g := range slices.Concat(rooms...) {
		for _, k := range g.keys {
			k.Group = g.title
			out = append(out, k)
		}
	}
	return out
}

func indexOf(keys []Key) map[string]int {
	out := make(map[string]int, len(keys))
	for i, k := range keys {
		out[k.Name] = i
	}
	return out
}

// ours marks keys that Confluent's proxy does not have.
func ours(keys ...Key) []Key {
	for i := range keys {
		keys[i].Ours = true
	}
	return keys
}

// passPrefixes are the prefixes under which any key is taken.
var passPrefixes = []string{
	"client.", "producer.", "consumer.", "admin.", "schema.registry.", "confluent.", "config.providers.",
}

const listenerPrefix = "listener.name."

// lookUp finds the row for a key. A key listener.name.NAME.ssl.x has the row of ssl.x.
func lookUp(name string) (Key, bool) {
	if _, inner, ok := cutListener(name); ok {
		name = inner
	}
	i, ok := index[name]
	if !ok {
		return Key{}, false
	}
	return table[i], true
}

// cutListener splits listener.name.NAME.ssl.x into NAME, in lower case, and ssl.x. It is not ok for every other key.
func cutListener(key string) (name, inner string, ok bool) {
	rest, ok := strings.CutPrefix(key, listenerPrefix)
	if !ok {
		return "", "", false
	}
	name, inner, ok = strings.Cut(rest, ".")
	if !ok || name == "" || !strings.HasPrefix(inner, "ssl.") {
		return "", "", false
	}
	return strings.ToLower(name), inner, true
}

func isPassThrough(key string) bool {
	if i, ok := index[key]; ok {
		return table[i].Status == PassedOn
	}
	return slices.ContainsFunc(passPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}
