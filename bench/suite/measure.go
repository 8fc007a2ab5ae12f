package suite

import (
	"time"

	"kafkarest/bench/proc"
)

// meter reads what a side's process used from one moment to another.
type meter struct {
	pid   int
	cpu   time.Duration
	began time.Time
}

// startMeter also makes the process's peak of memory begin anew; where that is not allowed, the peak is that of its whole life.
func startMeter(side *Side) (meter, error) {
	_ = proc.ResetPeak(side.PID) // as above
	cpu, err := proc.CPU(side.PID)
	return meter{pid: side.PID, cpu: cpu, began: time.Now()}, err
}

// usage is what was used since the start, and the memory held at the end.
type usage struct {
	cpu, took time.Duration
	memory    proc.Memory
}

func (m meter) stop() (usage, error) {
	cpu, err := proc.CPU(m.pid)
	if err != nil {
		return usage{}, err
	}
	u := usage{cpu: cpu - m.cpu, took: time.Since(m.began)}
	u.memory, err = proc.MemoryOf(m.pid)
	return u, err
}

// per is the processor time in seconds for each so many of n.
func (u usage) per(each string, unit float64, n int) Figure {
	return Figure{Name: "CPU s per " + each, Value: u.cpu.Seconds() * unit / float64(n), Digits: 3}
}

func (u usage) memoryFigures() []Figure {
	return []Figure{
		{Name: "RSS MB after", Value: megabytes(u.memory.RSS)},
		{Name: "RSS MB at most", Value: megabytes(u.memory.Peak)},
	}
}
