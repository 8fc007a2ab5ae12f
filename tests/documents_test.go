package tests

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kafkarest/conformance"
	"kafkarest/internal/config"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the documentation")

const compatibility = "../docs/compatibility.md"

// TestCompatibilityDocument keeps the generated parts of docs/compatibility.md what their sources say.
func TestCompatibilityDocument(t *testing.T) {
	got := readFile(t, compatibility)
	want := got
	for _, part := range []struct{ from, text string }{
		{"generated from conformance/deviations.json by make docs", deviationTable(t)},
		{"generated from the table of internal/config by make docs", configTables()},
	} {
		want = replacePart(t, want, part.from, part.text)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what its sources say: run make docs", compatibility)
	}
	if err := os.WriteFile(compatibility, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDeviationsAreDocumented: every deviation is in the document, and the document names no case that is none.
func TestDeviationsAreDocumented(t *testing.T) {
	deviations, err := conformance.KnownDeviations()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, id := range regexp.MustCompile(`\b(?:v2|v3|cfg)-(?:[a-z]+-)*\d{3}\b`).FindAllString(readFile(t, compatibility), -1) {
		if named[id] = true; deviations[id] == "" {
			t.Errorf("%s names %s, which is not in conformance/deviations.json", compatibility, id)
		}
	}
	v2 := 0
	for id := range deviations {
		if !named[id] {
			t.Errorf("%s is in conformance/deviations.json and not in %s", id, compatibility)
		}
		if strings.HasPrefix(id, "v2-") {
			v2++
		}
	}
	if v2 > 25 {
		t.Errorf("%d cases of v2 are deviations: more than 25 are no drop-in replacement", v2)
	}
}

// replacePart puts text between the comment that names its source and the next end.
func replacePart(t *testing.T, document, source, text string) string {
	t.Helper()
	begin, end := "<!-- "+source+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no part %q", compatibility, source)
	}
	return before + begin + text + end + after
}

// deviationTable is in the order of the file, which is that of the contract.
func deviationTable(t *testing.T) string {
	t.Helper()
	var list []struct{ ID, Reason string }
	if err := json.Unmarshal([]byte(readFile(t, "../conformance/deviations.json")), &list); err != nil {
		t.Fatal(err)
	}
	cases, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	for _, c := range cases {
		titles[c.ID] = c.Title
	}
	var b strings.Builder
	b.WriteString("\n| case | what it does | here, and why |\n|---|---|---|\n")
	for _, d := range list {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.ID, cell(titles[d.ID]), cell(d.Reason))
	}
	b.WriteString("\n")
	return b.String()
}

// configTables group the keys by reason, which is shorter to read than one row for each.
func configTables() string {
	var b strings.Builder
	for _, part := range []struct {
		status config.Status
		head   string
	}{
		{config.Refused, "### Keys that stop the start\n\nIf they have another value than their default: serving without what they ask for would be unsafe.\n"},
		{config.NotApplicable, "### Keys without effect\n\nThey are accepted; a line at start tells of each that has another value than its default.\n"},
	} {
		b.WriteString("\n" + part.head + "\n| keys | why |\n|---|---|\n")
		for _, reason := range reasons(part.status) {
			fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(reason.keys, ", "), cell(reason.text))
		}
	}
	b.WriteString("\n")
	return b.String()
}

type reason struct {
	text string
	keys []string
}

// reasons are in the order of the table, by the first key of each.
func reasons(status config.Status) []reason {
	var list []reason
	for _, k := range config.Table() {
		if k.Status != status {
			continue
		}
		i := slices.IndexFunc(list, func(r reason) bool { return r.text == k.Reason })
		if i < 0 {
			list = append(list, reason{text: k.Reason})
			i = len(list) - 1
		}
		list[i].keys = append(list[i].keys, "`"+k.Name+"`")
	}
	return list
}

func cell(s string) string { return cmp.Or(strings.ReplaceAll(s, "|", `\|`), " ") }

// TestLinks: the links between the documents lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, document := range []struct{ dir, name string }{
		{"..", "README.md"}, {"..", "ARCHITECTURE.md"}, {"..", "CONTRIBUTING.md"}, {"..", "CHANGELOG.md"},
		{"../docs", "compatibility.md"}, {"../docs", "formats.md"}, {"../docs", "configuration.md"}, {"../docs", "client-properties.md"},
	} {
		for _, m := range link.FindAllStringSubmatch(readFile(t, document.dir+"/"+document.name), -1) {
			if _, err := os.Stat(document.dir + "/" + m[1]); err != nil {
				t.Errorf("%s: %v", document.name, err)
			}
		}
	}
}
