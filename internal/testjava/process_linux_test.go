package testjava

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const parentVariable = "TESTJAVA_TEST_PARENT"

// TestParentProcess is no test by itself: TestChildDiesWithItsParent runs it in a process of its own, and kills that.
func TestParentProcess(t *testing.T) {
	log := os.Getenv(parentVariable)
	if log == "" {
		return
	}
	p, err := Start(log, "sleep", "300")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid=%d\n", p.PID())
	<-p.done
}

func TestChildDiesWithItsParent(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestParentProcess$")
	parent.Env = append(os.Environ(), parentVariable+"="+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid=")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child does not run: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed, which is an error
	for end := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
	}
}

// alive says whether the process runs. One that nobody has waited for yet, in state Z, does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestKillOfAStoppedProcess(t *testing.T) {
	p, err := Start(filepath.Join(t.TempDir(), "log"), "sleep", "300")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to kill
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if p.Running() || p.exit == nil {
		t.Errorf("running %t, exit %v", p.Running(), p.exit)
	}
}

func TestStartProcessFails(t *testing.T) {
	if _, err := Start(filepath.Join(t.TempDir(), "log"), "/no/such/program"); err == nil {
		t.Error("a program that does not exist was started")
	}
}
