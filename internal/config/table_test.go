package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Defaults that differ from Confluent's, each with its reason in docs/compatibility.md.
var deviations = map[string]string{
	"server.connection.limit": "10000", // bounded by default
}

func TestTableHasEveryConfluentKey(t *testing.T) {
	data, err := os.ReadFile("testdata/confluent-keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseProperties(data)
	if err != nil || len(want) < 140 {
		t.Fatal(len(want), err)
	}
	for name, def := range want {
		k, ok := lookUp(name)
		if other, ok := deviations[name]; ok {
			def = other
		}
		if !ok || k.Ours || k.Default != def {
			t.Errorf("%s: known %v, ours %v, default %q, want %q", name, ok, k.Ours, k.Default, def)
		}
	}
	for _, k := range table {
		if _, theirs := want[k.Name]; !k.Ours && !theirs && !strings.HasPrefix(k.Name, "client.") && !slices.Contains(beside, k.Name) {
			t.Errorf("%s is neither theirs nor marked as ours", k.Name)
		}
	}
}

// beside are keys of Confluent's package that its table of properties does not name.
var beside = []string{"listener.protocol.map", "config.providers"}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Table() {
		if seen[k.Name] {
			t.Errorf("%s is there twice", k.Name)
		}
		seen[k.Name] = true
		switch k.Status {
		case Honoured:
			if k.Doc == "" || k.Reason != "" || !strings.HasSuffix(k.Doc, ".") {
				t.Errorf("%s: doc %q, reason %q", k.Name, k.Doc, k.Reason)
			}
			if limit, _ := k.check(k.Default); limit != "" {
				t.Errorf("%s: its default %q %s", k.Name, k.Default, limit)
			}
		case NotApplicable, Refused:
			if k.Reason == "" {
				t.Errorf("%s has no reason", k.Name)
			}
		case PassedOn:
			if k.Default != "" {
				t.Errorf("%s: only what is set is passed on", k.Name)
			}
		}
		if k.Group == "" {
			t.Errorf("%s has no group", k.Name)
		}
	}
}

func TestDocumentation(t *testing.T) {
	const name = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(name, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != Markdown() {
		t.Errorf("%s is not what the table says (%v); run: go test ./internal/config -run Documentation -update", name, err)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"port", "port", 0}, {"prot", "port", 2}} {
		if got := distance(test.a, test.b); got != test.want || distance(test.b, test.a) != test.want {
			t.Errorf("%s %s: %d", test.a, test.b, got)
		}
	}
}
