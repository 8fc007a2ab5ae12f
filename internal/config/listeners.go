package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is an address to listen on, or, when advertised, to put into URLs.
type Listener struct {
	Name    string // in lower case; the scheme when the listener has no name of its own
	Scheme  string // http or https
	Address string // host:port; an empty host means every address of the machine
	// TLS is the listener's ssl.* settings, its own over the general ones; nil for http.
	TLS map[string]string
}

// String is the listener as a URL.
func (l Listener) String() string { return l.Scheme + "://" + l.Address }

// Loopback tells whether only this machine reaches the listener.
func (l Listener) Loopback() bool {
	host, _, err := net.SplitHostPort(l.Address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// addListeners parses listeners and advertised.listeners, which need other keys and so cannot be checked one by one.
func (l *loader) addListeners(c *Config) {
	schemes := l.protocolMap(c.List("listener.protocol.map"))
	c.listeners = l.parseListeners("listeners", c.List("listeners"), schemes, true)
	c.public = l.parseListeners("advertised.listeners", c.List("advertised.listeners"), schemes, false)
	if len(c.List("listeners")) == 0 {
		c.listeners = []Listener{{Name: "http", Scheme: "http", Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Int("port")))}}
	}
	l.checkUnique(c.listeners)
	for i := range c.listeners {
		if c.listeners[i].Scheme == "https" {
			c.listeners[i].TLS = l.listenerTLS(c, c.listeners[i])
		}
	}
	l.checkOverrides(c.listeners)
}

func (l *loader) protocolMap(entries []string) map[string]string {
	out := map[string]string{}
	for _, entry := range entries {
		name, scheme, ok := strings.Cut(entry, ":")
		scheme = strings.ToLower(strings.TrimSpace(scheme))
		if !ok || name == "" || scheme != "http" && scheme != "https" {
			l.fail("listener.protocol.map", fmt.Sprintf("has the entry %q", entry), "write NAME:http or NAME:https")
			continue
		}
		out[strings.ToLower(strings.TrimSpace(name))] = scheme
	}
	return out
}

func (l *loader) parseListeners(key string, entries []string, schemes map[string]string, needPort bool) []Listener {
	var out []Listener
	for _, entry := range entries {
		listener, err := parseListener(entry, schemes, needPort)
		if err != nil {
			l.fail(key, fmt.Sprintf("has the entry %q: %v", entry, err),
				"write scheme://host:port, or NAME://host:port with listener.protocol.map=NAME:scheme")
			continue
		}
		out = append(out, listener)
	}
	return out
}

func parseListener(entry string, schemes map[string]string, needPort bool) (Listener, error) {
	name, address, ok := strings.Cut(entry, "://")
	name = strings.ToLower(name)
	if !ok || name == "" {
		return Listener{}, errors.New("there is no scheme")
	}
	scheme, named := schemes[name]
	if !named {
		scheme = name
	}
	if scheme != "http" && scheme != "https" {
		return Listener{}, fmt.Errorf("the scheme %q is neither http nor https, nor a name in listener.protocol.map", name)
	}
	address = strings.TrimSuffix(address, "/")
	return Listener{Name: name, Scheme: scheme, Address: address}, checkAddress(address, needPort)
}

// checkAddress takes host:port, and a host alone unless the port is needed. An advertised host must not be empty.
func checkAddress(address string, needPort bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil && !needPort {
		host, port, err = strings.Trim(address, "[]"), "0", nil
	}
	if err != nil {
		return errors.New("it is not host:port")
	}
	if !needPort && host == "" {
		return errors.New("there is no host")
	}
	if strings.ContainsAny(host, "/@? \t") || strings.Contains(host, ":") && net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil {
		return fmt.Errorf("%q is not a host", host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

// checkUnique finds addresses that are there twice. Port 0 takes any free port, so it may be.
func (l *loader) checkUnique(listeners []Listener) {
	seen := map[string]bool{}
	for _, listener := range listeners {
		if seen[listener.Address] && !strings.HasSuffix(listener.Address, ":0") {
			l.fail("listeners", "has the address "+listener.Address+" twice", "remove one")
		}
		seen[listener.Address] = true
	}
}

// listenerTLS collects the settings for one https listener: what listener.name.NAME.ssl.* says, else ssl.*, else the default.
func (l *loader) listenerTLS(c *Config, listener Listener) map[string]string {
	out := map[string]string{}
	for _, k := range table {
		if strings.HasPrefix(k.Name, "ssl.") && k.Status == Honoured {
			_, out[k.Name] = c.get(k.Name, k.Kind)
		}
	}
	own := map[string]bool{}
	for key, v := range l.values {
		if name, inner, ok := cutListener(key); ok && name == listener.Name {
			out[inner], own[inner] = v.text, true
		}
	}
	newer := own["ssl.client.authentication"] || c.IsSet("ssl.client.authentication") && !own["ssl.client.auth"]
	if strings.EqualFold(out["ssl.client.auth"], "true") && !newer {
		out["ssl.client.authentication"] = "REQUIRED"
	}
	delete(out, "ssl.client.auth")
	out["ssl.client.authentication"] = strings.ToUpper(out["ssl.client.authentication"])
	if out["ssl.keystore.location"] == "" {
		l.fail("ssl.keystore.location", "is required for the listener "+listener.String(), "name the key store, or use http")
	}
	return out
}

// checkOverrides finds settings for a listener that does not exist: they would protect nothing.
func (l *loader) checkOverrides(listeners []Listener) {
	names := map[string]bool{}
	for _, listener := range listeners {
		names[listener.Name] = true
	}
	for key := range l.values {
		if name, _, ok := cutListener(key); ok && !names[name] {
			l.fail(key, "is for a listener that does not exist", fmt.Sprintf("name the listener %q in listeners, or remove it", name))
		}
	}
}
