package kafka

import (
	"errors"
	"fmt"
	"strings"
)

// jaasLogin is one login module of a JAAS configuration.
type jaasLogin struct {
	Module  string // Java class name
	Options map[string]string
}

var jaasFlags = []string{"required", "requisite", "sufficient", "optional"}

// parseJAAS reads what Kafka takes as sasl.jaas.config: CLASS FLAG NAME=VALUE ... ; with values in double quotes or bare. No error has
// any part of the text, since it holds passwords.
func parseJAAS(s string) (jaasLogin, error) {
	words, err := jaasWords(s)
	if err != nil {
		return jaasLogin{}, err
	}
	if len(words) < 3 || words[0].mark || words[1].mark {
		return jaasLogin{}, errors.New("it is not CLASS required NAME=\"VALUE\" …;")
	}
	if !isJAASFlag(words[1].text) {
		return jaasLogin{}, errors.New("the second word is none of required, requisite, sufficient, optional")
	}
	out := jaasLogin{Module: words[0].text, Options: map[string]string{}}
	rest := words[2:]
	for ; len(rest) > 0 && !rest[0].is(";"); rest = rest[3:] {
		if len(rest) < 3 || rest[0].mark || !rest[1].is("=") || rest[2].mark {
			return jaasLogin{}, fmt.Errorf("option %d is not NAME=\"VALUE\"", len(out.Options)+1)
		}
		out.Options[rest[0].text] = rest[2].text
	}
	switch len(rest) {
	case 0:
		return jaasLogin{}, errors.New("the semicolon at its end is missing")
	case 1:
		return out, nil
	}
	return jaasLogin{}, errors.New("there is more after the semicolon; one login module is the most")
}

// JAASLogin gives the user name and password of a sasl.jaas.config, for other services that share them.
func JAASLogin(s string) (username, password string, err error) {
	login, err := parseJAAS(s)
	if err != nil {
		return "", "", err
	}
	if login.Options["username"] == "" {
		return "", "", errors.New("it has no username")
	}
	return login.Options["username"], login.Options["password"], nil
}

func isJAASFlag(word string) bool {
	for _, flag := range jaasFlags {
		if strings.EqualFold(flag, word) {
			return true
		}
	}
	return false
}

// jaasWord is a word, or one of the marks = and ;.
type jaasWord struct {
	text string
	mark bool
}

func (w jaasWord) is(mark string) bool { return w.mark && w.text == mark }

func jaasWords(s string) ([]jaasWord, error) {
	var out []jaasWord
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		switch {
		case s == "":
			return out, nil
		case s[0] == '=' || s[0] == ';':
			out, s = append(out, jaasWord{text: s[:1], mark: true}), s[1:]
		case s[0] == '"' || s[0] == '\'':
			text, rest, err := jaasQuoted(s)
			if err != nil {
				return nil, err
			}
			out, s = append(out, jaasWord{text: text}), rest
		default:
			end := strings.IndexAny(s, " \t\r\n=;\"'")
			if end < 0 {
				end = len(s)
			}
			out, s = append(out, jaasWord{text: s[:end]}), s[end:]
		}
	}
}

// jaasQuoted reads a quoted text as Java's StreamTokenizer does: a backslash takes the next character as it is, but for \n, \t and the like.
func jaasQuoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), s[i+1:], nil
		case c == '\n' || c == '\r':
			return "", "", errors.New("a quoted text runs over the end of its line")
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(unescape(s[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("a quote is not closed")
}

func unescape(c byte) byte {
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		return "\a\b\f\n\r\t\v"[i]
	}
	return c
}
