package kafka

import (
	"crypto/tls"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"
)

// reloader keeps a listener's certificate as new as its file. It looks at the file during a handshake, at most once a second: there is
// no goroutine to stop, and files that are swapped by symbolic links, as Kubernetes does, are seen.
type reloader struct {
	props map[string]string
	now   func() time.Time

	mu     sync.Mutex
	cert   *tls.Certificate
	stamp  fileStamp
	looked time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

func stampOf(name string) fileStamp {
	info, err := os.Stat(name)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

func newReloader(props map[string]string, first *tls.Certificate) *reloader {
	return &reloader{props: maps.Clone(props), now: time.Now, cert: first, stamp: stampOf(props["ssl.keystore.location"]), looked: time.Now()}
}

func (r *reloader) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); now.Sub(r.looked) >= time.Second {
		r.looked = now
		r.look()
	}
	return r.cert, nil
}

// look reads a changed file. One that cannot be read, since it is half written or gone, leaves the old certificate in place, and is
// tried again by the next look.
func (r *reloader) look() {
	stamp := stampOf(r.props["ssl.keystore.location"])
	if stamp == r.stamp {
		return
	}
	cert, err := keyStoreOf(r.props)
	if err != nil || cert == nil {
		slog.Error("the key store has changed and cannot be read: the old certificate is used", "error", err)
		return
	}
	r.cert, r.stamp = cert, stamp
	slog.Info("the key store was read again", "expires", cert.Leaf.NotAfter)
}
