package testjava

import (
	"os/exec"
	"syscall"
)

// bindToParent lets the kernel kill the child when this process dies, however it dies, and keeps the terminal's Ctrl-C from the child, so
// that its owner can stop it in order.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
