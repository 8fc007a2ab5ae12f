package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lostWindow is how long after a reply a broken connection is taken to mean that the reply did not arrive. Later, a reset is an idle
// connection's end (a load balancer's, say) and tells nothing.
const lostWindow = 10 * time.Second

// sweepEach is how precise the deadlines of connections are. net/http moves them several times for each request, and each time costs a
// timer of the runtime; kept here, moving one is a store, and one goroutine looks for those that are over.
const sweepEach = 500 * time.Millisecond

// NewListener wraps accepted connections so that no write waits longer than writeTimeout for the client, and so that a handler can learn of
// a reply that the client did not take (Call.OnLost). 0 is 10 s. slots, which listeners may share, bounds the connections open at once by
// its capacity; beyond it clients wait to be accepted. nil is no bound.
func NewListener(l net.Listener, writeTimeout time.Duration, slots chan struct{}) *Listener {
	return &Listener{Listener: l, writeTimeout: orDefault(writeTimeout, 10*time.Second), slots: slots,
		closed: make(chan struct{}), last: make(chan struct{}, 1), conns: map[*conn]struct{}{}}
}

// Listener is a net.Listener whose connections are looked after.
type Listener struct {
	net.Listener
	writeTimeout time.Duration
	slots        chan struct{}
	closed       chan struct{}
	once         sync.Once
	last         chan struct{} // a token: the last connection is gone
	sweeper      sync.WaitGroup

	mu       sync.Mutex
	conns    map[*conn]struct{}
	sweeping bool // a goroutine is at it, which ends with the last connection
}

// Accept waits for a connection, then for a free slot: listeners that share slots must not hold any for connections that do not come.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			_ = c.Close() // nobody has been promised anything
			return nil, net.ErrClosed
		}
	}
	out := &conn{Conn: c, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[out] = struct{}{}
	if !l.sweeping {
		l.sweeping = true
		l.sweeper.Go(l.sweep)
	}
	return out, nil
}

// forget is called once for each connection.
func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	if len(l.conns) == 0 {
		select {
		case l.last <- struct{}{}:
		default:
		}
	}
	l.mu.Unlock()
	if l.slots != nil {
		<-l.slots
	}
}

// sweep enforces the deadlines while there are connections.
func (l *Listener) sweep() {
	ticker := time.NewTicker(sweepEach)
	defer ticker.Stop()
	for {
		now := time.Now()
		select {
		case now = <-ticker.C:
		case <-l.last:
		}
		l.mu.Lock()
		if len(l.conns) == 0 {
			l.sweeping = false
			l.mu.Unlock()
			return
		}
		for c := range l.conns {
			c.read.expire(now, c.Conn.SetReadDeadline)
			c.write.expire(now, c.Conn.SetWriteDeadline)
		}
		l.mu.Unlock()
	}
}

// Close ends accepting. Connections go on; see Wait.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Wait returns when the last connection is closed.
func (l *Listener) Wait() { l.sweeper.Wait() }

// deadline is one of a connection's two, kept apart from the connection itself.
type deadline struct {
	at    atomic.Int64 // nanoseconds since start; 0 for none
	mu    sync.Mutex
	armed atomic.Bool // the connection itself has one
}

var start = time.Now()

// lazily is the distance from which on a deadline is left to the sweep.
const lazily = 2 * time.Second

// set keeps a far deadline here, and hands a near or past one on: net/http ends its own reads that way, and waits for it.
func (d *deadline) set(t time.Time, direct func(time.Time) error) error {
	if t.IsZero() {
		d.at.Store(0)
	} else if left := time.Until(t); left >= lazily {
		d.at.Store(int64(time.Since(start) + left))
	} else {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.at.Store(0)
		d.armed.Store(true)
		return direct(t)
	}
	if d.armed.Load() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.armed.Store(false)
		return direct(time.Time{})
	}
	return nil
}

// expire ends what waits longer than it may.
func (d *deadline) expire(now time.Time, direct func(time.Time) error) {
	at := d.at.Load()
	if at == 0 || int64(now.Sub(start)) < at {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at.CompareAndSwap(at, 0) { // not moved meanwhile
		d.armed.Store(true)
		_ = direct(now)
	}
}

// conn is one client connection.
type conn struct {
	net.Conn
	of          *Listener
	once        sync.Once
	read, write deadline

	mu     sync.Mutex
	onLost func() // of the last reply that asked for it
	since  time.Time
}

// SetReadDeadline is net.Conn's, half a second late at the most when it is far.
func (c *conn) SetReadDeadline(t time.Time) error { return c.read.set(t, c.Conn.SetReadDeadline) }

// SetWriteDeadline is net.Conn's, half a second late at the most when it is far. Each write sets its own.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.set(t, c.Conn.SetWriteDeadline) }

// SetDeadline sets both.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Write gives the client the write timeout to take p. net/http has no such deadline that moves with progress: its WriteTimeout is one for
// the whole reply, and would end long polls and streams.
func (c *conn) Write(p []byte) (int, error) {
	c.write.at.Store(int64(time.Since(start) + c.of.writeTimeout))
	n, err := c.Conn.Write(p)
	c.write.at.Store(0)
	if err != nil {
		c.lost()
	}
	return n, err
}

// Read notices a reset: the client closed with unread bytes of ours in its socket, or is gone.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
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
	c.once.Do(func() { c.of.forget(c) })
	return c.Conn.Close()
}

// CloseWrite is what net/http looks for to end a connection whose client still sends.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
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

// watch replaces what is called when the connection breaks soon. What it returns asks whether it is broken now: the client may call again,
// on another connection, before a reset of this one has come to the goroutine that reads it.
func (c *conn) watch(onLost func()) (broken func() bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onLost, c.since = onLost, now
	return func() bool {
		c.mu.Lock()
		newest := c.since.Equal(now)
		c.mu.Unlock()
		return newest && time.Since(now) < lostWindow && c.isReset()
	}
}

// isReset asks the kernel, which closes a connection at once when a reset comes and passes through other states when the client is done.
func (c *conn) isReset() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	const tcpClose = 7
	reset := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		reset = err == nil && info.State == tcpClose
	})
	return reset && err == nil
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
// only the request's context tells. What OnLost returns asks the same of this moment; it is nil where nothing can be known.
func (c *Call) OnLost(f func()) (broken func() bool) {
	if c.conn == nil {
		return nil
	}
	return c.conn.watch(f)
}
