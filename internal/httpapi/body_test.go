package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kafkarest"

	"github.com/klauspost/compress/zstd"
)

// echoBody answers with the body that came.
func echoBody() Endpoint {
	return Endpoint{Name: "api.v2.echo", Method: "POST", Path: "/echo", Consumes: []string{"a/b"}, NoType: true, Produces: []string{"a/b"}, Handle: func(c *Call) error {
		body, err := c.Body()
		if err != nil {
			return err
		}
		return c.Reply(200, body)
	}}
}

func gzipped(t testing.TB, s string) string {
	t.Helper()
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstded(t testing.TB, s string, opts ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func TestBody(t *testing.T) {
	const limit = 1000
	exact, over := strings.Repeat("x", limit), strings.Repeat("x", limit+1)
	const damaged = "Bad Request: the request body is not what its Content-Encoding says."
	for _, test := range []struct {
		name, encoding, body string
		status               int
		want                 string // the body, or a part of the error
	}{
		{"plain", "", "abc", 200, "abc"},
		{"empty", "", "", 200, ""},
		{"at the limit", "", exact, 200, exact},
		{"over the limit", "", over, 413, "1000 bytes (request.max.bytes"},
		{"identity", "identity", "abc", 200, "abc"},
		{"gzip", "gzip", gzipped(t, "abc"), 200, "abc"},
		{"gzip of nothing", "gzip", gzipped(t, ""), 200, ""},
		{"any case, blanks", " X-GZip ", gzipped(t, "abc"), 200, "abc"},
		{"two members", "gzip", gzipped(t, "abc") + gzipped(t, "def"), 200, "abcdef"},
		{"gzip at the limit", "gzip", gzipped(t, exact), 200, exact},
		{"gzip over the limit", "gzip", gzipped(t, over), 413, "request.max.bytes"},
		{"gzip bomb", "gzip", gzipped(t, strings.Repeat("\x00", 10<<20)), 413, ""}, // 10 kB of it: announced length
		{"not gzip", "gzip", "abc", 400, damaged},
		{"no gzip at all", "gzip", "", 400, damaged},
		{"gzip cut short", "gzip", gzipped(t, exact)[:20], 400, ""},
		{"gzip with rubbish after it", "gzip", gzipped(t, "abc") + "rubbish", 400, damaged},
		{"gzip with a wrong sum", "gzip", wrongSum(gzipped(t, "abc")), 400, damaged},
		{"zstd", "zstd", zstded(t, "abc"), 200, "abc"},
		{"two frames", "zstd", zstded(t, "abc") + zstded(t, "def"), 200, "abcdef"},
		{"zstd at the limit", "zstd", zstded(t, exact), 200, exact},
		{"zstd over the limit", "zstd", zstded(t, over), 413, "request.max.bytes"},
		{"not zstd", "zstd", "abcdefghijkl", 400, damaged},
		{"zstd cut short", "zstd", zstded(t, exact)[:10], 400, ""},
		{"br", "br", "abc", 415, `Content-Encoding \"br\" is not supported`},
		{"several", "gzip, zstd", "abc", 415, "is not supported"},
		{"long", strings.Repeat("x", 5000), "abc", 415, strings.Repeat("x", 100) + "…"},
	} {
		for _, chunked := range []bool{false, true} {
			s := newTestServer(t, Config{MaxBody: limit}, echoBody())
			r := request("POST", "/echo", test.body)
			if test.encoding != "" {
				r.Header.Set("Content-Encoding", test.encoding)
			}
			if chunked {
				r.ContentLength = -1
				r.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(test.body)))
			}
			w := send(s, r)
			got := w.Body.String()
			if w.Code != test.status || w.Code == 200 && got != test.want || !strings.Contains(got, test.want) {
				t.Errorf("%s (chunked %v): %d %.200q, want %d %.200q", test.name, chunked, w.Code, got, test.status, test.want)
			}
			if w.Code == 413 && w.Header().Get("Connection") != "close" {
				t.Errorf("%s: the rest of the body is waited for", test.name)
			}
			if n := s.bodies.used.Load(); n != 0 {
				t.Errorf("%s: %d bytes of the budget are not given back", test.name, n)
			}
		}
	}
}

