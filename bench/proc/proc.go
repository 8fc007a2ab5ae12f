// Package proc reads what a process has used, from the kernel: processor time and memory. Linux only.
package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of the times in /proc/PID/stat: the kernel shows 100 in a second to every program, whatever its own clock.
const tick = 10 * time.Millisecond

// maxPID is the greatest process id of any Linux.
const maxPID = 1 << 22

// CPU is the processor time (user and system, all threads, ended ones too) that process pid has used so far. It comes from the
// process's own clock in nanoseconds, since a timed section of 0.1 s is only ten ticks of /proc/PID/stat; that file is read where
// the clock cannot be.
func CPU(pid int) (time.Duration, error) {
	var at unix.Timespec
	// The kernel makes the clock's id of the process id: CPUCLOCK_SCHED (2) of the inverted id.
	// Greater ids than the kernel gives would not fit and name another process.
	if pid > 0 && pid <= maxPID && unix.ClockGettime(int32(^pid<<3|2), &at) == nil {
		return time.Duration(at.Nano()), nil
	}
	return StatCPU(pid)
}

// StatCPU is CPU out of /proc/PID/stat, in steps of 10 ms.
func StatCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(text)
}

// parseStat adds up utime and stime, fields 14 and 15. The second field is the program's name in brackets and may itself hold
// blanks and brackets, so fields are counted from the last bracket.
func parseStat(text []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, errors.New("stat: no program name")
	}
	fields := strings.Fields(string(text[end+1:]))
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, errors.New("stat: too few fields")
	}
	user, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: utime: %w", err)
	}
	system, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: stime: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// Memory is what a process holds, in bytes.
type Memory struct {
	RSS  int64 // resident now
	Peak int64 // the most that was resident since the start or the last ResetPeak
}

// MemoryOf reads VmRSS and VmHWM of process pid.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	return parseStatus(text)
}

func parseStatus(text []byte) (Memory, error) {
	var m Memory
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		into := m.field(name)
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("status: %s: %w", name, err)
		}
		*into = kib << 10
	}
	if m.RSS == 0 || m.Peak == 0 {
		return Memory{}, errors.New("status: no VmRSS or VmHWM")
	}
	return m, nil
}

func (m *Memory) field(name string) *int64 {
	switch name {
	case "VmRSS":
		return &m.RSS
	case "VmHWM":
		return &m.Peak
	}
	return nil
}

// ResetPeak makes the process's peak what is resident now. It needs to be the process's owner.
func ResetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
