package config

import "strings"

// Problem is one thing that is wrong with a configuration. [Load] reports all of them at once, joined by errors.Join.
type Problem struct {
	Key    string // empty when the whole source cannot be read
	Value  string // secrets are masked; the value of an unknown key is left out, since it may be a misspelt secret
	Source string // "file", "flag", "environment NAME" or a file's name
	Limit  string // what is wrong
	Remedy string // what to do about it; may be empty

	bare bool // show no value
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Source != sourceDefault && !p.bare {
			b.WriteString("=" + p.Value)
		}
		b.WriteByte(' ')
	}
	if p.Source != "" && p.Source != sourceDefault {
		b.WriteString("(" + p.Source + ") ")
	}
	b.WriteString(p.Limit)
	if p.Remedy != "" {
		b.WriteString(": " + p.Remedy)
	}
	return b.String()
}
