package task

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"kafkarest"
)

// guard decides which callbacks may be sent where: once when a client names a URL, and again for each address that is dialled, since names
// may come to mean other addresses.
type guard struct {
	hosts   []hostRule
	private bool
}

// hostRule is one element of callbacks.allow.hosts.
type hostRule struct {
	name string // in lower case; "*" for every host, "*.x" for those below x
	port string // "" for the scheme's own, "*" for any
}

func newGuard(hosts []string, private bool) (guard, error) {
	g := guard{private: private}
	for _, h := range hosts {
		rule := hostRule{name: strings.ToLower(h)}
		if name, port, err := net.SplitHostPort(h); err == nil {
			rule = hostRule{strings.ToLower(name), port}
			if n, err := strconv.ParseUint(port, 10, 16); port != "*" && (err != nil || n == 0) {
				return g, fmt.Errorf("callbacks.allow.hosts: %q has no port that can be", h)
			}
		}
		if rule.name == "" || strings.ContainsAny(rule.name, "/@ ") || strings.Contains(strings.TrimPrefix(rule.name, "*."), "*") && rule.name != "*" {
			return g, fmt.Errorf("callbacks.allow.hosts: %q is no host, *.host or *, with :port or :* behind it", h)
		}
		g.hosts = append(g.hosts, rule)
	}
	return g, nil
}

const maxURL = 2048

func refuse(format string, args ...any) error {
	return kafkarest.Errorf(kafkarest.CodeCallbackRefused, format, args...)
}

// check says why a URL is none for a callback.
// Errors: CodeCallbackRefused.
func (g guard) check(raw string) error {
	if len(g.hosts) == 0 {
		return refuse("Callbacks are off: the operator has allowed no hosts (callbacks.allow.hosts).")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > maxURL || u.Opaque != "" || u.Hostname() == "":
		return refuse("The callback is no URL of a host, or longer than %d bytes.", maxURL)
	case u.Scheme != "https" && !(g.private && u.Scheme == "http"):
		return refuse("The callback's scheme must be https.")
	case u.User != nil, u.Fragment != "":
		return refuse("The callback must have neither credentials nor a fragment.")
	case !isPort(u.Port()):
		return refuse("The callback's port must be 1 to 65535.")
	case !g.allows(strings.ToLower(u.Hostname()), u.Port(), u.Scheme):
		return refuse("The callback's host and port are not among those that the operator allows (callbacks.allow.hosts).")
	}
	return g.checkHost(u.Hostname())
}

// allows applies the list.
func (g guard) allows(host, port, scheme string) bool {
	own := map[string]string{"https": "443", "http": "80"}[scheme]
	if port == "" {
		port = own
	}
	for _, rule := range g.hosts {
		if (rule.port == "*" || rule.port == port || rule.port == "" && port == own) && rule.matches(host) {
			return true
		}
	}
	return false
}

func (r hostRule) matches(host string) bool {
	if below, ok := strings.CutPrefix(r.name, "*"); ok {
		return strings.HasSuffix(host, below)
	}
	return r.name == host
}

// isPort reports whether a port can be dialled; none is the scheme's own.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// checkHost refuses addresses that are not public, names that some resolvers take for addresses (2130706433, 127.1, 0x7f.0.0.1), names that
// cannot be, and those that local networks have for themselves.
func (g guard) checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if !g.private && !public(addr) {
			return refuse("The callback's address is not one of the public Internet.")
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch last := name[strings.LastIndexByte(name, '.')+1:]; {
	case last == "" || last[0] >= '0' && last[0] <= '9':
		return refuse("The callback's host is neither a name nor an address in its usual form.")
	case !isName(name):
		return refuse("The callback's host is no name that can be: others than ASCII's letters are written as punycode (xn--).")
	case isLocal(name) && !g.private && !g.names(name):
		return refuse("The callback's host has a name of local networks.")
	}
	return nil
}

// isName reports whether a host can be looked up (RFC 1035 §2.3.4, with the underscores that some have).
func isName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(host) <= 253 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// isLocal reports whether a name has a meaning on local networks only (RFC 6761, RFC 6762, and ICANN's .internal).
func isLocal(host string) bool {
	if host == "localhost.localdomain" {
		return true
	}
	switch host[strings.LastIndexByte(host, '.')+1:] {
	case "localhost", "internal", "local":
		return true
	}
	return false
}

// names reports whether the operator has named a host itself.
func (g guard) names(host string) bool {
	return slices.ContainsFunc(g.hosts, func(r hostRule) bool { return r.name == host })
}

var errNotPublic = errors.New("the callback's host has an address that is not one of the public Internet")

// control is net.Dialer's: it sees each address after the name was resolved and before anything is sent.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	if g.private {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !public(at.Addr()) {
		return errNotPublic
	}
	return nil
}
