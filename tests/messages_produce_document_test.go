package tests

import (
	"os/exec"
	"strings"
	"testing"

	"kafkarest/tests/harness"
)

// TestMessagesProduceDocument runs the commands of sections 1, 2 and 5 of docs/messages.md in order, against one proxy with the embedded broker.
func TestMessagesProduceDocument(t *testing.T) {
	for _, tool := range []string{"curl", "sed", "tr"} {
		needTool(t, tool)
	}
	blocks := append(documentBlocks(t, "## 1.", "## 3."), documentBlocks(t, "## 5.", "## 6.")...)
	if len(blocks) < 10 {
		t.Fatalf("found %d blocks only", len(blocks))
	}
	b := harness.EmbeddedBroker(t)
	for _, topic := range []string{"files", "orders", "events", "paid"} {
		harness.CreateNamed(t, b, topic, 1, -1)
	}
	p, folder := startProxy(t, b, nil), t.TempDir()
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