// TestBodyInPieces: a body without a length is whole and of its own memory wherever its pieces end, and gives all of the budget back.
func TestBodyInPieces(t *testing.T) {
	const limit = 3 << 20
	sizes := []int{1, limit - 1, limit, limit + 1}
	for _, border := range []int{firstPiece, piece, firstPiece + piece, firstPiece + 2*piece, firstPiece + 10*piece, 1 << 20} {
		sizes = append(sizes, border-1, border, border+1)
	}
	s := newTestServer(t, Config{MaxBody: limit}, echoBody())
	for _, size := range sizes {
		body := numbered(size)
		for name, reader := range map[string]io.Reader{
			"": strings.NewReader(body), "EOF with the last bytes": iotest.DataErrReader(strings.NewReader(body)), "halves": iotest.HalfReader(strings.NewReader(body)),
		} {
			r := request("POST", "/echo", "")
			r.ContentLength, r.Body = -1, io.NopCloser(reader)
			w := send(s, r)
			if want := map[bool]int{true: 200, false: 413}[size <= limit]; w.Code != want || want == 200 && w.Body.String() != body {
				t.Errorf("%d bytes, %s: %d with %d bytes", size, name, w.Code, w.Body.Len())
			}
			if n := s.bodies.used.Load(); n != 0 {
				t.Fatalf("%d bytes, %s: %d of the budget are not given back", size, name, n)
			}
		}
	}
}

// numbered is a text without repetitions that would hide what is out of its place.
func numbered(size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		b.WriteString(strconv.Itoa(n))
		b.WriteByte(' ')
	}
	return b.String()[:size]
}

// TestBodyAsLargeAsTheBudget: what a body takes twice while it is put together is no reason to refuse it, and what it keeps is counted.
func TestBodyAsLargeAsTheBudget(t *testing.T) {
	const size = 900_000
	var counted int64
	e := echoBody()
	e.Handle = func(c *Call) error {
		body, err := c.Body()
		if err == nil && len(body) != size {
			err = errors.New("another length")
		}
		counted = c.server.bodies.used.Load()
		return err
	}
	for _, budget := range []int64{1 << 20, 10 << 20} { // without room for two, and with it
		s := newTestServer(t, Config{MaxBody: size, BodyBudget: budget}, e)
		r := request("POST", "/echo", "")
		r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(numbered(size)))
		if w := send(s, r); w.Code != 200 || counted != size {
			t.Errorf("%d: %s; %d bytes count, want %d", w.Code, w.Body, counted, size)
		}
	}
}

// TestCompressedLengthIsNoLength: what is announced is the length before decompression, whatever it is.
func TestCompressedLengthIsNoLength(t *testing.T) {
	s := newTestServer(t, Config{}, echoBody())
	want := strings.Repeat("x", 100_000)
	for _, length := range []int{firstPiece, piece} {
		var out bytes.Buffer
		for padding := length / 2; out.Len() != length; padding += length - out.Len() {
			out.Reset()
			w := gzip.NewWriter(&out)
			w.Extra = make([]byte, padding)
			if _, err := io.WriteString(w, want); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r := request("POST", "/echo", out.String())
		r.Header.Set("Content-Encoding", "gzip")
		if w := send(s, r); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%d bytes: %d with %d bytes", length, w.Code, w.Body.Len())
		}
	}
}

func wrongSum(gz string) string {
	b := []byte(gz)
	b[len(b)-5] ^= 1
	return string(b)
}

