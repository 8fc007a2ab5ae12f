package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// logger passes kfake's lines to slog. kfake reports a failed save at Close only through its log, so logger also remembers errors
// from the moment watch is called.
type logger struct {
	log *slog.Logger

	mu       sync.Mutex
	watching bool
	err      error // the first error since watch
}

// Logf implements kfake.Logger.
func (l *logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError {
		l.remember(fmt.Errorf("embedded broker: "+format, args...))
	}
	to := slogLevel(level)
	if ctx := context.Background(); l.log.Enabled(ctx, to) {
		l.log.Log(ctx, to, fmt.Sprintf(format, args...), "component", "embedded broker")
	}
}

// slogLevel keeps kfake's informational lines, which tell of each failed request, out of a log at the usual level.
func slogLevel(level kfake.LogLevel) slog.Level {
	switch level {
	case kfake.LogLevelError:
		return slog.LevelError
	case kfake.LogLevelWarn:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}

func (l *logger) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = true
}

func (l *logger) remember(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watching && l.err == nil {
		l.err = err
	}
}

func (l *logger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
