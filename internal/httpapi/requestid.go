package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync/atomic"
)

// requestIDs gives each request an id: the client's X-Request-Id when it is a plain token, else one of our own that no other run or
// process has given.
type requestIDs struct {
	prefix string
	next   *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, since Go 1.24)
	return requestIDs{hex.EncodeToString(b[:]) + "-", new(atomic.Uint64)}
}

func (ids requestIDs) of(r *http.Request) string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && isToken(given[0]) {
		return given[0]
	}
	return ids.prefix + strconv.FormatUint(ids.next.Add(1), 36)
}

// isToken keeps what a client sends harmless in a log line and in a header.
func isToken(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