// TestBombs: what a small body makes of itself is bounded by the limit, and so is the memory that it takes.
func TestBombs(t *testing.T) {
	s := newTestServer(t, Config{MaxBody: 1 << 20}, echoBody())
	zeros := strings.Repeat("\x00", 64<<20)
	for encoding, bomb := range map[string]string{
		"gzip": gzipped(t, zeros),
		"zstd": zstded(t, zeros, zstd.WithWindowSize(8<<20)),
		// A frame header that announces 1 GiB and a window as large, and nothing of it.
		"zstd ": "\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x40\x00\x00\x00\x00",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := request("POST", "/echo", bomb)
		r.ContentLength = -1 // or the length alone refuses the first
		r.Header.Set("Content-Encoding", strings.TrimSpace(encoding))
		w := send(s, r)
		runtime.ReadMemStats(&after)
		if w.Code != 413 && w.Code != 400 {
			t.Errorf("%s: %d", encoding, w.Code)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
			t.Errorf("%s: %d kB became %d MB of allocations", encoding, len(bomb)>>10, n>>20)
		}
	}
}

// TestAnnouncedLengthCostsNothing: memory grows with what has come.
func TestAnnouncedLengthCostsNothing(t *testing.T) {
	s := newTestServer(t, Config{MaxBody: 1 << 30, BodyBudget: 1 << 20}, echoBody())
	r := request("POST", "/echo", "")
	r.ContentLength = 1 << 30
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if w := send(s, r); w.Code != 400 || !strings.Contains(w.Body.String(), "ended early") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestBodyBudget(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	hold := echoBody()
	hold.Path = "/hold"
	hold.Handle = func(c *Call) error {
		if _, err := c.Body(); err != nil {
			return err
		}
		close(begun)
		<-release
		return c.NoContent()
	}
	panics := echoBody()
	panics.Path = "/panic"
	panics.Handle = func(c *Call) error {
		if _, err := c.Body(); err != nil {
			return err
		}
		panic("a defect")
	}
	s := newTestServer(t, Config{BodyBudget: 100_000}, echoBody(), hold, panics)
	if w := ask(s, "POST", "/panic", strings.Repeat("x", 90_000)); w.Code != 500 {
		t.Fatalf("panic: %d", w.Code)
	}
	done := make(chan int)
	go func() { done <- ask(s, "POST", "/hold", strings.Repeat("x", 60_000)).Code }()
	<-begun
	w := ask(s, "POST", "/echo", strings.Repeat("x", 60_000))
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "request.buffer.bytes") {
		t.Errorf("over the budget: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(s, "POST", "/echo", strings.Repeat("x", 30_000)); w.Code != 200 {
		t.Errorf("what there is room for: %d", w.Code)
	}
	close(release)
	if code := <-done; code != 204 {
		t.Errorf("the first: %d", code)
	}
	if w := ask(s, "POST", "/echo", strings.Repeat("x", 60_000)); w.Code != 200 || s.bodies.used.Load() != 0 {
		t.Errorf("afterwards: %d, %d bytes used", w.Code, s.bodies.used.Load())
	}
}

func TestBodyOverAConnection(t *testing.T) {
	s := newTestServer(t, Config{MaxBody: 100, BodyTimeout: 300 * time.Millisecond, BodyMinRate: 1000}, echoBody(), text("GET", "/a", "a"))
	l := listen(t, s, 0, nil)
	post := func(headers, rest string) string { return "POST /echo HTTP/1.1\nHost: x\n" + headers + "\n\n" + rest }

	t.Run("kept alive", func(t *testing.T) {
		c := dial(t, l)
		for _, body := range []string{"abc", "", "defg"} {
			c.write(t, post("Content-Length: "+strconv.Itoa(len(body)), body))
			if resp, got := c.reply(t); resp.StatusCode != 200 || got != body {
				t.Errorf("%d %q, want %q", resp.StatusCode, got, body)
			}
		}
		time.Sleep(400 * time.Millisecond) // longer than a body may take: the deadline must be off
		c.write(t, post("Transfer-Encoding: chunked", "2\nab\n1\nc\n0\n\n"))
		if resp, got := c.reply(t); resp.StatusCode != 200 || got != "abc" {
			t.Errorf("chunked: %d %q", resp.StatusCode, got)
		}
	})
	for _, test := range []struct {
		name, sent string
		status     int
	}{
		{"slow", post("Content-Length: 10", "abc"), 408},
		{"slow chunks", post("Transfer-Encoding: chunked", "2\nab\n"), 408},
		{"slow gzip", post("Content-Length: 50\nContent-Encoding: gzip", gzipped(t, "abc")[:12]), 408},
		{"damaged chunks", post("Transfer-Encoding: chunked", "zz\nab\n"), 400},
		{"too large", post("Content-Length: 101", ""), 413},
		{"too large in chunks", post("Transfer-Encoding: chunked", "65\n"+strings.Repeat("x", 101)+"\n0\n\n"), 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, l)
			begin := time.Now()
			c.write(t, test.sent)
			resp, body := c.reply(t)
			if took := time.Since(begin); resp.StatusCode != test.status || took > 3*time.Second {
				t.Errorf("%d %s after %v, want %d", resp.StatusCode, body, took, test.status)
			}
			if !c.gone() {
				t.Error("the connection stays open")
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		c := dial(t, l)
		c.write(t, post("Content-Length: 10", "abc"))
		if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if resp, body := c.reply(t); resp.StatusCode != 400 || !strings.Contains(body, "ended early") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	})
	t.Run("a body that nobody asked for", func(t *testing.T) {
		c := dial(t, l)
		c.write(t, "GET /a HTTP/1.1\nHost: x\nContent-Length: 3\n\nabcGET /a HTTP/1.1\nHost: x\n\n")
		for range 2 {
			if resp, body := c.reply(t); resp.StatusCode != 200 || body != "a" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
		}
	})
}

// TestSlowButSteady: bytes earn time.
func TestSlowButSteady(t *testing.T) {
	s := newTestServer(t, Config{BodyTimeout: 200 * time.Millisecond, BodyMinRate: 10}, echoBody())
	c := dial(t, listen(t, s, 0, nil))
	c.write(t, "POST /echo HTTP/1.1\nHost: x\nContent-Length: 8\n\n")
	for range 8 { // 20 bytes a second
		c.write(t, "x")
		time.Sleep(50 * time.Millisecond)
	}
	if resp, body := c.reply(t); resp.StatusCode != 200 || body != "xxxxxxxx" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestBodyErrorKeepsWhatIsKnown(t *testing.T) {
	known := kafkarest.Errorf(kafkarest.CodeTooManyRequests, "known")
	if got := compressedError(bodyError(known)); !errors.Is(got, known) {
		t.Errorf("%v", got)
	}
}

// TestZstdWindowCounts: a dozen bytes make a decoder keep 8 MiB, which the budget must know; frames that follow cannot ask for more.
func TestZstdWindowCounts(t *testing.T) {
	const windowed = "\x28\xb5\x2f\xfd\x00\x68" + "\x09\x00\x00x" // 8 MiB of window, a last block of one byte
	small := zstded(t, "abc")
	for _, test := range []struct {
		body   string
		budget int64
		status int
	}{
		{windowed, 9 << 20, 200},
		{windowed, 7 << 20, 429},
		{small, 3 << 20, 200},
		{small + windowed, 64 << 20, 400},
	} {
		s := newTestServer(t, Config{BodyBudget: test.budget}, echoBody())
		for range 3 { // what was taken is given back
			if w := ask(s, "POST", "/echo", test.body, "Content-Encoding: zstd"); w.Code != test.status || s.bodies.used.Load() != 0 {
				t.Errorf("%d bytes, budget %d MiB: %d %s, want %d; %d used", len(test.body), test.budget>>20, w.Code, w.Body, test.status, s.bodies.used.Load())
			}
		}
	}
}
