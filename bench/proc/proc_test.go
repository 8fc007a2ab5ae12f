package proc

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 4 4 0 -1 4194304 500 0 0 0 123 45 7 8 20 0 9 0 100 1000 200 18446744073709551615"
	for _, name := range []string{"kafka-rest", "a b", "odd) S 1 2 (name", ""} {
		got, err := parseStat([]byte("42 (" + name + ")" + rest))
		if err != nil || got != 1680*time.Millisecond {
			t.Errorf("%q: %v, %v; want 1.68s", name, got, err)
		}
	}
	for _, bad := range []string{"", "42 kafka", "42 (x) S 1 2 3", "42 (x) S 1 4 4 0 -1 4194304 500 0 0 0 a 45 7", "42 (x) S 1 4 4 0 -1 4194304 500 0 0 0 1 b 7"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: %v, no error", bad, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	got, err := parseStatus([]byte("Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    3000 kB\nVmRSS:\t    2000 kB\nThreads:\t1\n"))
	if want := (Memory{RSS: 2000 << 10, Peak: 3000 << 10}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "VmRSS:\t1 kB\n", "VmHWM:\t1 kB\n", "VmRSS:\tx kB\nVmHWM:\t1 kB\n"} {
		if got, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q: %+v, no error", bad, got)
		}
	}
}

// TestCPU holds the two sources against each other, over work that both must see.
func TestCPU(t *testing.T) {
	clock, stat := cpus(t)
	burn := time.Now()
	for sum := 0; time.Since(burn) < 300*time.Millisecond; sum++ {
	}
	clock2, stat2 := cpus(t)
	if used, ticked := clock2-clock, stat2-stat; used < 50*time.Millisecond || (used-ticked).Abs() > 60*time.Millisecond {
		t.Errorf("the clock says %v, the file %v", used, ticked)
	}
}

func cpus(t *testing.T) (clock, stat time.Duration) {
	t.Helper()
	clock, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if stat, err = StatCPU(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	return clock, stat
}

func TestMemoryAndItsPeak(t *testing.T) {
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.RSS < int64(len(ballast)) || m.Peak < m.RSS/2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if ballast[4096] != 1 {
		t.Fatal("lost")
	}
	if err := ResetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	const none = 1 << 30 // above the greatest process id
	if _, err := CPU(none); err == nil {
		t.Error("CPU: no error")
	}
	if _, err := MemoryOf(none); err == nil {
		t.Error("MemoryOf: no error")
	}
}
