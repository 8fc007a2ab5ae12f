package app

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLogger writes one JSON object a line.
func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // the configuration has checked it
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// logWriter gathers lines for up to a tenth of a second: a system call for each request would cost more than writing the line.
type logWriter struct {
	to io.Writer

	mu      sync.Mutex
	buf     []byte
	flushes *time.Timer
	pending bool
	closed  bool
}

const (
	logDelay  = 100 * time.Millisecond
	logBuffer = 64 << 10
)

func newLogWriter(to io.Writer) *logWriter {
	if to == nil {
		to = io.Discard
	}
	w := &logWriter{to: to}
	w.flushes = time.AfterFunc(time.Hour, w.flush)
	return w
}

func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, line...)
	switch {
	case len(w.buf) >= logBuffer || w.closed:
		w.write()
	case !w.pending:
		w.pending = true
		w.flushes.Reset(logDelay)
	}
	return len(line), nil
}

func (w *logWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write()
}

// write passes on what was gathered. A log that cannot be written has nobody to tell.
func (w *logWriter) write() {
	w.pending = false
	if len(w.buf) > 0 {
		_, _ = w.to.Write(w.buf)
		w.buf = w.buf[:0]
	}
}

// close writes the rest; lines that come later are written at once.
func (w *logWriter) close() {
	w.flushes.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.write()
}
