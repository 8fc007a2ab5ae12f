package testregistry_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kafkarest/internal/testregistry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStart registers a schema, freezes and closes the registry, and sees to it that nothing of it is left.
func TestStart(t *testing.T) {
	testregistry.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // the first run on a machine downloads
	defer cancel()
	begin := time.Now()
	r, err := testregistry.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Apicurio Registry %s was ready after %v", testregistry.Version(), time.Since(begin).Round(time.Millisecond))
	if got := register(t, r, time.Minute); got != `{"id":1}` {
		t.Errorf("register: %s", got)
	}
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if got := register(t, r, 100*time.Millisecond); got != "" {
		t.Errorf("a frozen registry answers: %s", got)
	}
	for range 2 { // the second time there is nothing left to close
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(r.PID(), 0); err != syscall.ESRCH {
		t.Errorf("process %d is still there: %v", r.PID(), err)
	}
}

// register gives the reply's body, "" when there is none within limit.
func register(t *testing.T, r *testregistry.Registry, limit time.Duration) string {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: limit, Transport: transport}
	resp, err := client.Post(r.URL()+"/subjects/s/versions", "application/vnd.schemaregistry.v1+json", strings.NewReader(`{"schema":"\"int\""}`))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestVersion(t *testing.T) {
	if v := testregistry.Version(); !strings.HasPrefix(v, "3.") {
		t.Errorf("version %q", v)
	}
}
