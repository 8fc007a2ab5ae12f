package testkafka

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// process is one child from start to exit. Its goroutine ends when the child does.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the child has exited and been waited for
	exit error         // how it ended: set before done is closed
}

// startProcess runs bin with its output appended to the file log.
func startProcess(log, bin string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = out, out
	bindToParent(cmd)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.keep(started)
	return p, <-started
}

// keep starts the child and waits for it on one and the same thread: Linux sends the parent-death signal when the *thread* that started
// the child ends, and Go ends idle threads as it likes.
func (p *process) keep(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.exit = p.cmd.Wait()
	}
}

// signal is a no-op on a child that has gone.
func (p *process) signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v to process %d: %w", s, p.cmd.Process.Pid, err)
	}
	return nil
}

// kill ends the child, a stopped one too, and waits until it has gone.
func (p *process) kill() error {
	err := p.signal(os.Kill)
	if err == nil {
		<-p.done
	}
	return err
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}
