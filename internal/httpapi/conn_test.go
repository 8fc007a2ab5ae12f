package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// steps records what a deadline has done to its connection: "at" for a time of its own, "off" for none.
type steps struct{ list []string }

func (s *steps) direct(t time.Time) error {
	if t.IsZero() {
		s.list = append(s.list, "off")
	} else {
		s.list = append(s.list, "at")
	}
	return nil
}

func (s *steps) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if fmt.Sprint(s.list) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, s.list, want)
	}
	s.list = nil
}

func TestDeadline(t *testing.T) {
	var d deadline
	var s steps
	set := func(at time.Time) {
		t.Helper()
		if err := d.set(at, s.direct); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	far := now.Add(time.Hour)

	set(far)
	s.expect(t, "a far deadline is kept")
	d.expire(now.Add(59*time.Minute), s.direct)
	s.expect(t, "before its time")
	set(far.Add(time.Hour))
	d.expire(far.Add(time.Minute), s.direct)
	s.expect(t, "moved before it was over")
	d.expire(far.Add(time.Hour+time.Second), s.direct)
	s.expect(t, "over", "at")
	d.expire(far.Add(2*time.Hour), s.direct)
	s.expect(t, "over once")
	set(time.Time{})
	s.expect(t, "an expired one is taken off", "off")
	set(time.Time{})
	s.expect(t, "there is none to take off")

	set(now.Add(time.Second))
	s.expect(t, "a near deadline is the connection's", "at")
	d.expire(now.Add(time.Minute), s.direct)
	s.expect(t, "and no business of the sweep")
	set(far)
	s.expect(t, "a far one after it takes it off", "off")
	set(now.Add(-time.Hour))
	s.expect(t, "a past one is the connection's", "at")
	set(far)
	set(time.Time{})
	s.expect(t, "far, then none", "off")
	d.expire(far.Add(time.Hour), s.direct)
	s.expect(t, "none is never over")
}

// TestDeadlineRaces moves deadlines while they expire: the race detector looks on, and the last word counts.
func TestDeadlineRaces(t *testing.T) {
	var d deadline
	var on atomic.Bool
	direct := func(at time.Time) error { on.Store(!at.IsZero()); return nil }
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				d.expire(time.Now().Add(2*time.Hour), direct)
			}
		}
	})
	for n := range 20_000 {
		_ = d.set(time.Now().Add(time.Duration(n%3)*time.Hour), direct)
	}
	close(stop)
	wg.Wait()
	if _ = d.set(time.Time{}, direct); on.Load() {
		t.Error("a deadline is left")
	}
}

// pair is a connection of our kind and its client.
func pair(t *testing.T, writeTimeout time.Duration) (*conn, *net.TCPConn, *Listener) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(socket, writeTimeout, nil)
	far, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = far.Close()
		_ = near.Close()
		_ = l.Close()
		l.Wait()
	})
	return near.(*conn), far.(*net.TCPConn), l
}

func TestReadDeadlines(t *testing.T) {
	for _, after := range []time.Duration{-time.Second, 50 * time.Millisecond, lazily + 100*time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			c, _, _ := pair(t, 0)
			begin := time.Now()
			if err := c.SetReadDeadline(begin.Add(after)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read(make([]byte, 1))
			if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took < after || took > max(after, 0)+sweepEach+2*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			if err := c.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			begin = time.Now()
			_ = c.SetReadDeadline(begin.Add(30 * time.Millisecond)) // it can be set again
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) < 30*time.Millisecond {
				t.Errorf("the second time: %v after %v", err, time.Since(begin))
			}
		})
	}
}

// TestWriteTimeout: a client that takes nothing is given up, one that takes its time is not.
func TestWriteTimeout(t *testing.T) {
	c, far, _ := pair(t, 200*time.Millisecond)
	_ = far.SetReadBuffer(4 << 10)
	lost := make(chan struct{})
	c.watch(func() { close(lost) })
	begin := time.Now()
	var err error
	for block := make([]byte, 64<<10); err == nil && time.Since(begin) < 10*time.Second; {
		_, err = c.Write(block)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	<-lost
}

func TestOnLost(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(t *testing.T, c *conn, far *net.TCPConn)
		lost bool
	}{
		{"the client is done and closes", func(t *testing.T, _ *conn, far *net.TCPConn) {
			read(t, far)
			_ = far.Close()
		}, false},
		{"the client resets after it has read", func(t *testing.T, _ *conn, far *net.TCPConn) {
			read(t, far)
			_ = far.SetLinger(0)
			_ = far.Close()
		}, true},
		{"the client closes with bytes unread", func(_ *testing.T, _ *conn, far *net.TCPConn) { _ = far.Close() }, true},
		{"the client ends its side only", func(t *testing.T, _ *conn, far *net.TCPConn) {
			_ = far.CloseWrite()
			read(t, far)
		}, false},
		{"a reset long after the reply", func(t *testing.T, c *conn, far *net.TCPConn) {
			read(t, far)
			c.mu.Lock()
			c.since = time.Now().Add(-lostWindow - time.Second)
			c.mu.Unlock()
			_ = far.SetLinger(0)
			_ = far.Close()
		}, false},
		{"the next reply replaces the function", func(_ *testing.T, c *conn, far *net.TCPConn) {
			c.watch(func() {})
			_ = far.SetLinger(0)
			_ = far.Close()
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, far, _ := pair(t, 0)
			var calls atomic.Int32
			c.watch(func() { calls.Add(1) })
			if _, err := c.Write([]byte("reply")); err != nil {
				t.Fatal(err)
			}
			test.end(t, c, far)
			if _, err := c.Read(make([]byte, 1)); err == nil { // as net/http does while it waits for the next request
				t.Error("the client has sent something")
			}
			_ = c.Close()
			_ = c.Close() // twice is once
			want := int32(0)
			if test.lost {
				want = 1
			}
			if calls.Load() != want {
				t.Errorf("%d calls, want %d", calls.Load(), want)
			}
		})
	}
}

