package tests

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"kafkarest/tests/harness"
)

// documentBlock is a block of shell commands with what its output must contain, in order.
type documentBlock struct {
	line   int
	script string
	want   []string
}

// TestMessagesReadDocument runs the commands of sections 3 and 4 of docs/messages.md, block by block, against one proxy with the
// embedded broker.
func TestMessagesReadDocument(t *testing.T) {
	for _, tool := range []string{"curl", "sed"} {
		needTool(t, tool)
	}
	blocks := documentBlocks(t, "## 3.", "## 5.")
	if len(blocks) < 7 {
		t.Fatalf("found %d blocks only", len(blocks))
	}
	broker, folder := harness.EmbeddedBroker(t), t.TempDir()
	for _, topic := range []string{"greetings", "jobs", "tricky", "tricky-dead"} { // `make run` would create them
		harness.CreateNamed(t, broker, topic, 1, 1)
	}
	p := startProxy(t, broker, nil)
	for _, b := range blocks {
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(b.script, "http://localhost:8082", p.URL))
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("docs/messages.md:%d: %v\n%s", b.line, err, out)
			continue
		}
		rest := string(out)
		for _, want := range b.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("docs/messages.md:%d: there is no %q in the rest of the output:\n%s", b.line, want, rest)
				break
			}
			rest = after
		}
	}
}

// documentBlocks are those of ```sh between two headings.
func documentBlocks(t *testing.T, from, to string) (list []documentBlock) {
	t.Helper()
	data, err := os.ReadFile("../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	within, inside, number := false, false, 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, from):
			within = true
		case strings.HasPrefix(line, to):
			within = false
		case !within:
		case line == "```sh":
			inside = true
			list = append(list, documentBlock{line: number, script: "set -e\ncurl() { command curl -sS \"$@\"; }\n"})
		case line == "```":
			inside = false
		case inside:
			b := &list[len(list)-1]
			if want, ok := strings.CutPrefix(line, "# → "); ok {
				b.want = append(b.want, want)
				continue
			}
			b.script += line + "\n"
		}
	}
	return list
}
