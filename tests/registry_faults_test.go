package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/format"
	registryserver "kafkarest/internal/registry/embedded"
	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lookUpLimit is how long a request may take whose schema the registry cannot give: 5 s, and some for a busy machine.
const lookUpLimit = 8 * time.Second

// faultyRegistry stands in front of a registry and breaks when it is told to.
type faultyRegistry struct {
	server   *httptest.Server
	fault    atomic.Pointer[http.HandlerFunc] // nil passes everything on
	followed atomic.Bool                      // somebody has come to where the redirect leads
	over     chan struct{}                    // closed at the end of the test, for whoever hangs
}

// newFaultyRegistry is a registry of its own on an embedded broker.
func newFaultyRegistry(t *testing.T, b broker) *faultyRegistry {
	t.Helper()
	r, err := registryserver.New(registryserver.Config{Kafka: b.Client, Canonical: format.Canonical})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	behind := httptest.NewServer(r.Handler())
	t.Cleanup(behind.Close)
	address, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := &faultyRegistry{over: make(chan struct{})}
	pass := httputil.NewSingleHostReverseProxy(address)
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			f.followed.Store(true)
		}
		if fault := f.fault.Load(); fault != nil {
			(*fault)(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.over) })
	return f
}

// faults are what a registry must not be able to do harm with.
var faults = []struct {
	name   string
	handle func(f *faultyRegistry) http.HandlerFunc // nil stops it
	part   string                                   // of the error's text
}{
	{"stopped", nil, "did not answer"},
	{"hangs", func(f *faultyRegistry) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-f.over:
			}
		}
	}, "did not answer"},
	{"HTML", func(*faultyRegistry) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>please log in</html>") }
	}, "cannot be used"},
	{"500", func(*faultyRegistry) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>oops</html>", http.StatusInternalServerError)
		}
	}, "answered with status 500"},
	{"50 MB", func(*faultyRegistry) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			junk := strings.Repeat("x", 1<<20)
			fmt.Fprint(w, `{"schema":"`)
			for range 50 {
				if _, err := fmt.Fprint(w, junk); err != nil {
					return
				}
			}
			fmt.Fprint(w, `"}`)
		}
	}, "cannot be used"},
	{"redirect", func(*faultyRegistry) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
	}, "cannot be used"},
}

// TestBrokenRegistry: with each fault, what is known goes on both ways, what is not known gets its error in time, and nobody else notices.
func TestBrokenRegistry(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			b := harness.EmbeddedBroker(t)
			registry := newFaultyRegistry(t, b)
			p := startProxy(t, b, map[string]string{"schema.registry.url": registry.server.URL})
			topic, strange := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
			_, id := schemaIDs(t, p.Produce(topic, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"a"}}`)))
			reader := p.Reader("avro", topic)
			wantRead(t, p, reader, avroType, `null {"name":"a"}`)
			harness.Store(t, b, &kgo.Record{Topic: strange, Value: []byte{0, 0x3f, 0, 0, 9, 2, 'x'}})

			if fault.handle == nil {
				registry.server.Close()
			} else {
				registry.fault.Store(new(fault.handle(registry)))
			}
			p.Produce(topic, avroType, payload(map[string]any{"value_schema": user}, `{"value":{"name":"b"}}`))
			p.Produce(topic, avroType, payload(map[string]any{"value_schema_id": id}, `{"value":{"name":"c"}}`))
			wantRead(t, p, reader, avroType, `null {"name":"b"}`, `null {"name":"c"}`)
			unknownSchemas(t, p, topic, strange, fault.part)
			if registry.followed.Load() {
				t.Error("the redirect was followed")
			}
			if fault.handle == nil {
				return
			}
			registry.fault.Store(nil)
			repaired(t, p, topic)
		})
	}
}

// unknownSchemas asks for what is in no cache, several at once, and meanwhile for what needs no registry.
func unknownSchemas(t *testing.T, p *proxy, topic, strange, part string) {
	t.Helper()
	var all sync.WaitGroup
	inTime := func(what string, code int, parts []string, request func() harness.Reply) {
		all.Go(func() {
			begin := time.Now()
			r := request()
			if took := time.Since(begin); took > lookUpLimit {
				t.Errorf("%s took %v", what, took)
			}
			if r.Code() != code || strings.Contains(r.Body, "html") || strings.Contains(r.Body, "127.0.0.1") {
				t.Errorf("%s: %d %s", what, r.Status, r.Body)
			}
			for _, part := range parts {
				if !strings.Contains(r.Body, part) {
					t.Errorf("%s: %s does not say %q", what, r.Body, part)
				}
			}
		})
	}
	post := func(members map[string]any) func() harness.Reply {
		return func() harness.Reply {
			return p.Do("POST", "/topics/"+topic, payload(members, `{"value":1}`), "Content-Type", avroType)
		}
	}
	inTime("a new schema", 42207, []string{part, "Error when registering schema"}, post(map[string]any{"value_schema": `"int"`}))
	inTime("an unknown id", 42207, []string{part, "Error when fetching schema by id. schemaId = 77"}, post(map[string]any{"value_schema_id": 77}))
	for _, policy := range []string{"fail", "skip"} { // what cannot be looked up now is not skipped: it may be good
		reader := p.Reader("avro", strange)
		inTime("a read that must "+policy, 42209, []string{part, strange, "offset 0"}, func() harness.Reply {
			return readUntil(p, reader, "?on_decode_error="+policy)
		})
	}
	reader := p.Reader("avro", strange)
	all.Go(func() {
		if r := readUntil(p, reader, "?on_decode_error=report"); r.Status != 200 || !strings.Contains(r.Body, part) || !strings.Contains(r.Body, `"raw_value":"AD8AAAkCeA=="`) {
			t.Errorf("a read that reports: %d %s", r.Status, r.Body)
		}
	})
	for range 5 {
		begin := time.Now()
		p.Produce(topic, harness.Binary, `{"records":[{"key":"AA=="}]}`)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("binary took %v", took)
		}
	}
	all.Wait()
}

// readUntil reads until the answer is not the empty list, for at most 30 s.
func readUntil(p *proxy, instance, query string) harness.Reply {
	for deadline := time.Now().Add(30 * time.Second); ; {
		r := p.Do("GET", instance+"/records"+query, "", "Accept", avroType)
		if r.Body != "[]" || time.Now().After(deadline) {
			return r
		}
	}
}

// repaired wants the registry's return to be noticed at once: failures are remembered for a second.
func repaired(t *testing.T, p *proxy, topic string) {
	t.Helper()
	body := payload(map[string]any{"key_schema": `"int"`}, `{"key":1}`)
	var r harness.Reply
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r = p.Do("POST", "/topics/"+topic, body, "Content-Type", avroType); r.Status == 200 {
			return
		}
	}
	t.Errorf("10 s after its return: %d %s", r.Status, r.Body)
}
