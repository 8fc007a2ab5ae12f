package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kafkarest/bench/suite"
)

func TestModuleFolderIsFoundFromBelow(t *testing.T) {
	dir, err := moduleFolder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "bench", "cmd", "bench", "main.go")); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	t.Chdir(t.TempDir())
	if dir, err := moduleFolder(); err == nil {
		t.Errorf("found %s outside of the module", dir)
	}
}

func TestCompleteRefusesWhatItCannotUse(t *testing.T) {
	for _, s := range []settings{{only: "("}, {peers: "x"}} {
		if err := s.complete(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	s := settings{only: "^produce", peers: "a=http://127.0.0.1:1@2"}
	if err := s.complete(); err != nil || len(s.options.Peers) != 1 || !s.options.Only.MatchString("produce 1") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestDocument(t *testing.T) {
	o := suite.Options{Rounds: 5, Quick: true, Only: regexp.MustCompile("a b"), Peers: []*suite.Side{{Name: "peer"}}}
	got := document(describe(t.Context(), "Apache Kafka 1.2.3", "", o), "| table |\n")
	for _, want := range []string{
		"# Benchmarks\n", "- Kafka: Apache Kafka 1.2.3\n", "- Rounds: 5\n", "\n\n| table |\n",
		"- Command: `go run ./bench/cmd/bench -rounds 5 -quick -only 'a b' (peer peer)`\n", "- Machine: ", "- Go: go",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "kafka-rest:") {
		t.Error("names a proxy that was not built")
	}
}

func TestField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "info")
	if err := os.WriteFile(path, []byte("processor\t: 0\nmodel name\t: X: 9\nmodel name\t: Y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := field(path, "model name"); got != "X: 9" {
		t.Errorf("got %q", got)
	}
	if got := field(path, "none") + field(path+"x", "processor"); got != "" {
		t.Errorf("got %q of what is not there", got)
	}
}
