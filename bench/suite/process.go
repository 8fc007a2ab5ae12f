package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kafkarest/bench/load"
)

// startLimit is how long a side may take from its start to its first 200.
const startLimit = 30 * time.Second

// process is a side that this bench started. Stop it.
type process struct {
	cmd    *exec.Cmd
	addr   string
	log    string        // path of what it wrote to its standard output and error
	exited chan struct{} // closed when it has ended
	ready  time.Duration // from its start to its first 200
}

// program says how to run one side: the arguments for serving on addr with these brokers.
type program struct {
	path string
	args func(addr string) ([]string, error)
}

// start runs the program and waits for its first 200 of GET /topics.
func (p program) start(ctx context.Context, dir string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	args, err := p.args(addr)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(dir, filepath.Base(p.path)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(p.path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = out, out, childEnv(os.Environ()), dir
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	run := &process{cmd: cmd, addr: addr, log: out.Name(), exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(run.exited)
	}()
	if err := run.awaitReady(ctx, began); err != nil {
		run.stop()
		return nil, fmt.Errorf("%s: %w\n%s", p.path, err, tail(run.log))
	}
	return run, nil
}

// childEnv leaves out what would configure the proxy behind the bench's back.
func childEnv(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "KAFKA_REST_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// awaitReady asks again every 2 ms, so that the time is not rounded up much.
func (r *process) awaitReady(ctx context.Context, began time.Time) error {
	request := load.Request("GET", r.addr, "/topics", "", load.TypeV2, "")
	last := errors.New("no answer")
	for time.Since(began) < startLimit {
		if _, last = load.Call(ctx, r.addr, request, load.OK, startLimit); last == nil {
			r.ready = time.Since(began)
			return nil
		}
		select {
		case <-r.exited:
			return errors.New("ended at its start")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("no 200 within %s: %w", startLimit, last)
}

func (r *process) pid() int { return r.cmd.Process.Pid }

// stop asks the process to end and waits; after 35 s, which is more than a proxy's drain may last, it is killed.
func (r *process) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-r.exited:
	case <-time.After(35 * time.Second):
		_ = r.cmd.Process.Kill() // as above
		<-r.exited
	}
}

// freeAddr is a loopback address whose port was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail is the end of a log file, for an error's text.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 2000 {
		_, _ = f.Seek(-2000, io.SeekEnd) // the whole then
	}
	text, _ := io.ReadAll(f)
	return string(text)
}

// goBuild builds the main package pkg of the module in dir to path, static.
func goBuild(ctx context.Context, dir, pkg, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
