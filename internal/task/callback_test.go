package task

import (
	"net/http"
	"testing"
	"time"
)

func TestRetrySchedule(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	middle := func() float64 { return 0.5 }
	c := &callback{state: CallbackWaiting}
	var total time.Duration
	for n := 0; c.state == CallbackWaiting; n++ {
		if n > len(defaultRetries) {
			t.Fatal("it is never given up")
		}
		c = c.tried(Attempt{At: at, Status: 500}, defaultRetries, 0, middle)
		if c.state == CallbackWaiting {
			got := time.UnixMilli(c.next).Sub(at)
			if got != defaultRetries[n] {
				t.Errorf("pause %d is %v, want %v", n, got, defaultRetries[n])
			}
			total += got
		}
	}
	if c.state != CallbackGivenUp || int(c.count) != len(defaultRetries)+1 || total < 72*time.Hour || total > 96*time.Hour {
		t.Errorf("%s after %d attempts and %v", c.state, c.count, total)
	}
	if len(c.attempts) != attemptsKept {
		t.Errorf("%d attempts are kept", len(c.attempts))
	}
}

func TestJitter(t *testing.T) {
	for _, test := range []struct {
		random     float64
		retryAfter time.Duration
		want       time.Duration
	}{
		{0, 0, 80 * time.Second},
		{1, 0, 120 * time.Second},
		{0.5, 5 * time.Minute, 5 * time.Minute},
		{0.5, time.Second, 100 * time.Second},
		{0.5, 48 * time.Hour, 24 * time.Hour},
	} {
		if got := pause(100*time.Second, test.retryAfter, func() float64 { return test.random }); got.Round(time.Millisecond) != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestEndOfACallback(t *testing.T) {
	for status, want := range map[int]CallbackState{
		200: CallbackDelivered, 204: CallbackDelivered, 299: CallbackDelivered, http.StatusGone: CallbackGivenUp,
		100: CallbackWaiting, 301: CallbackWaiting, 400: CallbackWaiting, 404: CallbackWaiting, 500: CallbackWaiting, 0: CallbackWaiting,
	} {
		if got := (&callback{}).tried(Attempt{Status: status}, defaultRetries, 0, func() float64 { return 0 }).state; got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Thu, 01 Jan 2025 00:01:00 GMT": 0} {
		if got := parseRetryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
