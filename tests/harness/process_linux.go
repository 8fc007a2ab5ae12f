package harness

import (
	"os/exec"
	"syscall"
)

// bindToParent has the kernel kill the child when this process dies.
func bindToParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
