package testjava

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// Process is one child from start to exit. Its goroutine ends when the child does. Its methods may be called from several goroutines.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the child has exited and been waited for
	exit error         // how it ended: set before done is closed
}

// Start runs bin with its output appended to the file log. On Linux the kernel kills the child when this process dies, however it dies.
func Start(log, bin string, args ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = out, out
	bindToParent(cmd)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.keep(started)
	return p, <-started
}

// keep starts the child and waits for it on one and the same thread: Linux sends the parent-death signal when the *thread* that started
// the child ends, and Go ends idle threads as it likes.
func (p *Process) keep(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.exit = p.cmd.Wait()
	}
}

// PID is the child's process id, also after its end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the child has not gone yet, be it stopped or not.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal is a no-op on a child that has gone.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v to process %d: %w", s, p.PID(), err)
	}
	return nil
}

// Kill ends the child, a stopped one too, and waits until it has gone.
func (p *Process) Kill() error {
	err := p.Signal(os.Kill)
	if err == nil {
		<-p.done
	}
	return err
}

// Wait waits until the child has gone or ctx ends.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process %d did not end: %w", p.PID(), ctx.Err())
	}
}
