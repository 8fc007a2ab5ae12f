package httpapi

import (
	"bytes"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// compressMin is the size below which compression costs more than it saves.
const compressMin = 1 << 10

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// acceptsGzip follows RFC 9110 §12.5.3: gzip with a quality above 0, or * where gzip is not named.
func acceptsGzip(h http.Header) bool {
	wild := false
	for _, header := range h["Accept-Encoding"] {
		for element := range strings.SplitSeq(header, ",") {
			coding, params, _ := strings.Cut(element, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			switch coding {
			case "gzip", "x-gzip":
				return quality(params) > 0
			case "*":
				wild = quality(params) > 0
			}
		}
	}
	return wild
}

func (c *Call) replyGzip(status int, body []byte) error {
	var out bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Header().Set("Content-Encoding", "gzip")
	return c.writeAll(status, out.Bytes())
}
