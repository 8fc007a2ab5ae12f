package task

import "net/netip"

// special are the addresses that a callback must not reach: the IANA IPv4 and IPv6 Special-Purpose Address Registries, multicast, and the
// addresses at which clouds serve metadata. They are written out since net/netip's predicates leave many of them open.
var special = parsePrefixes(
	// IPv4
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared address space of carriers; also a cloud's metadata
	"127.0.0.0/8",      // loopback
	"169.254.0.0/16",   // link-local; also clouds' metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // IETF protocol assignments
	"192.0.2.0/24",     // documentation
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // AMT
	"192.88.99.0/24",   // 6to4 relay anycast
	"192.168.0.0/16",   // private
	"192.175.48.0/24",  // AS112
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, and limited broadcast
	"168.63.129.16/32", // a cloud's wire server
	// IPv6, beside all that is not global unicast
	"2001::/23",         // IETF protocol assignments: Teredo, benchmarking, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: it holds an IPv4 address
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
	"64:ff9b::/96",      // NAT64: it holds an IPv4 address
	"64:ff9b:1::/48",    // NAT64 of one's own
)

// globalUnicast is all of IPv6 that is given out: what lies outside of it is loopback, mapped, unique local, link-local, site-local,
// multicast, discard-only, or nothing yet.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func parsePrefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public reports whether an address is one of a host on the Internet.
func public(addr netip.Addr) bool {
	if addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return addr.IsValid()
}
