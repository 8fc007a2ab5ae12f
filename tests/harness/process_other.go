//go:build !linux

package harness

import "os/exec"

// bindToParent does nothing where the system has no such thing.
func bindToParent(*exec.Cmd) {}
