package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lostWindow is how long after a reply a broken connection is taken to mean that the reply did not arrive. Later, a reset is an idle
// connection's end (a load balancer's, say) and tells nothing.
const lostWindow = 10 * time.Second

// Listener wraps accepted connections so that no write waits longer than writeTimeout for the client, and so that a handler can learn of
// a reply that the client did not take (Call.OnLost). 0 is 10 s. slots, which listeners may share, bounds the connections open at once by
// its capacity; beyond it clients wait to be accepted. nil is no bound.
func Listener(l net.Listener, writeTimeout time.Duration, slots chan struct{}) net.Listener {
	return &listener{Listener: l, writeTimeout: orDefault(writeTimeout, 10*time.Second), slots: slots, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	writeTimeout time.Duration
	slots        chan struct{}
	closed       chan struct{}
	once         sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.free()
		return nil, err
	}
	return &conn{Conn: c, writeTimeout: l.writeTimeout, free: l.free}, nil
}

func (l *listener) free() {
	if l.slots != nil {
		<-l.slots
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// conn is one client connection.
type conn struct {
	net.Conn
	writeTimeout time.Duration
	free         func()
	once         sync.Once

	mu     sync.Mutex
	onLost func() // of the last reply that asked for it
	since  time.Time
}

// Write gives the client the write timeout to take p. net/http has no such deadline that moves with progress: its WriteTimeout is one for
// the whole reply, and would end long polls and streams.
func (c *conn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.writeTimeout))
	n, err := c.Conn.Write(p)
	if err != nil {
		c.lost()
	}
	return n, err
}

// Read notices a reset: the client closed with unread bytes of ours in its socket, or is gone.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		c.lost()
	}
	return n, err
}

// Close also asks the kernel: bytes that were never acknowledged, or a pending reset, mean that the last reply did not arrive.
func (c *conn) Close() error {
	c.mu.Lock()
	watched := c.onLost != nil
	c.mu.Unlock()
	if watched && c.undelivered() {
		c.lost()
	}
	c.once.Do(c.free)
	return c.Conn.Close()
}

func (c *conn) undelivered() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	bad := false
	err = raw.Control(func(fd uintptr) {
		sockErr, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		unsent, err2 := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		bad = err == nil && sockErr != 0 || err2 == nil && unsent > 0
	})
	return bad && err == nil
}

// watch replaces what is called when the connection breaks soon.
func (c *conn) watch(onLost func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onLost, c.since = onLost, time.Now()
}

func (c *conn) lost() {
	c.mu.Lock()
	onLost, since := c.onLost, c.since
	c.onLost = nil
	c.mu.Unlock()
	if onLost != nil && time.Since(since) < lostWindow {
		onLost()
	}
}

type connKey struct{}

// ConnContext is for http.Server.ConnContext: it lets a Call find its connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if own, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// OnLost has f called if the connection turns out to be broken within 10 s after now, so that the reply about to be written may not have
// reached the client: a reset, a failed write, or bytes never acknowledged. f must not block. HTTP/2 connections carry many replies; there
// only the request's context tells.
func (c *Call) OnLost(f func()) {
	if c.R.ProtoMajor != 1 {
		return
	}
	if conn, ok := c.R.Context().Value(connKey{}).(*conn); ok {
		conn.watch(f)
	}
}
