package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink is where a log goes; it counts the writes.
type sink struct {
	mu     sync.Mutex
	text   strings.Builder
	writes int
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.text.Write(p)
	return len(p), nil
}

func (s *sink) read() (text string, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.writes
}

// TestLogIsGathered: many lines are one write, a moment later, and whole lines in their order.
func TestLogIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		w := newLogWriter(s)
		defer w.close()
		var want strings.Builder
		for round := 1; round <= 2; round++ {
			for n := range 100 {
				line := fmt.Sprintf("line %d\n", n)
				want.WriteString(line)
				if written, err := w.Write([]byte(line)); written != len(line) || err != nil {
					t.Fatal(written, err)
				}
			}
			if _, writes := s.read(); writes != round-1 {
				t.Errorf("round %d: %d writes at once", round, writes)
			}
			time.Sleep(logDelay)
			synctest.Wait()
			if text, writes := s.read(); text != want.String() || writes != round {
				t.Errorf("round %d: %d writes: %q", round, writes, text)
			}
		}
	})
}

func TestLogBufferIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no time passes: nothing is written but for want of room
		s := &sink{}
		w := newLogWriter(s)
		defer w.close()
		line := []byte(strings.Repeat("x", 1000) + "\n")
		const lines = 1000
		for n := range lines {
			_, _ = w.Write(line)
			text, _ := s.read()
			if held := (n+1)*len(line) - len(text); held > logBuffer {
				t.Fatalf("%d bytes are held back", held)
			}
		}
		if _, writes := s.read(); writes > lines*len(line)/logBuffer {
			t.Errorf("%d writes", writes)
		}
	})
}

// TestLogClose writes the rest, and what comes later at once.
func TestLogClose(t *testing.T) {
	s := &sink{}
	w := newLogWriter(s)
	_, _ = w.Write([]byte("before\n"))
	w.close()
	_, _ = w.Write([]byte("after\n"))
	if text, _ := s.read(); text != "before\nafter\n" {
		t.Errorf("%q", text)
	}
	newLogWriter(nil).close() // nobody wants it
}

func TestLogConcurrently(t *testing.T) {
	s := &sink{}
	w := newLogWriter(s)
	log := newLogger(w, "info")
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			for range 100 {
				log.Info("line", "n", n, "text", strings.Repeat("y", 200))
			}
			log.Debug("below the level")
		})
	}
	wg.Wait()
	w.close()
	text, _ := s.read()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}") {
			t.Fatalf("a line is torn: %q", line)
		}
	}
	if len(lines) != 2000 {
		t.Errorf("%d lines", len(lines))
	}
}
