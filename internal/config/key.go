package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a key's value.
type Kind int

// The kinds. An Int fits 32 bits and a Millis 31, as in Java, so that what loads here loads there.
const (
	KindString Kind = iota
	KindInt
	KindInt64
	KindBool
	KindList   // comma separated; blanks around the elements and empty elements are dropped
	KindMillis // a duration in milliseconds
	KindEnum   // one of Allowed, in any case
	KindSecret // text that is never shown; also taken as file:PATH or env:NAME
)

var kindNames = [...]string{"string", "int", "long", "boolean", "list", "milliseconds", "choice", "secret"}

// String is the name that the documentation uses.
func (k Kind) String() string { return kindNames[k] }

// Status says what this proxy does with a key.
type Status int

// The statuses.
const (
	Honoured      Status = iota // read by this proxy
	PassedOn                    // handed to the Kafka client, see docs/client-properties.md
	NotApplicable               // accepted without effect; another value than the default is a warning at start
	Refused                     // another value than the default stops the start: without what it asks for, serving would be unsafe
)

var statusNames = [...]string{"honoured", "passed on", "not applicable", "refused"}

// String is the name that the documentation uses.
func (s Status) String() string { return statusNames[s] }

// Key is one row of the table.
type Key struct {
	Name    string
	Group   string // heading in the documentation
	Kind    Kind
	Default string
	Doc     string   // what it does; empty unless honoured
	Min     int64    // of KindInt, KindInt64 and KindMillis; inclusive
	Max     int64    // as Min
	Allowed []string // of KindEnum, and of the elements of KindList; nil means anything
	Status  Status
	Reason  string // why it is not applicable or refused
	Ours    bool   // Confluent's proxy does not have it

	valid func(string) error // an additional check; nil means none
}

const maxMillis = math.MaxInt32

func text(name, def, doc string) Key {
	return Key{Name: name, Kind: KindString, Default: def, Doc: doc}
}
func list(name, def, doc string) Key { return Key{Name: name, Kind: KindList, Default: def, Doc: doc} }
func hidden(name, doc string) Key    { return Key{Name: name, Kind: KindSecret, Doc: doc} }

func boolean(name string, def bool, doc string) Key {
	return Key{Name: name, Kind: KindBool, Default: strconv.FormatBool(def), Doc: doc}
}

func integer(name string, def, least, most int64, doc string) Key {
	return Key{Name: name, Kind: KindInt, Default: strconv.FormatInt(def, 10), Min: least, Max: most, Doc: doc}
}

func long(name string, def, least, most int64, doc string) Key {
	k := integer(name, def, least, most, doc)
	k.Kind = KindInt64
	return k
}

func millis(name string, def, least int64, doc string) Key {
	k := integer(name, def, least, maxMillis, doc)
	k.Kind = KindMillis
	return k
}

func choice(name, def, doc string, allowed ...string) Key {
	return Key{Name: name, Kind: KindEnum, Default: def, Allowed: allowed, Doc: doc}
}

// idle is a key that is accepted without effect.
func idle(name, def, reason string) Key {
	return Key{Name: name, Kind: KindString, Default: def, Status: NotApplicable, Reason: reason}
}

// refused is a key that may only have its default.
func refused(name, def, reason string) Key {
	return Key{Name: name, Kind: KindString, Default: def, Status: Refused, Reason: reason}
}

// passed is a key of Confluent's table that goes to the Kafka client as it is.
func passed(name string, kind Kind) Key { return Key{Name: name, Kind: kind, Status: PassedOn} }

func (k Key) checked(valid func(string) error) Key { k.valid = valid; return k }
func (k Key) of(allowed ...string) Key             { k.Allowed = allowed; return k }

// check tells what is wrong with a value and what would be right; both are empty when nothing is wrong.
func (k Key) check(value string) (limit, remedy string) {
	switch k.Kind {
	case KindInt, KindInt64, KindMillis:
		return k.checkNumber(value)
	case KindBool:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return "is neither true nor false", "write true or false"
		}
	case KindEnum:
		if value != k.Default && k.canonical(value) == "" {
			return "is not among the values that there are", "use one of " + strings.Join(k.Allowed, ", ")
		}
	case KindList:
		for _, element := range splitList(value) {
			if k.Allowed != nil && k.canonical(element) == "" {
				return fmt.Sprintf("has the element %q, which is not known", element), "use some of " + strings.Join(k.Allowed, ", ")
			}
		}
	case KindString, KindSecret:
	}
	if k.valid != nil && value != k.Default {
		if err := k.valid(value); err != nil {
			return err.Error(), "see " + k.Name + " in docs/configuration.md"
		}
	}
	return "", ""
}

func (k Key) checkNumber(value string) (limit, remedy string) {
	n, err := strconv.ParseInt(value, 10, 64)
	remedy = fmt.Sprintf("use %d to %d", k.Min, k.Max)
	switch {
	case err != nil:
		return "is not a whole number", remedy
	case n < k.Min:
		return fmt.Sprintf("is less than %d", k.Min), remedy
	case n > k.Max:
		return fmt.Sprintf("is more than %d", k.Max), remedy
	}
	return "", ""
}

// canonical is the spelling of Allowed that value means, or empty.
func (k Key) canonical(value string) string {
	for _, a := range k.Allowed {
		if strings.EqualFold(a, value) {
			return a
		}
	}
	return ""
}

// isDefault tells whether value means the same as the default.
func (k Key) isDefault(value string) bool {
	return strings.EqualFold(strings.Join(splitList(value), ","), strings.Join(splitList(k.Default), ","))
}

func splitList(s string) []string {
	var out []string
	for element := range strings.SplitSeq(s, ",") {
		if element = strings.TrimSpace(element); element != "" {
			out = append(out, element)
		}
	}
	return out
}
