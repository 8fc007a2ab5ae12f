package tests

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// needTool skips where a tool is not there, but in CI.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: there is no %s to run the example with", name)
	}
}

// runExample starts an example and gives the lines that it prints.
func runExample(t *testing.T, name string, args ...string) <-chan string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "../examples"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with the curl that it waits for
		_ = cmd.Wait()
	})
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

func wantLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	select {
	case got, ok := <-lines:
		if !ok || !strings.Contains(got, want) {
			t.Fatalf("the example prints %q, want %q", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the example does not print %q", want)
	}
}

// workerDone waits until everything of the topic is acknowledged.
func workerDone(t *testing.T, b broker, topic string, end int64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); harness.Committed(t, b, "me", topic, 0) != end; {
		if time.Now().After(deadline) {
			t.Fatalf("committed up to %d of %d", harness.Committed(t, b, "me", topic, 0), end)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestExampleWorkerInPython(t *testing.T) {
	needTool(t, "python3")
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	lines := runExample(t, "python3", "worker.py", p.URL, topic, "me")
	for i := range 5 {
		p.Do("PUT", "/messages/"+topic, fmt.Sprintf(`{"n":%d}`, i))
	}
	for i := range 5 {
		wantLine(t, lines, fmt.Sprintf(`{"n": %d}`, i))
	}
	workerDone(t, b, topic, 5)
}

func TestExampleWorkerInShell(t *testing.T) {
	needTool(t, "curl")
	needTool(t, "jq")
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	work := filepath.Join(t.TempDir(), "work") // fails for the first message the first time
	script := "#!/bin/sh\nread -r v; echo $v; test $v != one -o -e $0.done || { touch $0.done; exit 1; }\n"
	if err := os.WriteFile(work, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	lines := runExample(t, "sh", "worker.sh", p.URL, topic, "me", work)
	p.Do("PUT", "/messages/"+topic, "one")
	wantLine(t, lines, "one")
	p.Do("PUT", "/messages/"+topic, "two")
	wantLine(t, lines, "two")
	wantLine(t, lines, "one") // again, 5 s later
	workerDone(t, b, topic, 2)
}

func TestExampleTailPage(t *testing.T) {
	needTool(t, "node")
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	p.Do("PUT", "/messages/"+topic, `{"n":1}`)
	lines := runExample(t, "node", "--no-warnings", "--experimental-eventsource", "../tests/testdata/tail_page.mjs", "tail.html",
		"?proxy="+p.URL+"&topic="+topic+"&from=earliest")
	wantLine(t, lines, `{"n":1}`)
	p.Do("PUT", "/messages/"+topic, "plain")
	wantLine(t, lines, "0:1  ")
}
