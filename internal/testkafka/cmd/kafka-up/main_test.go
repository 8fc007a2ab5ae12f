package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testkafka"
)

func TestRun(t *testing.T) {
	testkafka.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		defer out.Close()
		done <- run(ctx, []string{"-auto-create"}, &lineCounter{w: out, lines: 2, full: cancel})
	}()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^bootstrap=127\.0\.0\.1:\d+\npid=\d+\n$`).Match(text) {
		t.Errorf("printed %q", text)
	}
}

// lineCounter calls full after so many lines.
type lineCounter struct {
	w     io.Writer
	lines int
	full  func()
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.lines -= strings.Count(string(p), "\n"); c.lines <= 0 {
		c.full()
	}
	return n, err
}

func TestRunRefusesUnknownFlags(t *testing.T) {
	if err := run(t.Context(), []string{"-help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help gave %v", err)
	}
	if err := run(t.Context(), []string{"-nodes", "many"}, io.Discard); err == nil {
		t.Error("-nodes many was taken")
	}
}
