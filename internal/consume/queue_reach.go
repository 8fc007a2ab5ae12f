package consume

import (
	"net/netip"
	"strconv"
	"strings"
)

// Reach is how other nodes reach this one: the scheme and port of a listener. The zero value is a node that cannot be reached. It has no host
// on purpose: see memberAddr.
type Reach struct {
	Scheme string // http or https
	Port   uint16
}

// reachMark begins what a queue's client id says of its node. Client ids get into JMX names and quotas, so all of it is letters, digits, dots
// and dashes.
const reachMark = "kafka-rest-queue."

// reachMost is the longest client id that is looked into.
const reachMost = 1024

// clientID is the client id of a queue's member: the operator's own, then how this node is reached.
func (r Reach) clientID(own string) string {
	if r == (Reach{}) {
		return own
	}
	if own != "" {
		own += "."
	}
	return own + reachMark + r.Scheme + "." + strconv.Itoa(int(r.Port))
}

// parseReach reads what clientID has written. Whatever is not exactly that is no node of ours.
func parseReach(clientID string) (r Reach, ok bool) {
	at := strings.LastIndex(clientID, reachMark)
	if at < 0 || at > 0 && clientID[at-1] != '.' || len(clientID) > reachMost {
		return r, false
	}
	scheme, port, _ := strings.Cut(clientID[at+len(reachMark):], ".")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port || scheme != "http" && scheme != "https" {
		return r, false
	}
	return Reach{scheme, uint16(n)}, true
}

// memberAddr reads the address from which the broker sees a member, which is all that says where the member is. It is no word of the
// member's, so whoever joins a group can have requests sent to the host that it runs on itself, and to no other; nothing is resolved either.
// What is another host for each who dials it is refused: a loopback address (unless the broker is on this host too), and a link-local one, where
// clouds have their metadata.
func memberAddr(clientHost string, brokerHere bool) (netip.Addr, bool) {
	host := strings.TrimPrefix(clientHost, "/") // as Java writes an address without a name
	addr, err := netip.ParseAddr(host)
	if err != nil {
		withPort, err := netip.ParseAddrPort(host) // some brokers add the port
		if err != nil {
			return addr, false
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap()
	if addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr.IsLoopback() && !brokerHere {
		return addr, false
	}
	return addr, addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// isLoopback reports whether a broker's advertised host is the one that asks.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
