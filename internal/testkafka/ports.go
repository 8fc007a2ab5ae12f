package testkafka

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that Linux and macOS use for outgoing connections, since a killed node must find its ports free
// when it is started again.
const (
	firstPort = 15000
	lastPort  = 32000
)

// freePorts finds n different ports on which nobody listens now. Another process may take one before Kafka does: Start then tries others.
func freePorts(n int) ([]int, error) {
	taken := make(map[int]bool)
	var ports []int
	for range 50 * n {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if taken[port] || !canListen(port) {
			continue
		}
		taken[port] = true
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, firstPort, lastPort)
}

func canListen(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
