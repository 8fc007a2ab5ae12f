package app

import (
	"net"
	"net/http"
	"sync"
)

// unusedConns are the connections on which no request has begun. http.Server.Shutdown takes them for busy in their first five seconds,
// which is as long as requests under way are waited for: a client's pool would make every stop slow, and a failure.
type unusedConns struct{ conns sync.Map } // of net.Conn

// note is for http.Server.ConnState.
func (u *unusedConns) note(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		u.conns.Store(c, nil)
	} else {
		u.conns.Delete(c)
	}
}

func (u *unusedConns) close() {
	u.conns.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close() // nobody waits for it
		return true
	})
}
