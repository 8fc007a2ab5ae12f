package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTestServer mounts endpoints, or fails the test.
func newTestServer(t testing.TB, cfg Config, endpoints ...Endpoint) *Server {
	t.Helper()
	s, err := New(cfg, endpoints)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request without a connection. headers are "Name: value".
func ask(s *Server, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	return send(s, request(method, target, body, headers...))
}

func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func send(s *Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// text is an endpoint that answers with a text of its own.
func text(method, path, answer string, produces ...string) Endpoint {
	if produces == nil {
		produces = []string{"application/json"}
	}
	return Endpoint{Name: "api.v2." + answer, Method: method, Path: path, Produces: produces,
		Handle: func(c *Call) error { return c.Reply(http.StatusOK, []byte(answer)) }}
}

// listen serves on a connection of our own kind, and ends with the test: every connection must be gone by then.
func listen(t *testing.T, s *Server, writeTimeout time.Duration, slots chan struct{}) *Listener {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(socket, writeTimeout, slots)
	serve(t, s, l)
	return l
}

func serve(t *testing.T, s *Server, l *Listener) {
	t.Helper()
	server := &http.Server{Handler: s, ConnContext: ConnContext, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		l.Wait()
	})
}

// client is a connection of which the test sees every byte.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, l net.Listener) *client {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{c, bufio.NewReader(c)}
}

// write sends bytes as they are; \n stands for the line ends of HTTP.
func (c *client) write(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(s, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// reply reads one response with its body.
func (c *client) reply(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// gone reports whether the server closes the connection within the deadline.
func (c *client) gone() bool {
	_, err := c.r.ReadByte()
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