func read(t *testing.T, far *net.TCPConn) {
	t.Helper()
	if _, err := io.ReadFull(far, make([]byte, len("reply"))); err != nil {
		t.Fatal(err)
	}
}

// TestBroken asks before anybody has read from the connection.
func TestBroken(t *testing.T) {
	c, far, _ := pair(t, 0)
	broken := c.watch(func() {})
	if broken() {
		t.Error("broken from the start")
	}
	newer := c.watch(func() {})
	_ = far.SetLinger(0)
	_ = far.Close()
	eventually(t, "the kernel knows of the reset", newer)
	if broken() {
		t.Error("the older reply has a newer one after it, which the client asked for")
	}
}

// TestOnLostOfACall goes through net/http.
func TestOnLostOfACall(t *testing.T) {
	lost := make(chan struct{}, 1)
	s := newTestServer(t, Config{}, Endpoint{Name: "api.v2.a", Method: "GET", Path: "/a", Produces: []string{v2Type}, Handle: func(c *Call) error {
		if c.OnLost(func() { lost <- struct{}{} }) == nil {
			t.Error("nothing can be known of this connection")
		}
		return c.Reply(200, []byte("a"))
	}})
	l := listen(t, s, 0, nil)
	c := dial(t, l)
	c.write(t, "GET /a HTTP/1.1\nHost: x\n\n")
	c.reply(t)
	c.write(t, "GET /a HTTP/1.1\nHost: x\n\n")
	c.reply(t)
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Error("the reset was not noticed")
	}
	if (&Call{}).OnLost(func() {}) != nil {
		t.Error("without a connection nothing can be known")
	}
}

// TestSlots: beyond the bound connections wait; listeners that share slots hold none for connections that do not come.
func TestSlots(t *testing.T) {
	slots := make(chan struct{}, 1)
	s := newTestServer(t, Config{}, text("GET", "/a", "a"))
	idle := listen(t, s, 0, slots)
	busy := listen(t, s, 0, slots)
	const get = "GET /a HTTP/1.1\nHost: x\n\n"

	first := dial(t, busy)
	first.write(t, get)
	first.reply(t)
	for _, l := range []net.Listener{idle, busy} { // as far as they get while the only slot is taken
		second := dial(t, l)
		second.write(t, get)
		_ = second.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := second.r.ReadByte(); !isTimeout(err) {
			t.Fatalf("above the bound: %v", err)
		}
		_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
		_ = first.Close()
		if resp, body := second.reply(t); resp.StatusCode != http.StatusOK || body != "a" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		first = second
	}
}

// TestCloseWhileWaitingForASlot: a listener that is closed ends its Accept, and forgets the connection that had no slot.
func TestCloseWhileWaitingForASlot(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(socket, 0, make(chan struct{})) // no slot at all
	c := dial(t, l)
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.r.ReadByte(); !isTimeout(err) {
		t.Fatal(err)
	}
	_ = l.Close()
	_ = l.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if !c.gone() {
		t.Error("the connection is left open")
	}
	l.Wait()
}

// TestWait returns with the last connection, and the goroutine that looks after deadlines comes and goes.
func TestWait(t *testing.T) {
	for range 3 {
		c, _, l := pair(t, 0)
		waited := make(chan struct{})
		go func() {
			l.Wait()
			close(waited)
		}()
		select {
		case <-waited:
			t.Fatal("Wait returned before the connection was closed")
		case <-time.After(20 * time.Millisecond):
		}
		_ = c.Close()
		<-waited
	}
}

// TestLongReplyToASlowClient: the write timeout moves with what the client takes, so that the whole may take longer.
func TestLongReplyToASlowClient(t *testing.T) {
	body := strings.Repeat("x", 8<<20)
	s := newTestServer(t, Config{}, text("GET", "/a", body))
	c := dial(t, listen(t, s, 600*time.Millisecond, nil))
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	begin := time.Now()
	c.write(t, "GET /a HTTP/1.1\nHost: x\n\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := 0
	for block := make([]byte, 1<<20); ; {
		n, err := io.ReadFull(resp.Body, block)
		got += n
		if err != nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if got != len(body) || time.Since(begin) < time.Second {
		t.Errorf("%d of %d bytes within %v", got, len(body), time.Since(begin))
	}
}
