package tests

import (
	"net"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// A client's connection pool opens connections before it needs them. net/http's Shutdown takes such a connection for busy during its first
// five seconds, which would make every stop slow and unclean.
func TestUnusedConnectionsDoNotHoldUpShutdown(t *testing.T) {
	p, err := newProxy(harness.EmbeddedBroker(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.T = t
	p.Want(200, "GET", "/topics", "")
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := p.Try(t.Context(), "GET", "/livez", ""); err != nil { // a reply says that this connection was accepted
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
}
