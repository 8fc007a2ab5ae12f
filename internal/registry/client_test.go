package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a registry that counts the requests it gets.
func serve(t *testing.T, h http.HandlerFunc) (string, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, &asked
}

func newClient(t *testing.T, change func(*Config), urls ...string) *Client {
	t.Helper()
	c := Default()
	c.URLs, c.Timeout = urls, 2*time.Second
	if change != nil {
		change(&c)
	}
	out, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

func registryError(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error_code": code, "message": message})
}

func intSchema(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"schema":"\"int\""}`) }

func wantCode(t *testing.T, err error, code kafkarest.Code, part string) *kafkarest.Error {
	t.Helper()
	var ke *kafkarest.Error
	if !errors.As(err, &ke) || ke.Code != code || !strings.Contains(ke.Message, part) {
		t.Fatalf("%v, want %d with %q", err, code, part)
	}
	return ke
}

// TestBadRegistries asks registries that do what none should, and holds that the error comes in time and says nothing of theirs.
func TestBadRegistries(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		part    string
	}{
		{"hangs", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-release:
			}
		}, "did not answer"},
		{"html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>login</html>") }, "answer cannot be used"},
		{"500 html", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); fmt.Fprint(w, "<html>oops</html>") }, "answered with status 500"},
		{"500", func(w http.ResponseWriter, _ *http.Request) { registryError(w, 500, 50001, "store is down") }, "store is down; error code: 50001"},
		{"404 html", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "<html>") }, "answered with status 404"},
		{"50 MB", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"schema":"`)
			junk := strings.Repeat("x", 1<<20)
			for range 50 {
				if _, err := io.WriteString(w, junk); err != nil {
					return
				}
			}
			fmt.Fprint(w, `"}`)
		}, "answer cannot be used"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "answer cannot be used"},
		{"closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "did not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, asked := serve(t, tt.handler)
			c := newClient(t, func(c *Config) { c.Timeout = 300 * time.Millisecond }, url)
			start := time.Now()
			_, err := c.ByID(t.Context(), 7)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			ke := wantCode(t, err, kafkarest.CodeSerialization, "Error serializing message. Error when fetching schema by id. schemaId = 7\n")
			if !strings.Contains(ke.Message, tt.part) || strings.Contains(ke.Message, "html") || strings.Contains(ke.Message, url) {
				t.Errorf("%q, want %q", ke.Message, tt.part)
			}
			if ke.RetryAfter == 0 {
				t.Error("no RetryAfter")
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
			if tt.name != "404 html" { // which is an answer, if a strange one
				wantCode(t, c.Ping(t.Context()), kafkarest.CodeSerialization, "")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		status, code int
		want         kafkarest.Code
		message      string
	}{
		{404, 40403, kafkarest.CodeSerialization, "Error serializing message. Error when fetching schema by id. schemaId = 7\nSchema 7 not found; error code: 40403"},
		{403, 40301, kafkarest.CodeForbidden, "Schema 7 not found; error code: 40301"},
		{401, 40101, kafkarest.CodeForbidden, "Schema 7 not found; error code: 40101"},
	} {
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			registryError(w, tt.status, tt.code, "Schema 7 not found")
		})
		_, err := newClient(t, nil, url).ByID(t.Context(), 7)
		ke := wantCode(t, err, tt.want, tt.message)
		if ke.Message != tt.message || ke.RetryAfter != 0 {
			t.Errorf("%q, RetryAfter %v", ke.Message, ke.RetryAfter)
		}
	}
}

func TestFailover(t *testing.T) {
	release := make(chan struct{})
	hangs, hung := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	t.Cleanup(func() { close(release) })
	fails, failed := serve(t, func(w http.ResponseWriter, _ *http.Request) { registryError(w, 500, 50001, "x") })
	good, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(body), "int") {
				t.Errorf("body %q", body)
			}
			fmt.Fprint(w, `{"subject":"s","id":4,"version":2,"schema":"\"int\""}`)
			return
		}
		intSchema(w, r)
	})
	c := newClient(t, func(c *Config) { c.Timeout = 900 * time.Millisecond }, "http://127.0.0.1:1", hangs, fails, good)
	if ss, err := c.Ensure(t.Context(), "s", sr.Schema{Schema: `"int"`}); err != nil || ss.ID != 4 || ss.Version != 2 {
		t.Fatalf("%+v %v", ss, err)
	}
	if _, err := c.ByID(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if hung.Load() != 1 || failed.Load() != 1 || asked.Load() != 2 {
		t.Errorf("asked the hanging %d, the failing %d, the good %d times: the good one is not kept", hung.Load(), failed.Load(), asked.Load())
	}
}

