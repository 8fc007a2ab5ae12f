package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"golang.org/x/sys/unix"
)

// A thousand clients that send their headers or bodies a byte at a time, or do not read their replies, are cut off at their time-outs,
// while others are served. What counts is the proxy's own end of the connections: the kernel may keep what is left of them for longer.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second
	b := harness.FakeBroker(t, 1)
	p := harness.StartProcess(t, b, map[string]string{
		"request.header.timeout.ms": "3000", "request.body.timeout.ms": "3000", "response.write.timeout.ms": "3000", "idle.timeout.ms": "3000",
		"log.requests": "false",
	})
	for range 200 { // their list is what the slow readers do not read: 50 kB, again and again, until the kernel takes no more
		if err := b.Fake.CreateTopic(harness.FreshName(strings.Repeat("long-", 45)), 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	topic := harness.CreateTopic(t, b, 1)
	p.Produce(topic, harness.JSON, `{"records":[{"value":0}]}`)
	harness.Client.CloseIdleConnections()
	descriptors := openFiles(t, p.PID())

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := time.Now()
	slow := []struct {
		n     int
		begin string
		drip  bool
	}{
		{450, "POST /topics/" + topic + " HTTP/1.1\r\nHost: x\r\n", true},
		{350, "POST /topics/" + topic + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + harness.JSON + "\r\nContent-Length: 100000\r\n\r\n", true},
		{100, "POST /nothing/here HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", true}, // a body that nobody wants
		{85, "DELETE /consumers/a/instances/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", true},
		{15, strings.Repeat("GET /topics HTTP/1.1\r\nHost: x\r\n\r\n", 110), false},
	}
	for _, s := range slow {
		for range s.n {
			c := slowConn(t, p.URL)
			if _, err := io.WriteString(c, s.begin); err != nil {
				t.Fatal(err)
			}
			if s.drip {
				go drip(ctx, c)
			}
		}
	}
	opened := time.Since(begin)
	for openFiles(t, p.PID()) < descriptors+900 { // they were all let in, or the rest would prove nothing
		if time.Since(begin) > timeout {
			t.Fatalf("the proxy has %d files open, %d before", openFiles(t, p.PID()), descriptors)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var slowest time.Duration
	for openFiles(t, p.PID()) > descriptors+20 {
		asked := time.Now()
		p.Produce(topic, harness.JSON, `{"records":[{"value":1}]}`)
		slowest = max(slowest, time.Since(asked))
		if waited := time.Since(begin); waited > opened+4*timeout {
			t.Fatalf("after %v %d of 1,000 connections are open", waited, openFiles(t, p.PID())-descriptors)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("1,000 slow connections, opened within %v, were gone after %v; the slowest of the others waited %v", opened, time.Since(begin), slowest)
	if slowest > time.Second {
		t.Errorf("a healthy request took %v meanwhile", slowest)
	}
}

// slowConn is a connection whose kernel holds little for us.
func slowConn(t *testing.T, url string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) // a hint: without it the test takes longer
		})
	}}
	c, err := dialer.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// drip sends a byte each second until it fails.
func drip(ctx context.Context, c net.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
	}
}

// openFiles is the number of file descriptors of a process.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
