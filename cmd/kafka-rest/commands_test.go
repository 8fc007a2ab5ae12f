package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// properties writes a configuration file.
func properties(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kafka-rest.properties")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := properties(t, "bootstrap.servers=a:9092", "fetch.min.bytes=-2")
	quick := []string{"--set", "shutdown.settle.ms=0", "--set", "bootstrap.servers=127.0.0.1:1"}
	for _, test := range []struct {
		args []string
		text string // of the error
	}{
		{[]string{"nonsense"}, `unknown command "nonsense"`},
		{[]string{"serve", "more"}, "unknown command"},
		{[]string{"serve"}, "bootstrap.servers"},
		{[]string{"check"}, "bootstrap.servers"},
		{[]string{"serve", "--set", "bootstrap.servers"}, "KEY=VALUE"},
		{[]string{"check", "--config", filepath.Join(t.TempDir(), "none")}, "none"},
		{[]string{"check", "--config", bad}, "fetch.min.bytes"},
		{append([]string{"serve", "--set", "listeners=http://" + taken.Addr().String()}, quick...), "address already in use"},
		{append([]string{"serve", "--set", "producer.acks=some"}, quick...), "acks"},
	} {
		var out, log bytes.Buffer
		if err := run(t.Context(), test.args, &out, &log); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%q: %v, want %q in it", test.args, err, test.text)
		}
	}
}

// TestCheck: what is printed is what would be used, flags before the file, and no secret.
func TestCheck(t *testing.T) {
	file := properties(t, "bootstrap.servers=a:9092", "fetch.min.bytes=5", "consumer.threads=7",
		"client.security.protocol=SASL_PLAINTEXT", "client.sasl.mechanism=PLAIN",
		`client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="hush";`)
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"check", "--config", file, "--set", "fetch.min.bytes=6"}, &out, &log); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]bool{"fetch.min.bytes=6": true, "fetch.min.bytes=5": false, "bootstrap.servers=a:9092": true, "# warning:": true, "hush": false} {
		if strings.Contains(out.String(), text) != want {
			t.Errorf("%q in it: %v\n%s", text, !want, &out)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"version"}, &out, io.Discard); err != nil || !strings.HasPrefix(out.String(), "kafka-rest dev (go1.") {
		t.Errorf("%q %v", &out, err)
	}
}

// TestDev runs the program as a newcomer does, up to its end by a signal.
func TestDev(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"dev", "--set", "listeners=http://127.0.0.1:0", "--set", "schema.registry.listeners=http://127.0.0.1:0",
			"--set", "shutdown.settle.ms=0"}, out, io.Discard)
		ended <- err
		_ = out.CloseWithError(io.EOF)
	}()
	banner := make([]byte, 4096)
	n, err := told.Read(banner)
	if err != nil {
		t.Fatal(err, <-ended)
	}
	base := regexp.MustCompile(`http://localhost:\d+`).FindString(string(banner[:n]))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(base+"/topics/jsontest", "application/vnd.kafka.json.v2+json", strings.NewReader(`{"records":[{"value":{"foo":"bar"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"offset":0`) {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
