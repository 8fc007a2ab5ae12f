package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxReply bounds a reply's body. No case expects more than a few KiB.
const maxReply = 64 << 20

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte // decompressed
	took   time.Duration
}

// newClient makes a client that adds nothing to a request that HTTP does not require.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true}}
}

// send sends a step's request and reads the whole reply.
func send(ctx context.Context, client *http.Client, base *url.URL, s *Step, vars variables) (*reply, error) {
	req, err := newRequest(ctx, base, s, vars)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok { // its own text names a URL that is not the case's
			err = inner.Err
		}
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("reading the reply (status %d, so far %q): %w", res.StatusCode, cut(string(body)), err)
	}
	r := &reply{status: res.StatusCode, header: res.Header, body: body, took: time.Since(start)}
	return r, r.decompress()
}

// decompress is for replies to a step that asks for compression itself.
func (r *reply) decompress() error {
	if len(r.body) == 0 || !strings.EqualFold(r.header.Get("Content-Encoding"), "gzip") {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("Content-Encoding is gzip: %w", err)
	}
	r.body, err = io.ReadAll(io.LimitReader(z, maxReply))
	return err
}

func newRequest(ctx context.Context, base *url.URL, s *Step, vars variables) (*http.Request, error) {
	target, err := vars.expand(s.Path)
	if err != nil {
		return nil, err
	}
	body, err := s.body(vars)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, s.Method, base.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if req.URL, err = targetURL(base, target); err != nil {
		return nil, err
	}
	req.Header["User-Agent"] = []string{""} // the client sends none if it is set and empty
	for name, value := range s.Headers {
		if value, err = vars.expand(value); err != nil {
			return nil, err
		}
		if strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header[http.CanonicalHeaderKey(name)] = []string{value}
		}
	}
	return req, nil
}

// targetURL makes a URL whose request target is exactly target. An opaque URL is sent as it is written, except that net/http reads
// one that begins with two slashes as an authority; a path may begin so.
func targetURL(base *url.URL, target string) (*url.URL, error) {
	u := &url.URL{Scheme: base.Scheme, Host: base.Host}
	if !strings.HasPrefix(target, "//") {
		u.Opaque = target
		return u, nil
	}
	path, query, hasQuery := strings.Cut(target, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = plain, path, query, hasQuery && query == ""
	if got := u.RequestURI(); got != target {
		return nil, fmt.Errorf("the path %s cannot be sent as it is, it would become %s", target, got)
	}
	return u, nil
}

// body is the request's body, nil for none.
func (s *Step) body(vars variables) ([]byte, error) {
	switch {
	case s.BodyBase64 != "":
		return base64.StdEncoding.DecodeString(s.BodyBase64)
	case s.BodyRepeat != nil:
		r := s.BodyRepeat
		return []byte(r.Prefix + strings.Repeat(r.Unit, r.Count) + r.Suffix), nil
	case s.Body == nil:
		return nil, nil
	}
	var text string
	if json.Unmarshal(s.Body, &text) == nil && s.Body[0] == '"' {
		text, err := vars.expand(text)
		return []byte(text), err
	}
	text, err := vars.expandJSON(string(s.Body))
	return []byte(text), err
}
