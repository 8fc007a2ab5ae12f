package task

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"
)

// Callbacks says how the ends of tasks are reported. The zero value reports none.
type Callbacks struct {
	AllowHosts   []string // hosts, *.hosts or *, with :port or :* behind; empty switches callbacks off
	AllowPrivate bool     // also to addresses that are not public, and over plain http: for networks of one's own
	Secrets      []Secret // each signs: two while a key is being changed; at least one when callbacks are on
	Group        string   // of the nodes that share the sending; "" is _kafka_rest_callbacks
	Retries      []time.Duration
	Resolver     *net.Resolver // nil is the system's
	Timeout      time.Duration // of one attempt; 0 is 15 s
	Log          func(id, outcome string)
}

// defaultRetries are the pauses after the first attempt, the second and so on: some three days in all, as Standard Webhooks has them.
var defaultRetries = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// callback is what is kept of a task's callback. Store.mu guards it.
type callback struct {
	url      string
	host     unique.Handle[string] // of the url: very many may go to the same
	state    CallbackState
	count    int32
	busy     bool
	next     int64 // Unix milliseconds of the next attempt
	attempts []Attempt
	queued   int64 // when the outbox is to take it up, by Store.clock; 0 when it is not in there
	written  int64 // offset of the last record that this process has written for the task
}

const attemptsKept = 10

func newCallback(url string, state CallbackState) *callback {
	return &callback{url: url, host: hostOf(url), state: state}
}

// hostOf is the host and port of a URL.
func hostOf(raw string) unique.Handle[string] {
	u, err := url.Parse(raw)
	if err != nil {
		return unique.Make("")
	}
	return unique.Make(strings.ToLower(u.Host))
}

func (c *callback) snapshot() *Callback {
	out := &Callback{URL: c.url, State: c.state, Count: int(c.count), Attempts: c.attempts}
	if c.state == CallbackWaiting && c.next > 0 {
		out.Next = time.UnixMilli(c.next)
	}
	return out
}

// tried gives the callback after an attempt.
func (c *callback) tried(a Attempt, retries []time.Duration, after time.Duration, random func() float64) *callback {
	out := &callback{url: c.url, host: c.host, state: CallbackWaiting, count: c.count + 1, written: c.written, attempts: append(slices.Clip(c.attempts), a)}
	if n := len(out.attempts); n > attemptsKept {
		out.attempts = out.attempts[n-attemptsKept:]
	}
	switch {
	case a.Status >= 200 && a.Status <= 299:
		out.state = CallbackDelivered
	case a.Status == http.StatusGone || int(out.count) > len(retries):
		out.state = CallbackGivenUp
	default:
		out.next = a.At.Add(pause(retries[out.count-1], after, random)).UnixMilli()
	}
	return out
}

// pause is the time until the next attempt: the schedule's with a fifth of jitter to either side, so that what failed together does not come
// back together; or longer when the receiver asks for it, a day at the most.
func pause(scheduled, retryAfter time.Duration, random func() float64) time.Duration {
	jittered := time.Duration(float64(scheduled) * (0.8 + 0.4*random()))
	return max(jittered, min(retryAfter, 24*time.Hour))
}

// sender posts callbacks.
type sender struct {
	client  *http.Client
	guard   guard
	secrets []Secret
	now     func() time.Time
	random  func() float64
}

const (
	answerLimit = 64 << 10
	userAgent   = "kafka-rest-callback"
)

func newSender(cfg Callbacks, g guard, now func() time.Time) *sender {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: g.control, Resolver: cfg.Resolver, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                  nil, // none from the environment: it would be dialled in the place of the host that was checked
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: answerLimit,
		MaxIdleConnsPerHost:    perHost,
		MaxIdleConns:           64,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
	}
	return &sender{guard: g, secrets: cfg.Secrets, now: now, random: rand.Float64, client: &http.Client{
		Transport: transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// attempt posts a task once.
func (s *sender) attempt(ctx context.Context, t *Task) (a Attempt, retryAfter time.Duration) {
	a.At = s.now()
	if err := s.guard.check(t.Callback.URL); err != nil {
		a.Error = "not allowed"
		return a, 0
	}
	shown := *t
	shown.Callback = nil
	body := shown.AppendJSON(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Callback.URL, bytes.NewReader(body))
	if err != nil {
		a.Error = "no request can be made"
		return a, 0
	}
	id := t.ID.String()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(a.At.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature(s.secrets, id, a.At, body))
	resp, err := s.client.Do(req)
	if err != nil {
		a.Error = reason(err)
		return a, 0
	}
	defer resp.Body.Close()
	a.Status = resp.StatusCode
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerLimit)) // so that the connection can be used again; what it says is nobody's business
	return a, parseRetryAfter(resp.Header.Get("Retry-After"), a.At)
}

// reason is what a client may know of why an attempt failed: not which ports of whose hosts answer.
func reason(err error) string {
	var urlErr *url.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, errNotPublic):
		return "not allowed"
	case errors.As(err, &urlErr) && urlErr.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host's name cannot be resolved"
	}
	return "no connection"
}

// parseRetryAfter reads seconds or a date (RFC 9110 §10.2.3); 0 for none.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
