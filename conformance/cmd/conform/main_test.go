package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	cases := write(t, "cases.jsonl", `{"id":"a","api":"v2","title":"t","steps":[{"method":"GET","path":"/","expect_status":404}]}
{"id":"b","api":"v3","title":"t","steps":[{"method":"GET","path":"/","expect_status":200}]}
{"id":"c","api":"v3","title":"t","needs":["x"],"steps":[{"method":"GET","path":"/","expect_status":404}]}`)
	known := write(t, "known.json", `[{"id":"b","reason":"on purpose"}]`)
	stale := write(t, "stale.json", `[{"id":"a","reason":"was so once"}]`)
	tests := []struct {
		name, args string
		code       int
		out        string // a part of the output, spaces squeezed
	}{
		{"a failure", "", 1, "fail b"},
		{"summary", "", 1, "all 3 1 1 0 1"},
		{"one api", "-api v2", 0, "all 1 1 0 0 0"},
		{"ids", "-ids ^[ac]$ -have y,x -v", 0, "pass c"},
		{"known deviation", "-deviations " + known, 0, "all 3 1 0 1 1"},
		{"no deviations", "-deviations none", 1, "fail b"},
		{"stale deviation", "-api v2 -deviations " + stale, 1, "stale deviation"},
		{"nothing selected", "-ids nothing", 2, "no case is selected"},
		{"bad expression", "-ids (", 2, "-ids"},
		{"unknown flag", "-x", 2, "flag provided but not defined"},
		{"no such file", "-deviations /no/such/file", 2, "no such file"},
		{"bad file", "-deviations " + cases, 2, "deviations"},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		args := append([]string{"-base", server.URL, "-cases", cases}, strings.Fields(tt.args)...)
		code := run(t.Context(), args, &out, &out)
		if text := strings.Join(strings.Fields(out.String()), " "); code != tt.code || !strings.Contains(text, tt.out) {
			t.Errorf("%s: code %d, output\n%s", tt.name, code, out.String())
		}
	}
}
