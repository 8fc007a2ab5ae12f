package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// HeaderRule is one entry of response.http.headers.config.
type HeaderRule struct {
	Action string // set, add, setDate or addDate
	Name   string
	Value  string // of the date actions: milliseconds since 1970
}

func parseHeaderRules(s string) ([]HeaderRule, error) {
	var out []HeaderRule
	for _, entry := range splitQuoted(s) {
		action, rest, _ := strings.Cut(entry, " ")
		name, value, ok := strings.Cut(rest, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !isToken(name) {
			return nil, fmt.Errorf("has the entry %q, which is not ACTION NAME: VALUE", entry)
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("has control characters in the value of %s", name)
		}
		switch action {
		case "set", "add":
		case "setDate", "addDate":
			if _, err := strconv.ParseInt(value, 10, 64); err != nil {
				return nil, fmt.Errorf("has the entry %q, whose value is not a number of milliseconds", entry)
			}
		default:
			return nil, fmt.Errorf("has the action %q, which is none of set, add, setDate, addDate", action)
		}
		out = append(out, HeaderRule{Action: action, Name: name, Value: value})
	}
	return out, nil
}

// splitQuoted splits at commas that are not inside double quotes, and takes the quotes off.
func splitQuoted(s string) []string {
	var out []string
	var b strings.Builder
	quoted := false
	flush := func() {
		if entry := strings.TrimSpace(b.String()); entry != "" {
			out = append(out, entry)
		}
		b.Reset()
	}
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			flush()
		default:
			b.WriteRune(r)
		}
	}
	flush()
	return out
}

// isToken tells whether s may be the name of a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func checkHeaderRules(s string) error {
	_, err := parseHeaderRules(s)
	return err
}

// parseNetwork takes 10.0.0.0/8, and a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(s); err == nil {
		return network.Masked(), nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("has the element %q, which is not a network such as 10.0.0.0/8", s)
	}
	return ip.Prefix(ip.BitLen())
}

func checkCIDRs(s string) error {
	for _, element := range splitList(s) {
		if _, err := parseNetwork(element); err != nil {
			return err
		}
	}
	return nil
}

func parseCosts(s string) (map[string]int, error) {
	out := map[string]int{}
	for _, entry := range splitList(s) {
		name, text, ok := strings.Cut(entry, "=")
		cost, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if !ok || name == "" || err != nil || cost < 0 {
			return nil, fmt.Errorf("has the entry %q, which is not ENDPOINT=COST", entry)
		}
		out[strings.TrimSpace(name)] = int(cost)
	}
	return out, nil
}

func checkCosts(s string) error {
	_, err := parseCosts(s)
	return err
}

// checkBootstrap finds entries that are not [PROTOCOL://]host:port.
func checkBootstrap(s string) error {
	for _, entry := range splitList(s) {
		address := entry
		if _, rest, ok := strings.Cut(entry, "://"); ok {
			address = rest
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" {
			return fmt.Errorf("has the entry %q, which is not host:port", entry)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has the entry %q, whose port is not a number of 1 to 65535", entry)
		}
	}
	if len(splitList(s)) == 0 {
		return errors.New("has no host")
	}
	return nil
}