func TestAuthentication(t *testing.T) {
	var got atomic.Value
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization") + " " + r.URL.EscapedPath())
		intSchema(w, r)
	})
	for _, tt := range []struct {
		name   string
		change func(*Config)
		url    string
		want   string
	}{
		{"none", nil, url, " /schemas/ids/1"},
		{"basic", func(c *Config) { c.Username, c.Password = "u", "p:w" }, url, "Basic dTpwOnc= /schemas/ids/1"},
		{"bearer", func(c *Config) { c.Bearer = "tok" }, url, "Bearer tok /schemas/ids/1"},
		{"user info and path", nil, strings.Replace(url, "://", "://u:p%3Aw@", 1) + "/apis/ccompat/v7/", "Basic dTpwOnc= /apis/ccompat/v7/schemas/ids/1"},
	} {
		if _, err := newClient(t, tt.change, tt.url).ByID(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if got.Load() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got.Load(), tt.want)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(intSchema))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs the client that it refuses
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	trusting := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	_, err := newClient(t, func(c *Config) { c.TLS = trusting }, s.URL).ByID(t.Context(), 1)
	wantCode(t, err, kafkarest.CodeSerialization, "did not answer")
	known := trusting.Clone()
	known.Certificates = s.TLS.Certificates
	if _, err := newClient(t, func(c *Config) { c.TLS = known }, s.URL).ByID(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestSubjectIsEscaped(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/subjects/a%2Fb%20c%3F-value/versions/3" {
			t.Errorf("path %s", r.URL.EscapedPath())
		}
		fmt.Fprint(w, `{"subject":"a","id":4,"version":3,"schema":"\"int\""}`)
	})
	c := newClient(t, nil, url)
	if _, err := c.Version(t.Context(), "a/b c?-value", 3); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", ".", "..", strings.Repeat("x", 2000)} {
		_, err := c.Version(t.Context(), bad, 1)
		wantCode(t, err, kafkarest.CodeBadRequest, "subject")
		_, err = c.Ensure(t.Context(), bad, sr.Schema{Schema: `"int"`})
		wantCode(t, err, kafkarest.CodeBadRequest, "subject")
	}
}

// TestServedFromCache stops the registry: what is known is still served, what is not fails at once the second time.
func TestServedFromCache(t *testing.T) {
	var down atomic.Bool
	url, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case down.Load():
			registryError(w, 503, 50003, "down")
		case strings.HasSuffix(r.URL.Path, "latest"), r.Method == http.MethodPost:
			fmt.Fprint(w, `{"subject":"s","id":4,"version":2,"schema":"\"int\""}`)
		default:
			intSchema(w, r)
		}
	})
	c := newClient(t, func(c *Config) { c.LatestTTL = time.Nanosecond }, url)
	all := func(stage string) {
		t.Helper()
		if _, err := c.ByID(t.Context(), 1); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
		if ss, err := c.Version(t.Context(), "s", -1); err != nil || ss.Version != 2 {
			t.Errorf("%s: %v", stage, err)
		}
		if ss, err := c.Ensure(t.Context(), "s", sr.Schema{Schema: `"int"`}); err != nil || ss.ID != 4 {
			t.Errorf("%s: %v", stage, err)
		}
		if _, err := c.ByID(t.Context(), 4); err != nil { // came with the others
			t.Errorf("%s: %v", stage, err)
		}
	}
	all("up")
	down.Store(true)
	all("down")
	before := asked.Load()
	for range 10 {
		_, err := c.ByID(t.Context(), 99)
		wantCode(t, err, kafkarest.CodeSerialization, "down")
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("asked %d times for what is known to fail", n)
	}
}

