package kafkarest_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers are the rooms from the lowest up. A room may import any lower one, and none beside or above it.
var layers = [][]string{
	{""}, // the root: nouns and error codes
	{"internal/format", "internal/registry", "internal/registry/embedded", "internal/kafka", "internal/kafka/embedded", "internal/config", "internal/auth"},
	{"internal/produce", "internal/consume", "internal/task"},
	{"internal/httpapi"},
	{"internal/httpapi/v1", "internal/httpapi/v2", "internal/httpapi/v3", "internal/httpapi/messages", "internal/console"},
	{"internal/app"}, // the only room that knows all others
	{"cmd/kafka-rest"},
}

// sideRooms hold tests and tools. They import what they need; no layer imports them. Conformance judges from outside, so it sees nothing of
// internal.
var sideRooms = []string{"bench", "conformance", "internal/registry/registrytest", "internal/testjava", "internal/testkafka", "internal/testregistry", "tests"}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// TestDependencies holds the rule of who may import whom (ARCHITECTURE.md). Tests of a room may import anything.
func TestDependencies(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages only", len(packages))
	}
	for _, p := range packages {
		from := room(p.ImportPath)
		layer := layerOf(from)
		if layer < 0 && !isSide(from) {
			t.Errorf("%s is in no layer: give it a line in deps_test.go", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if why := forbidden(from, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
		if !within(from, "conformance") {
			continue
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if why := forbidden(from, imported); why != "" {
				t.Errorf("a test of %s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

// TestForbidden shows that the rule can fail.
func TestForbidden(t *testing.T) {
	for _, test := range []struct {
		from, imported string
		ok             bool
	}{
		{"internal/httpapi/v2", "kafkarest/internal/produce", true},
		{"internal/produce", "kafkarest", true},
		{"cmd/kafka-rest", "kafkarest/internal/kafka/embedded", true},
		{"tests/faults", "kafkarest/internal/testkafka/checker", true},
		{"internal/produce", "net/http", true},
		{"internal/format", "kafkarest/internal/produce", false},             // upwards
		{"internal/httpapi/v2", "kafkarest/internal/httpapi/v3", false},      // sideways
		{"internal/kafka/embedded", "kafkarest/internal/kafka", false},       // a folder below is no layer below
		{"internal/app", "kafkarest/internal/testkafka", false},              // a side room
		{"conformance/cmd/conform", "kafkarest/internal/config", false},      // not from outside
		{"internal/produce", "kafkarest/internal/handlers/whatever", false},  // no room at all
		{"internal/consume", "kafkarest/internal/testkafka/checker", false},  // a side room's folder
		{"internal/registry", "kafkarest/internal/registry/embedded", false}, // sideways
	} {
		if why := forbidden(test.from, test.imported); (why == "") != test.ok {
			t.Errorf("%s → %s: %q", test.from, test.imported, why)
		}
	}
}

// forbidden says why a room must not import a package; "" means that it may.
func forbidden(from, imported string) string {
	if imported != "kafkarest" && !strings.HasPrefix(imported, "kafkarest/") {
		return ""
	}
	to := room(imported)
	below, above := layerOf(to), layerOf(from)
	switch {
	case within(from, "conformance") && strings.HasPrefix(to, "internal/"):
		return "conformance judges from outside"
	case isSide(from):
		return ""
	case below < 0:
		return "it is a side room, or in no layer"
	case below == above:
		return "both are in layer " + layerName(above)
	case below > above:
		return "that is upwards, from layer " + layerName(above) + " to " + layerName(below)
	}
	return ""
}

func layerName(n int) string { return "L" + string(rune('0'+n)) }

// room is an import path without the module.
func room(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, "kafkarest"), "/")
}

func layerOf(room string) int {
	return slices.IndexFunc(layers, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

func isSide(room string) bool {
	return slices.ContainsFunc(sideRooms, func(side string) bool { return within(room, side) })
}

// within tells whether a room is a folder or below it.
func within(room, folder string) bool {
	for ; room != "." && room != "/"; room = path.Dir(room) {
		if room == folder {
			return true
		}
	}
	return false
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
