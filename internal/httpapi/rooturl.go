package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// RootURL says how the URLs in replies begin (contract §4.6).
type RootURL struct {
	Advertised map[string]string // scheme → authority, from advertised.listeners
	HostName   string            // host.name
	Ports      map[string]string // scheme → port of the listener, used with HostName
}

// RootURL gives the scheme and authority under which the client reached the proxy: the advertised listener, else host.name, else the Host
// header; a trusted peer's Forwarded or X-Forwarded-* headers stand in for the scheme and the Host header.
func (c *Call) RootURL() string {
	scheme, host := "http", c.R.Host
	if c.R.TLS != nil {
		scheme = "https"
	}
	if c.trusted() {
		scheme, host = forwarded(c.R.Header, scheme, host)
	}
	root := &c.server.cfg.Root
	if authority := root.Advertised[scheme]; authority != "" {
		return scheme + "://" + authority
	}
	if root.HostName != "" {
		_, _, err := net.SplitHostPort(host)
		if port := root.Ports[scheme]; err == nil && port != "" {
			return scheme + "://" + net.JoinHostPort(root.HostName, port)
		}
		return scheme + "://" + root.HostName
	}
	return scheme + "://" + host
}

// trusted reports whether the peer is one whose forwarding headers are believed.
func (c *Call) trusted() bool {
	if len(c.server.cfg.TrustedForwarders) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(c.R.RemoteAddr)
	if err != nil {
		return false
	}
	for _, prefix := range c.server.cfg.TrustedForwarders {
		if prefix.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// forwarded applies RFC 7239's Forwarded, else X-Forwarded-Proto, -Host and -Port: the first element of each, which is the proxy nearest
// to the client. Values that are no scheme or authority are passed over.
func forwarded(h http.Header, scheme, host string) (string, string) {
	if f := firstElement(h.Get("Forwarded")); f != "" {
		for pair := range strings.SplitSeq(f, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "proto":
				scheme = validScheme(value, scheme)
			case "host":
				host = validAuthority(value, host)
			}
		}
		return scheme, host
	}
	scheme = validScheme(firstElement(h.Get("X-Forwarded-Proto")), scheme)
	if given := firstElement(h.Get("X-Forwarded-Host")); given != "" {
		host = validAuthority(given, host)
	}
	if port := firstElement(h.Get("X-Forwarded-Port")); port != "" && strings.Trim(port, "0123456789") == "" {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	return scheme, host
}

func firstElement(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first)
}

func validScheme(s, otherwise string) string {
	if s = strings.ToLower(s); s == "http" || s == "https" {
		return s
	}
	return otherwise
}

func validAuthority(s, otherwise string) string {
	if s == "" || strings.ContainsAny(s, "/?#@\\ \"<>") {
		return otherwise
	}
	return s
}