func TestNegativeExpires(t *testing.T) {
	var there atomic.Bool
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if there.Load() {
			intSchema(w, r)
			return
		}
		registryError(w, 404, 40403, "no")
	})
	c := newClient(t, func(c *Config) { c.NegativeTTL = 20 * time.Millisecond }, url)
	if _, err := c.ByID(t.Context(), 1); err == nil {
		t.Fatal("no error")
	}
	there.Store(true)
	for deadline := time.Now().Add(5 * time.Second); ; {
		if _, err := c.ByID(t.Context(), 1); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the failure is never forgotten")
		}
	}
}

// TestAskedOnce lets many wait for one answer, and one of them leave.
func TestAskedOnce(t *testing.T) {
	release := make(chan struct{})
	url, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		intSchema(w, r)
	})
	c := newClient(t, nil, url)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.ByID(gone, 1); err == nil {
		t.Error("one who left got an answer")
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := c.ByID(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestCacheBounds(t *testing.T) {
	url, asked := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"schema":%q}`, `"`+strings.Repeat("x", 1000)+`"`)
	})
	c := newClient(t, func(c *Config) { c.MaxEntries, c.MaxBytes = 20, 10_000 }, url)
	for id := range 100 {
		for _, id := range []int{id, 0} { // 0 stays in use
			if _, err := c.ByID(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c.cache.size > 10_000 || c.cache.recent.Len() > 20 || len(c.cache.entries) != c.cache.recent.Len() {
		t.Errorf("%d bytes, %d entries, %d keys", c.cache.size, c.cache.recent.Len(), len(c.cache.entries))
	}
	if asked.Load() != 100 {
		t.Errorf("asked %d times: what is in use was forgotten", asked.Load())
	}
}

func TestClosed(t *testing.T) {
	release := make(chan struct{})
	url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	t.Cleanup(func() { close(release) })
	c := newClient(t, func(c *Config) { c.Timeout = time.Minute }, url)
	failed := make(chan error)
	go func() {
		_, err := c.ByID(context.WithoutCancel(t.Context()), 1)
		failed <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); ; {
		c.cache.mu.Lock()
		n := len(c.cache.flights)
		c.cache.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the question never started")
		}
	}
	c.Close()
	if err := <-failed; err == nil {
		t.Error("answered after Close")
	}
	_, err := c.ByID(t.Context(), 2)
	wantCode(t, err, kafkarest.CodeSerialization, "")
}

// TestRegistersWhatIsMissing runs against a registry of the library.
func TestRegistersWhatIsMissing(t *testing.T) {
	fake := srfake.New()
	t.Cleanup(fake.Close)
	strict := newClient(t, func(c *Config) { c.AutoRegister = false }, fake.URL())
	s := sr.Schema{Schema: `{"type":"record","name":"User","fields":[]}`}
	_, err := strict.Ensure(t.Context(), "t-value", s)
	wantCode(t, err, kafkarest.CodeSerialization, "Error serializing message. Error when looking up schema. format = AVRO, subject = t-value, schema = {")

	c := newClient(t, nil, fake.URL())
	first, err := c.Ensure(t.Context(), "t-value", s)
	if err != nil || first.ID == 0 || first.Version != 1 || first.Subject != "t-value" {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := c.Ensure(t.Context(), "t-value", sr.Schema{Schema: `"string"`})
	if err != nil || second.Version != 2 {
		t.Fatalf("%+v %v", second, err)
	}
	if _, err := newClient(t, func(c *Config) { c.AutoRegister = false }, fake.URL()).Ensure(t.Context(), "t-value", s); err != nil {
		t.Errorf("what is registered is not found without registering: %v", err)
	}
	newest := newClient(t, func(c *Config) { c.UseLatest = true }, fake.URL())
	if ss, err := newest.Ensure(t.Context(), "t-value", s); err != nil || ss.ID != second.ID {
		t.Errorf("latest: %+v %v", ss, err)
	}
	if ss, err := newest.Ensure(t.Context(), "new-value", s); err != nil || ss.Version != 1 {
		t.Errorf("latest of a new subject: %+v %v", ss, err)
	}
	_, err = c.Version(t.Context(), "t-value", 9)
	if ke := wantCode(t, err, kafkarest.CodeBadRequest, ""); ke.Message != "Bad Request: Schema does not exist for subject: t-value, version: 9" {
		t.Error(ke.Message)
	}
	_, err = c.Version(t.Context(), "none", -1)
	wantCode(t, err, kafkarest.CodeSerialization, "Error when fetching latest schema version. subject = none")
}

func TestNormalize(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("normalize") != "true" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		fmt.Fprint(w, `{"id":1,"version":1}`)
	})
	c := newClient(t, func(c *Config) { c.Normalize = true }, url)
	ss, err := c.Ensure(t.Context(), "s", sr.Schema{Schema: `"int"`})
	if err != nil || ss.Schema.Schema != `"int"` || ss.Subject != "s" {
		t.Errorf("%+v %v", ss, err)
	}
}

func TestSubject(t *testing.T) {
	c := newClient(t, func(c *Config) { c.KeyStrategy = RecordName }, "http://localhost:1")
	for _, tt := range []struct {
		strategy, record string
		key              bool
		want             string
	}{
		{"", "x.R", false, "t-value"},
		{"", "x.R", true, "x.R"},
		{"TOPIC_NAME", "x.R", true, "t-key"},
		{"RECORD_NAME", "x.R", false, "x.R"},
		{"TOPIC_RECORD_NAME", "x.R", false, "t-x.R"},
		{"io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", "x.R", false, "t-x.R"},
	} {
		if got, err := c.Subject(tt.strategy, "t", tt.key, tt.record); err != nil || got != tt.want {
			t.Errorf("%+v: %s %v", tt, got, err)
		}
	}
	_, err := c.Subject("RECORD_NAME", "t", false, "")
	wantCode(t, err, kafkarest.CodeBadRequest, "Bad Request: the subject name strategy RECORD_NAME needs")
	_, err = c.Subject("x", "t", false, "R")
	wantCode(t, err, kafkarest.CodeBadRequest, "Bad Request: ")
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		field  string
		change func(*Config)
	}{
		{"URLs", func(c *Config) { c.URLs = nil }},
		{"URLs", func(c *Config) { c.URLs = []string{"localhost:8081"} }},
		{"URLs", func(c *Config) { c.URLs = []string{"ftp://u:secret@h"} }},
		{"URLs", func(c *Config) { c.URLs = []string{"http://u:secret@h:port"} }},
		{"Bearer", func(c *Config) { c.Bearer, c.Username = "x", "y" }},
		{"Timeout", func(c *Config) { c.Timeout = 0 }},
		{"MaxEntries", func(c *Config) { c.MaxEntries = 0 }},
	} {
		c := Default()
		c.URLs = []string{"http://localhost:8081"}
		tt.change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), tt.field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
}

// TestConfigShowsNoSecrets prints a configuration in every way that a log or an error text may.
func TestConfigShowsNoSecrets(t *testing.T) {
	c := Default()
	c.URLs, c.Username, c.Password, c.Bearer = []string{"https://u:hidden@registry:8081", "u:hidden@nowhere"}, "u", "hidden", "hidden"
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", c, "pointer", &c)
	for _, text := range []string{
		c.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v", &c, &c, &c), fmt.Sprintf("%+v", struct{ C Config }{c}), logged.String(),
	} {
		if strings.Contains(text, "hidden") || !strings.Contains(text, "registry:8081") {
			t.Errorf("%s", text)
		}
	}
}

// TestLookUpKeepsTheType: a registry that answers a look-up without the type, as Apicurio's does, does not make Avro of it.
func TestLookUpKeepsTheType(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"subject":"s","id":3,"version":1,"schema":"{}"}`)
	})
	c := newClient(t, nil, url)
	if ss, err := c.Ensure(t.Context(), "s", sr.Schema{Schema: `{}`, Type: sr.TypeJSON}); err != nil || ss.Type != sr.TypeJSON {
		t.Errorf("%+v %v", ss, err)
	}
	if s, err := c.ByID(t.Context(), 3); err != nil || s.Type != sr.TypeJSON {
		t.Errorf("%+v %v", s, err)
	}
}
