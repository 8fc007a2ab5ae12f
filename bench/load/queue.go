package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Worked is what Work saw.
type Worked struct {
	Cycles     int // receive one message, acknowledge it
	Empty      int // answers without a message
	Twice      int // messages that came more than once
	Took       time.Duration
	Latency    []time.Duration // of each cycle
	FirstError error
}

// Work has so many workers receive one message at a time from a queue (its path, /messages/TOPIC/CONSUMER) and acknowledge it by DELETE, until
// n were received or limit is over.
func Work(ctx context.Context, addr, path string, workers, n int, limit time.Duration) Worked {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w := &work{addr: addr, receive: Request("GET", addr, path+"?limit=1&wait=1", "", "application/json", ""), cancel: cancel, seen: map[string]bool{}}
	w.deadline = time.Now().Add(limit + 5*time.Second) // of a request that was begun within the limit
	w.left.Store(int64(n))
	start := time.Now()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			if err := w.worker(ctx); err != nil {
				w.fail(err)
			}
		})
	}
	all.Wait()
	w.Took = time.Since(start)
	if w.FirstError == nil && w.Cycles < n {
		w.FirstError = fmt.Errorf("%d of %d cycles within %s", w.Cycles, n, limit)
	}
	return w.Worked
}

type work struct {
	addr     string
	receive  []byte
	deadline time.Time
	left     atomic.Int64 // to be begun
	cancel   context.CancelFunc

	mu sync.Mutex
	Worked
	seen map[string]bool // by the acknowledgement without its lease
}

func (w *work) worker(ctx context.Context) error {
	conn, err := Dial(ctx, w.addr)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // its replies were read
	for w.left.Add(-1) >= 0 {
		start := time.Now()
		path, err := w.one(ctx, conn)
		if err != nil {
			return err
		}
		if path == "" {
			return nil // the limit is over
		}
		status, body, err := conn.Do(Request("DELETE", w.addr, path, "", "", ""), w.deadline)
		if err != nil {
			return err
		}
		if status != 204 {
			return fmt.Errorf("acknowledge: status %d: %s", status, clip(body))
		}
		w.note(path, time.Since(start))
	}
	return nil
}

// one receives until there is a message, and gives the path that acknowledges it.
func (w *work) one(ctx context.Context, conn *Conn) (string, error) {
	for ctx.Err() == nil {
		status, body, err := conn.Do(w.receive, w.deadline)
		if err != nil {
			return "", err
		}
		if status != 200 {
			return "", fmt.Errorf("receive: status %d: %s", status, clip(body))
		}
		if path, err := ackPath(body); path != "" || err != nil {
			return path, err
		}
		w.mu.Lock()
		w.Empty++
		w.mu.Unlock()
	}
	return "", nil
}

// ackPath is the path of the one message's ack URL, or "" when there is no message.
func ackPath(body []byte) (string, error) {
	value, after := member(body, `"ack"`)
	if after == nil {
		return "", nil
	}
	url, _, ok := bytes.Cut(value[1:], []byte{'"'})
	_, path, slashes := strings.Cut(string(url), "://")
	at := strings.IndexByte(path, '/')
	if !ok || !slashes || at < 0 {
		return "", fmt.Errorf("no ack URL in %s", clip(body))
	}
	if _, more := member(after, `"ack"`); more != nil {
		return "", errors.New("several messages where one was asked for")
	}
	return path[at:], nil
}

func (w *work) note(path string, took time.Duration) {
	message, _, _ := strings.Cut(path, "&lease=")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Cycles++
	w.Latency = append(w.Latency, took)
	if w.seen[message] {
		w.Twice++
	}
	w.seen[message] = true
}

// fail remembers the first error and ends the others: what the failed worker has would be waited for in vain.
func (w *work) fail(err error) {
	w.mu.Lock()
	if w.FirstError == nil {
		w.FirstError = err
	}
	w.mu.Unlock()
	w.cancel()
}
