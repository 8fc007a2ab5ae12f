package registry

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// key names one question to the registry.
type key struct {
	kind    byte // i: by id, v: one version, l: the newest version, e: ensure
	subject string
	number  int // id or version
	print   [sha256.Size]byte
}

// answer is what the registry said, or why it did not.
type answer struct {
	schema sr.SubjectSchema
	err    error
}

// cache keeps answers within bounds, the least recently used goes first. A question under way is asked once, however many wait for it.
type cache struct {
	config *Config

	mu      sync.Mutex
	entries map[key]*list.Element // of *entry
	recent  *list.List            // the most recently used in front
	size    int
	flights map[key]*flight
	closed  bool

	stop   context.CancelFunc
	base   context.Context // ends with Close; fetches outlive the request that started them
	active sync.WaitGroup
}

type entry struct {
	key     key
	answer  answer
	size    int
	expires time.Time // zero for never
}

type flight struct {
	done   chan struct{}
	answer answer
}

var errClosed = errors.New("registry: the client is closed")

func newCache(c *Config) *cache {
	out := &cache{config: c, entries: map[key]*list.Element{}, recent: list.New(), flights: map[key]*flight{}}
	out.base, out.stop = context.WithCancel(context.Background())
	return out
}

// close ends what is under way and waits for it.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.active.Wait()
}

// get answers from the cache, or fetches. An answer that came lives for ttl, or for ever with 0.
func (c *cache) get(ctx context.Context, k key, ttl time.Duration, fetch func(context.Context) (sr.SubjectSchema, error)) (sr.SubjectSchema, error) {
	c.mu.Lock()
	e := c.lookup(k)
	if e != nil && (e.expires.IsZero() || time.Now().Before(e.expires)) {
		c.mu.Unlock()
		return e.answer.schema, e.answer.err
	}
	if c.closed {
		c.mu.Unlock()
		return sr.SubjectSchema{}, errClosed
	}
	f := c.flights[k]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flights[k] = f
		c.active.Add(1)
		go c.fly(k, f, e, ttl, fetch)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.answer.schema, f.answer.err
	case <-ctx.Done():
		return sr.SubjectSchema{}, ctx.Err()
	}
}

// fly fetches for all that wait. When the registry cannot be asked, an answer that has expired is better than none.
func (c *cache) fly(k key, f *flight, stale *entry, ttl time.Duration, fetch func(context.Context) (sr.SubjectSchema, error)) {
	defer c.active.Done()
	ctx, cancel := context.WithTimeout(c.base, c.config.Timeout)
	defer cancel()
	ss, err := fetch(ctx)
	if err != nil {
		ttl = c.config.NegativeTTL
		if stale != nil && stale.answer.err == nil && unavailable(err) {
			ss, err = stale.answer.schema, nil
		}
	}
	f.answer = answer{ss, err}
	c.mu.Lock()
	delete(c.flights, k)
	c.store(k, f.answer, ttl, err != nil)
	c.mu.Unlock()
	close(f.done)
}

// put keeps an answer that came along with another.
func (c *cache) put(k key, ss sr.SubjectSchema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(k, answer{schema: ss}, 0, false)
}

func (c *cache) lookup(k key) *entry {
	el := c.entries[k]
	if el == nil {
		return nil
	}
	c.recent.MoveToFront(el)
	return el.Value.(*entry)
}

// store adds or replaces an entry and makes room. failed entries expire even with a ttl of 0: they are then not kept at all.
func (c *cache) store(k key, a answer, ttl time.Duration, failed bool) {
	if el := c.entries[k]; el != nil {
		c.remove(el)
	}
	e := &entry{key: k, answer: a, size: sizeOf(k, a)}
	if ttl > 0 {
		e.expires = time.Now().Add(ttl)
	}
	if failed && ttl == 0 || e.size > c.config.MaxBytes {
		return
	}
	c.entries[k] = c.recent.PushFront(e)
	c.size += e.size
	for c.size > c.config.MaxBytes || c.recent.Len() > c.config.MaxEntries {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*entry)
	delete(c.entries, e.key)
	c.size -= e.size
}

func sizeOf(k key, a answer) int {
	const overhead = 256
	n := overhead + len(k.subject) + len(a.schema.Subject) + len(a.schema.Schema.Schema)
	for _, r := range a.schema.References {
		n += len(r.Name) + len(r.Subject) + 32
	}
	if re, ok := errors.AsType[*sr.ResponseError](a.err); ok {
		n += len(re.Raw)
	}
	return n
}
