package harness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program, built once for all tests of a package.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Program builds the program as it is shipped, without cgo, and gives its path.
func Program(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "kafka-rest-test-"); binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "kafka-rest")
		build := exec.Command("go", "build", "-o", binary.path, "kafkarest/cmd/kafka-rest")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build the program: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

func removeBinary() {
	if binary.dir != "" {
		_ = os.RemoveAll(binary.dir) // a temporary folder: the system removes it otherwise
	}
}

// Process is the program under test, in a process of its own.
type Process struct {
	Endpoint
	cmd  *exec.Cmd
	log  *logTail
	done chan struct{}
	exit error
}

// StartProcess runs `kafka-rest serve --config FILE` on a port of its own and waits until it serves; the test's end kills it if it still
// runs. Settings are those of the file.
func StartProcess(t testing.TB, b Broker, settings map[string]string) *Process {
	t.Helper()
	set := proxySettings(b, settings)
	if set["listeners"] == "http://127.0.0.1:0" {
		set["log.level"] = "info" // it is the log that tells the port
	}
	var text strings.Builder
	for k, v := range set {
		fmt.Fprintf(&text, "%s=%s\n", k, v)
	}
	file := filepath.Join(t.TempDir(), "kafka-rest.properties")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Process{Endpoint: Endpoint{T: t}, log: &logTail{}, done: make(chan struct{})}
	p.cmd = exec.Command(Program(t), "serve", "--config", file)
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KAFKA_REST_") }) // they configure it too
	bindToParent(p.cmd)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started, address := make(chan error), make(chan string, 1)
	go p.keep(stderr, started, address)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	select {
	case a := <-address:
		p.URL = a
	case <-p.done:
		t.Fatalf("the program ended at once: %v\n%s", p.exit, p.log)
	case <-time.After(20 * time.Second):
		t.Fatalf("the program does not listen after 20 s\n%s", p.log)
	}
	return p
}

// keep starts the process and waits for it on one and the same thread: Linux sends the parent-death signal when the *thread* that started
// the child ends.
func (p *Process) keep(stderr io.Reader, started chan<- error, address chan<- string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.follow(bufio.NewReader(stderr), address)
	p.exit = p.cmd.Wait()
}

// follow reads the log to its end, which is the process's end, and finds the address in it.
func (p *Process) follow(log *bufio.Reader, address chan<- string) {
	for {
		line, err := log.ReadBytes('\n')
		if _, rest, ok := bytes.Cut(line, []byte(`"msg":"listening","address":"`)); ok {
			a, _, _ := bytes.Cut(rest, []byte(`"`))
			select {
			case address <- string(a):
			default: // a further listener
			}
		}
		p.log.add(line)
		if err != nil {
			return
		}
	}
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does and waits until it has gone.
func (p *Process) Kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.T.Errorf("kill the program: %v", err)
	}
	<-p.done
}

// Terminate sends SIGTERM, waits for the end and gives the exit code and how long it took.
func (p *Process) Terminate(ctx context.Context) (code int, took time.Duration, err error) {
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), time.Since(begin), nil
	case <-ctx.Done():
		return 0, time.Since(begin), ctx.Err()
	}
}

// Log is the end of what the process has logged.
func (p *Process) Log() string { return p.log.String() }

// PeakRSS is the most memory that the process has had, in bytes.
func (p *Process) PeakRSS() int64 { return p.status("VmHWM") }

// RSS is the memory that the process has now, in bytes.
func (p *Process) RSS() int64 { return p.status("VmRSS") }

// status reads a line in kB of /proc/PID/status.
func (p *Process) status(name string) int64 {
	p.T.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		p.T.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kB, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				p.T.Fatal(err)
			}
			return kB << 10
		}
	}
	p.T.Fatalf("no %s in /proc/%d/status", name, p.PID())
	return 0
}

// logTail keeps the last lines of a log.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

func (l *logTail) add(line []byte) {
	const keep = 200
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, string(line)); len(l.lines) > 2*keep {
		l.lines = append([]string(nil), l.lines[len(l.lines)-keep:]...)
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}
