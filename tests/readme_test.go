package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// command is a line of a shell block of a document, with what its reply must contain.
type command struct {
	line  string
	place string   // document and line
	want  []string // from "# → " lines below it
}

// TestReadme runs what the README tells its reader to type: curl against the program as `kafka-rest dev` starts it, in order, with a shell.
// The other commands must be ones that this test knows to be there.
func TestReadme(t *testing.T) {
	if lines := strings.Count(readFile(t, "../README.md"), "\n"); lines > 200 {
		t.Errorf("README.md has %d lines; 200 are the most that somebody reads", lines)
	}
	commands := shellCommands(t, "../README.md")
	var curls, others []command
	for _, c := range commands {
		if strings.HasPrefix(c.line, "curl ") {
			curls = append(curls, c)
		} else {
			others = append(others, c)
		}
	}
	if len(curls) < 8 || len(others) < 5 {
		t.Fatalf("found %d curl and %d other commands: does the README have no ```sh blocks any more?", len(curls), len(others))
	}
	t.Run("curl", func(t *testing.T) { runCurls(t, curls) })
	t.Run("others", func(t *testing.T) {
		for _, c := range others {
			if err := known(c.line); err != nil {
				t.Errorf("%s: %s: %v", c.place, c.line, err)
			}
		}
	})
}

// shellCommands are the lines of a document's ```sh blocks.
func shellCommands(t *testing.T, document string) []command {
	t.Helper()
	var list []command
	inside := false
	number := 0
	for line := range strings.Lines(readFile(t, document)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		want, isWant := strings.CutPrefix(line, "# → ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && line == "```sh"
		case !inside || line == "":
		case isWant && len(list) > 0:
			list[len(list)-1].want = append(list[len(list)-1].want, want)
		default:
			list = append(list, command{line: line, place: fmt.Sprintf("%s:%d", filepath.Base(document), number)})
		}
	}
	return list
}

// runCurls runs them one after the other: later ones read what earlier ones wrote.
func runCurls(t *testing.T, list []command) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: there is no curl to run the commands with")
	}
	address, registry := startDev(t, harness.Program(t))
	there := strings.NewReplacer("http://localhost:8082", "http://"+address, "http://localhost:8081", "http://"+registry)
	for _, c := range list {
		out, status := shell(t, there.Replace(c.line))
		out = strings.ReplaceAll(out, address, "localhost:8082")
		if !strings.HasPrefix(status, "2") {
			t.Errorf("%s: %s: status %s, %s", c.place, c.line, status, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %s\nanswers  %s\nand not  %s", c.place, c.line, out, want)
			}
		}
	}
}

// shell runs a curl command with sh and gives the body and the status.
func shell(t *testing.T, line string) (body, status string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", line+` -sS --write-out '\n%{http_code}'`).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	end := bytes.LastIndexByte(out, '\n')
	return string(out[:end]), string(out[end+1:])
}

// startDev runs `kafka-rest dev` on free ports, as `make run` does on 8082 and 8081, and gives its address and that of its Schema Registry;
// the test's end stops it with SIGINT, as Ctrl-C does, and wants a clean exit.
func startDev(t *testing.T, program string) (address, registry string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "dev")
	cmd.Env = append(os.Environ(), "KAFKA_REST_LISTENERS=http://127.0.0.1:0", "KAFKA_REST_SCHEMA_REGISTRY_LISTENERS=http://127.0.0.1:0",
		"KAFKA_REST_SHUTDOWN_SETTLE_MS=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hung := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer hung.Stop()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("kafka-rest dev: %v\n%s", err, readFile(t, log.Name()))
		}
		_ = log.Close()
	})
	listening := regexp.MustCompile(`(?s)"msg":"Schema Registry listening","address":"http://([^"]+)".*"msg":"listening","address":"http://([^"]+)"`)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := listening.FindStringSubmatch(readFile(t, log.Name())); m != nil {
			return m[2], m[1]
		}
	}
	t.Fatalf("kafka-rest dev does not listen:\n%s", readFile(t, log.Name()))
	return "", ""
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// known says whether a command of the README is there: a target of the Makefile, a script, a subcommand of the program. That they work is
// shown elsewhere: the scripts by TestQuickstartThroughTheScripts, `make run` by the curls above, serve and check by the harness.
func known(line string) error {
	words := strings.Fields(line)
	name, args := words[0], words[1:]
	switch {
	case name == "make" && len(args) > 0:
		for _, target := range args {
			if !slices.Contains(makeTargets(), target) {
				return fmt.Errorf("the Makefile has no target %s", target)
			}
		}
		return nil
	case name == "bin/kafka-rest" && len(args) > 0: // by make build
		if !slices.Contains([]string{"serve", "dev", "check", "version"}, args[0]) {
			return fmt.Errorf("the program has no subcommand %s", args[0])
		}
		return nil
	case strings.HasPrefix(name, "bin/"):
		info, err := os.Stat(filepath.Join("..", name))
		if err == nil && info.Mode()&0o111 == 0 {
			return fmt.Errorf("%s cannot be run", name)
		}
		return err
	}
	return fmt.Errorf("this test does not know %s: teach it how to see that it works", name)
}

func makeTargets() []string {
	data, err := os.ReadFile("../Makefile")
	if err != nil {
		return nil
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(data), -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// TestSubcommands: check is what the README says before serve, and it ends well on the file that Confluent's package installs.
func TestSubcommands(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), harness.Program(t), "check", "--config", "testdata/kafka-rest.properties").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "bootstrap.servers=PLAINTEXT://localhost:9092") {
		t.Errorf("check: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), harness.Program(t), "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "kafka-rest ") {
		t.Errorf("version: %v\n%s", err, out)
	}
}

// TestGoVersion: the README names the Go version of go.mod.
func TestGoVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "../go.mod"))
	if version == nil || !strings.Contains(readFile(t, "../README.md"), "Go "+version[1]+" ") {
		t.Errorf("the README does not name the Go version of go.mod, %q", version)
	}
}
