package testjava

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestJavaMajor(t *testing.T) {
	tests := map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment": 17,
		`openjdk version "21" 2023-09-19`:                                     21,
		`java version "1.8.0_392"`:                                            8,
		"Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"25-ea\"":          25,
		"command not found":                                                   0,
	}
	for out, want := range tests {
		if got, err := majorOf(out); got != want || (err == nil) != (want != 0) {
			t.Errorf("majorOf(%q) is %d, %v; want %d", out, got, err, want)
		}
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
	var inside, most atomic.Int32
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			unlock, err := Lock(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			most.Store(max(most.Load(), inside.Add(1)))
			inside.Add(-1)
		})
	}
	group.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lock at once", most.Load())
	}
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is held gave %v", err)
	}
}

func TestLastLines(t *testing.T) {
	if got := LastLines("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("%q", got)
	}
	if got := LastLines("a", 2); got != "a" {
		t.Errorf("%q", got)
	}
}

func TestNewest(t *testing.T) {
	usual, err := Default()
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	newest, err := Newest()
	if err != nil || newest.Major < usual.Major {
		t.Errorf("%+v %v, and the default is %+v", newest, err, usual)
	}
	if _, err := AtLeast(newest, nil, newest.Major+1, "the program"); err == nil {
		t.Error("a Java that is too old will do")
	}
}
