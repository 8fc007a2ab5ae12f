package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kafkarest/tests/harness"
)

const formatsDocument = "../docs/formats.md"

// TestFormatsDocument runs every command of docs/formats.md, in order, against the program as `kafka-rest dev` starts it.
func TestFormatsDocument(t *testing.T) {
	commands := shellCommands(t, formatsDocument)
	if len(commands) < 25 {
		t.Fatalf("found %d commands: does the document have no ```sh blocks any more?", len(commands))
	}
	for _, c := range commands {
		if !strings.HasPrefix(c.line, "curl ") {
			t.Fatalf("%s: %s: only curl is run here", c.place, c.line)
		}
	}
	runCurls(t, commands)
}

// TestNewFormat: a format is one new file and one changed line, those that docs/formats.md shows, and v2 serves it.
func TestNewFormat(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readFile(t, formatsDocument), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of Go, and not a file and a line", len(blocks))
	}
	program := buildWith(t, blocks[0][1], blocks[1][1])
	address, _ := startDev(t, program)
	p := harness.Endpoint{T: t, URL: "http://" + address}
	const media = "application/vnd.kafka.reversed.v2+json"
	p.Produce("toy", media, `{"records":[{"key":"key","value":"stressed"},{"value":null}]}`)
	for format, want := range map[string]string{"reversed": "stressed", "text": "desserts"} {
		accept := "application/vnd.kafka." + format + ".v2+json"
		got := p.ReadN(p.Reader(format, "toy"), accept, "?timeout=5000", 2)
		if got[0].Value != want || got[1].Value != nil {
			t.Errorf("read as %s: %v and %v, want %s and null", format, got[0].Value, got[1].Value, want)
		}
	}
	if r := p.Do("POST", "/topics/toy", `{"records":[{"value":1}]}`, "Content-Type", media); r.Status != 400 {
		t.Errorf("a number: %d %s", r.Status, r.Body)
	}
	if r := p.Do("POST", "/topics/toy", `{"records":[{"key":{"a":1},"value":"x"}]}`, "Content-Type", media, "Kafka-Key-Format", "json"); r.Status != 200 {
		t.Errorf("another format for keys: %d %s", r.Status, r.Body)
	}
}

// buildWith builds the program with one file more in the room format and one line of its table changed, without touching the sources.
func buildWith(t *testing.T, file, line string) string {
	t.Helper()
	room, err := filepath.Abs("../internal/format")
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(room, "format.go")
	old := regexp.MustCompile(`(?m)^func Plain\(\) Table .*\n`)
	source := readFile(t, table)
	if len(old.FindAllString(source, -1)) != 1 {
		t.Fatal("the table is not one line any more")
	}
	dir := t.TempDir()
	replace := map[string]string{
		table:                              write(t, dir, "format.go", old.ReplaceAllLiteralString(source, line)),
		filepath.Join(room, "reversed.go"): write(t, dir, "reversed.go", file),
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": replace})
	program := filepath.Join(dir, "kafka-rest")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", write(t, dir, "overlay.json", string(overlay)), "-o", program, "kafkarest/cmd/kafka-rest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build with a new format: %v\n%s", err, out)
	}
	return program
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
