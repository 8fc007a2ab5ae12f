package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// logLines holds the memory in which lines are made.
var logLines = sync.Pool{New: func() any { return new([]byte) }}

// log writes the request's line, and for a failure of ours another with its cause. Neither has a payload, a query or credentials.
func (c *Call) log() {
	cfg := &c.server.cfg
	if cfg.RequestLog != nil {
		line := logLines.Get().(*[]byte)
		*line = c.appendLine((*line)[:0])
		_, _ = cfg.RequestLog.Write(*line) // there is nobody to tell
		logLines.Put(line)
	}
	if errors.Is(c.R.Context().Err(), context.Canceled) { // the client went away: that is no failure of ours
		return
	}
	if c.failure != nil && c.failure.Code.Status() >= 500 && c.failure.Err != nil {
		cfg.Log.LogAttrs(context.Background(), slog.LevelError, "request failed", slog.String("request_id", c.RequestID),
			slog.Int("error_code", int(c.failure.Code)), slog.String("cause", c.failure.Err.Error()))
	}
}

// appendLine makes the line as slog's JSON handler would, at a fifth of its cost: there is one for each request.
func (c *Call) appendLine(b []byte) []byte {
	now := time.Now()
	b = append(b, `{"time":"`...)
	b = now.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request","request_id":"`...)
	b = append(b, c.RequestID...) // a token
	b = append(b, `","remote":"`...)
	b = append(b, c.R.RemoteAddr...)
	b = appendText(b, `","method":`, c.R.Method)
	b = appendText(b, `,"path":`, c.R.URL.EscapedPath())
	b = appendText(b, `,"proto":`, c.R.Proto)
	b = appendNumber(b, `,"status":`, int64(c.status))
	b = appendNumber(b, `,"in":`, c.read)
	b = appendNumber(b, `,"out":`, c.written)
	b = appendNumber(b, `,"us":`, now.Sub(c.start).Microseconds())
	if c.Endpoint != nil {
		b = appendText(b, `,"endpoint":`, c.Endpoint.Name)
	}
	if c.failure != nil {
		b = appendNumber(b, `,"error_code":`, int64(c.failure.Code))
	}
	return append(b, "}\n"...)
}

func appendText(b []byte, name, value string) []byte {
	b, _ = jsontext.AppendQuote(append(b, name...), value) // what is not UTF-8 is replaced
	return b
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}
