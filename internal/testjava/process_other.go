//go:build !linux

package testjava

import (
	"os/exec"
	"syscall"
)

// bindToParent keeps the terminal's Ctrl-C from the child. Only Linux can also bind its life to ours.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
