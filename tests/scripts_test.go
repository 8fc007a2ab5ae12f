package tests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kafkarest/internal/testkafka"
	"kafkarest/tests/harness"
)

// installation is a folder laid out as the package is installed: bin/ with the scripts, and the program where a test puts it.
type installation struct {
	t   *testing.T
	dir string
	env []string
}

func install(t *testing.T) *installation {
	t.Helper()
	in := &installation{t: t, dir: realPath(t, t.TempDir())}
	in.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LOG_DIR=" + filepath.Join(in.dir, "log")}
	for _, name := range []string{"kafka-rest-start", "kafka-rest-stop", "kafka-rest-stop-service"} {
		in.copy(filepath.Join("..", "bin", name), filepath.Join("bin", name))
	}
	return in
}

// realPath is a path without links, as /proc shows it.
func realPath(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (in *installation) copy(from, to string) {
	in.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		in.t.Fatal(err)
	}
	in.write(to, string(data))
}

// write makes an executable file.
func (in *installation) write(name, text string) {
	in.t.Helper()
	path := filepath.Join(in.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		in.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) read(name string) string {
	in.t.Helper()
	data, err := os.ReadFile(filepath.Join(in.dir, name))
	if err != nil {
		in.t.Fatal(err)
	}
	return string(data)
}

// run runs a script of bin/ to its end and gives its exit code and all it wrote.
func (in *installation) run(script string, args ...string) (code int, output string) {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(in.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(in.dir, "bin", script), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = in.env, in.dir, time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (in *installation) want(code int, part, script string, args ...string) {
	in.t.Helper()
	got, out := in.run(script, args...)
	if got != code || !strings.Contains(out, part) {
		in.t.Errorf("%s %q: exit code %d, want %d, with %q in\n%s", script, args, got, code, part, out)
	}
}

// A stub of the program tells how it was called.
const stub = "#!/bin/sh\necho \"$0 $*\"\n"

func TestStartFindsTheProgram(t *testing.T) {
	for _, test := range []struct {
		name  string
		where string // of the program
	}{{"beside the script", "bin/kafka-rest"}, {"one folder up", "kafka-rest"}, {"in PATH", "elsewhere/kafka-rest"}} {
		t.Run(test.name, func(t *testing.T) {
			in := install(t)
			in.env[0] = "PATH=" + filepath.Join(in.dir, "elsewhere") + ":" + os.Getenv("PATH")
			in.write("f.properties", "")
			in.write(test.where, stub)
			in.want(0, filepath.Join(in.dir, test.where)+" serve --config f.properties --set port=1\n", "kafka-rest-start", "f.properties", "--set", "port=1")
		})
	}
	t.Run("through a link", func(t *testing.T) {
		in := install(t)
		in.write("bin/kafka-rest", stub)
		in.write("f.properties", "")
		if err := os.Symlink("kafka-rest-start", filepath.Join(in.dir, "bin", "link")); err != nil {
			t.Fatal(err)
		}
		in.want(0, "bin/kafka-rest serve --config f.properties\n", "link", "f.properties")
	})
	t.Run("built from source", func(t *testing.T) {
		in := install(t)
		in.write("f.properties", "")
		in.write("go.mod", "module kafkarest\n\ngo 1.26\n")
		in.write("cmd/kafka-rest/main.go", "package main\n\nimport \"os\"\n\nfunc main() { println(os.Args[1], \"built\") }\n")
		in.want(0, "serve built", "kafka-rest-start", "f.properties")
	})
}

func TestScriptsUsage(t *testing.T) {
	in := install(t)
	for _, script := range []string{"kafka-rest-start", "kafka-rest-stop", "kafka-rest-stop-service"} {
		in.want(0, "usage: kafka-rest-", script, "-help")
	}
	in.write("f.properties", "")
	in.want(1, "usage:", "kafka-rest-start")
	in.want(1, "usage:", "kafka-rest-start", "-loggc", "f.properties")
	in.want(1, "nothing.properties cannot be read", "kafka-rest-start", "nothing.properties")
	in.want(1, "there is no kafka-rest in", "kafka-rest-start", "f.properties")
	in.want(1, "no kafka-rest to stop", "kafka-rest-stop")
	in.want(1, "no kafka-rest to stop", "kafka-rest-stop-service", "kafkarest.KafkaRestMain")
	in.write("bin/kafka-rest", stub)
	in.env = append(in.env, "KAFKAREST_HEAP_OPTS=-Xmx256M")
	in.want(0, "KAFKAREST_HEAP_OPTS has no effect", "kafka-rest-start", "f.properties")
}

// TestDaemonTellsOfABadConfiguration on the terminal, not in the log.
func TestDaemonTellsOfABadConfiguration(t *testing.T) {
	in := install(t)
	in.copy(harness.Program(t), "bin/kafka-rest")
	in.write("f.properties", "bootstrap.servers=localhost:9092\nbootstrap.serverss=x\n")
	in.want(1, "bootstrap.serverss", "kafka-rest-start", "-daemon", "f.properties")
	if _, err := os.Stat(filepath.Join(in.dir, "log", "kafka-rest.pid")); err == nil {
		t.Error("there is a pid file of a process that was not started")
	}
}

// TestStopRefusesOthers: a pid file may be old, and its number another process's by now.
func TestStopRefusesOthers(t *testing.T) {
	in := install(t)
	in.copy(harness.Program(t), "bin/kafka-rest")
	other := exec.CommandContext(t.Context(), "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Process.Kill(); err != nil {
			t.Errorf("the other process has gone: %v", err)
		}
		if err := other.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the other process was not left alone: %v", err)
		}
	}()
	pidFile := filepath.Join(in.dir, "some.pid")
	in.write("some.pid", strconv.Itoa(other.Process.Pid)+"\n")
	in.env = append(in.env, "KAFKAREST_PID_FILE="+pidFile)
	in.want(1, "it is left alone", "kafka-rest-stop")
	in.write("some.pid", "-1\n")
	in.want(1, "holds no process id", "kafka-rest-stop")
	if err := os.Remove(pidFile); err != nil {
		t.Fatal(err)
	}
	in.want(1, "no kafka-rest to stop", "kafka-rest-stop")
}

// TestQuickstartThroughTheScripts starts the program as somebody does who comes from Confluent's package, with the file that it installs,
// on a real Kafka that creates topics on first use, and runs the quickstart.
func TestQuickstartThroughTheScripts(t *testing.T) {
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cluster, err := testkafka.Start(ctx, testkafka.Config{AutoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	in := install(t)
	in.copy(harness.Program(t), "bin/kafka-rest")
	shipped, err := os.ReadFile("testdata/kafka-rest.properties")
	if err != nil {
		t.Fatal(err)
	}
	in.write("etc/kafka-rest.properties", strings.Replace(string(shipped), "localhost:9092", cluster.Bootstrap(), 1))
	in.env = append(in.env, "KAFKA_REST_LISTENERS=http://127.0.0.1:0") // 8082 may be taken here

	in.want(0, "kafka-rest runs as process", "kafka-rest-start", "-daemon", "etc/kafka-rest.properties")
	pid, err := strconv.Atoi(strings.TrimSpace(in.read("log/kafka-rest.pid")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { killIfOurs(t, pid, filepath.Join(in.dir, "bin", "kafka-rest")) })
	proxy := &harness.Endpoint{T: t, URL: in.address()}
	quickstart(t, proxy, "binarytest", harness.Binary, `{"records":[{"value":"S2Fma2E="}]}`,
		`[{"topic":"binarytest","key":null,"value":"S2Fma2E=","partition":0,"offset":0}]`)

	in.want(0, "", "kafka-rest-stop")
	if err := syscall.Kill(pid, 0); err == nil && isProgram(pid, filepath.Join(in.dir, "bin", "kafka-rest")) {
		t.Error("kafka-rest-stop has ended, and the process has not")
	}
	if log := in.read("log/kafka-rest.log"); !strings.Contains(log, `"msg":"stopped"`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log does not end well:\n%s", log)
	}
	in.want(1, "no kafka-rest to stop", "kafka-rest-stop")
}

// address finds the address in the log of the program that was just started.
func (in *installation) address() string {
	in.t.Helper()
	line := regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := line.FindStringSubmatch(in.read("log/kafka-rest.log")); m != nil {
			return m[1]
		}
	}
	in.t.Fatalf("the program does not listen:\n%s", in.read("log/kafka-rest.log"))
	return ""
}

// quickstart is what the first page of the documentation shows: produce, read it back in the first answer, look around.
func quickstart(t *testing.T, p *harness.Endpoint, topic, mediaType, body, records string) {
	t.Helper()
	want := func(r harness.Reply, status int, part string) {
		t.Helper()
		if r.Status != status || !strings.Contains(r.Body, part) {
			t.Errorf("%d %s, want %d with %q", r.Status, r.Body, status, part)
		}
	}
	const instance = "/consumers/my_group/instances/my_consumer_instance"
	want(p.Do("POST", "/topics/"+topic, body, "Content-Type", mediaType, "Accept", harness.V2), 200, `{"offsets":[{"partition":0,"offset":0,`)
	name, _, _ := strings.Cut(strings.TrimPrefix(mediaType, "application/vnd.kafka."), ".")
	want(p.Do("POST", "/consumers/my_group", `{"name":"my_consumer_instance","format":"`+name+`","auto.offset.reset":"earliest"}`,
		"Content-Type", harness.V2), 200, `"base_uri":"`+p.URL+instance+`"`)
	want(p.Do("POST", instance+"/subscription", `{"topics":["`+topic+`"]}`, "Content-Type", harness.V2), 204, "")
	want(p.Do("GET", instance+"/records?timeout=10000", "", "Accept", mediaType), 200, records)
	want(p.Do("DELETE", instance, "", "Content-Type", harness.V2), 204, "")
	want(p.Do("GET", "/topics", ""), 200, `"`+topic+`"`)
	want(p.Do("GET", "/topics/"+topic, ""), 200, `"name":"`+topic+`"`)
	want(p.Do("GET", "/topics/"+topic+"/partitions", ""), 200, `"partition":0`)
}

func isProgram(pid int, program string) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return err == nil && exe == program
}

// killIfOurs ends what a failed test left behind.
func killIfOurs(t *testing.T, pid int, program string) {
	t.Helper()
	if !isProgram(pid, program) {
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill process %d: %v", pid, err)
	}
}
