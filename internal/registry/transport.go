package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxAnswer  = 1 << 20 // bytes of one answer
	maxHeaders = 64 << 10
)

var (
	errAnswerTooLong = errors.New("the registry's answer is longer than 1 MiB")
	errAnswerNotJSON = errors.New("the registry's answer is not JSON")
	errRedirect      = errors.New("the registry answers with a redirect, which is not followed")
)

// transport sends a request to the first registry that answers it. A registry that is down, hangs, fails with a status of 5xx, redirects
// or answers what is no JSON is passed over. The one that answered is asked first the next time.
type transport struct {
	urls  []*url.URL
	auth  func(*http.Request, *url.URL)
	inner *http.Transport
	first atomic.Int64
}

func newTransport(c *Config) (*transport, error) {
	t := &transport{
		auth: func(r *http.Request, u *url.URL) { authenticate(r, u, c) },
		inner: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
			TLSClientConfig:        c.TLS,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    c.Timeout,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxHeaders,
		},
	}
	for _, s := range c.URLs {
		u, err := parseURL(s)
		if err != nil {
			return nil, err
		}
		t.urls = append(t.urls, u)
	}
	return t, nil
}

func authenticate(r *http.Request, u *url.URL, c *Config) {
	switch {
	case u.User != nil:
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
	case c.Username != "":
		r.SetBasicAuth(c.Username, c.Password)
	case c.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
}

// RoundTrip tries each registry once at most. Each gets an equal share of the time that is left, so that one that hangs leaves time for
// the others.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var (
		resp *http.Response
		err  error
	)
	first := int(t.first.Load())
	for i := range t.urls {
		at := (first + i) % len(t.urls)
		resp, err = t.try(r, t.urls[at], len(t.urls)-i)
		if err == nil && resp.StatusCode < http.StatusInternalServerError {
			t.first.Store(int64(at))
			return resp, nil
		}
		if r.Context().Err() != nil {
			break
		}
	}
	return resp, err
}

// try asks one registry and reads its whole answer.
func (t *transport) try(r *http.Request, u *url.URL, left int) (*http.Response, error) {
	ctx := r.Context()
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	out, err := redirectTo(r.Clone(ctx), u)
	if err != nil {
		return nil, err
	}
	t.auth(out, u)
	resp, err := t.inner.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	return readAnswer(resp)
}

// redirectTo points a request to one registry, with a body of its own: another try may have read the first.
func redirectTo(r *http.Request, u *url.URL) (*http.Request, error) {
	escaped := strings.TrimRight(u.EscapedPath(), "/") + r.URL.EscapedPath()
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, fmt.Errorf("path of a registry request: %w", err)
	}
	r.URL.Scheme, r.URL.Host, r.Host = u.Scheme, u.Host, ""
	r.URL.Path, r.URL.RawPath = path, escaped
	if r.GetBody != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("body of a registry request: %w", err)
		}
	}
	return r, nil
}

func readAnswer(resp *http.Response) (*http.Response, error) {
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, errRedirect
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errAnswerTooLong
	}
	if resp.StatusCode < 300 && !json.Valid(body) {
		return nil, errAnswerNotJSON
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}
