package kafka

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// ParseBootstrap splits bootstrap.servers into host:port addresses. A PROTOCOL:// before a host, as Confluent's files have it, is taken
// off: security.protocol says how to connect.
func ParseBootstrap(s string) ([]string, error) {
	var out []string
	for _, entry := range commaList(s) {
		address := entry
		if _, rest, ok := strings.Cut(entry, "://"); ok {
			address = rest
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" {
			return nil, fmt.Errorf("bootstrap.servers: %q is not host:port", entry)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("bootstrap.servers: %q has no port of 1 to 65535", entry)
		}
		if !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("bootstrap.servers: there is no broker")
	}
	return out, nil
}
