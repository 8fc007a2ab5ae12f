package httpapi

import (
	"context"
	"net"
	"sync"
	"time"

	"kafkarest"

	"golang.org/x/time/rate"
)

// DoSFilter bounds requests a second as Jetty's filter of that name does. Zero rates switch a limit off.
type DoSFilter struct {
	Global    float64       // requests a second for the whole proxy
	PerClient float64       // requests a second for each client address
	Delay     time.Duration // a request above a limit is held for so long and then served; less than 0 refuses it
}

// Permits bounds what requests cost a second. A zero rate switches it off.
type Permits struct {
	PerSecond float64
	Wait      time.Duration  // how long a request may wait for its permits
	Cost      int            // of a request
	Costs     map[string]int // of the endpoints with these names, or "class.*"
}

// limiter applies both. Client addresses are forgotten in generations, so that memory follows the clients of the last minutes.
type limiter struct {
	dos     DoSFilter
	permits Permits
	global  *rate.Limiter // nil without a global limit
	budget  *rate.Limiter // nil without permits

	mu       sync.Mutex
	young    map[string]*rate.Limiter
	old      map[string]*rate.Limiter
	lastTurn time.Time
}

func newLimiter(dos DoSFilter, permits Permits) *limiter {
	l := &limiter{dos: dos, permits: permits, young: map[string]*rate.Limiter{}, lastTurn: time.Now()}
	if dos.Global > 0 {
		l.global = newBucket(dos.Global)
	}
	if permits.PerSecond > 0 {
		l.budget = newBucket(permits.PerSecond)
	}
	return l
}

func newBucket(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}

func errTooMany() error {
	return &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, Message: "Too many requests: a rate limit of this proxy is used up.", RetryAfter: time.Second}
}

// admit lets a request pass, holds it, or refuses it with 429, before it is known what it asks for.
func (l *limiter) admit(c *Call) error {
	if l.global == nil && l.dos.PerClient <= 0 {
		return nil
	}
	// A client's own limit comes first: what it refuses must not use up what all others share.
	if (l.dos.PerClient <= 0 || l.client(c.R.RemoteAddr).Allow()) && (l.global == nil || l.global.Allow()) {
		return nil
	}
	if l.dos.Delay < 0 {
		c.Header().Set("DoSFilter", "unavailable")
		return errTooMany()
	}
	return hold(c.R.Context(), l.dos.Delay)
}

// spend takes the permits that an endpoint costs.
func (l *limiter) spend(c *Call) error {
	if l.budget == nil {
		return nil
	}
	cost, closest := l.permits.Cost, ""
	for name, n := range l.permits.Costs {
		if nameMatches(name, c.Endpoint.Name) && (len(name) > len(closest) || name == c.Endpoint.Name) {
			cost, closest = n, name // a longer class is a closer one
		}
		if closest == c.Endpoint.Name {
			break
		}
	}
	reservation := l.budget.ReserveN(time.Now(), cost)
	if delay := reservation.Delay(); !reservation.OK() || delay > l.permits.Wait {
		reservation.Cancel()
		return errTooMany()
	} else if delay > 0 {
		return hold(c.R.Context(), delay)
	}
	return nil
}

func hold(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errTooMany()
	}
}

func (l *limiter) client(remote string) *rate.Limiter {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.lastTurn) > time.Minute || len(l.young) > 100_000 {
		l.old, l.young, l.lastTurn = l.young, map[string]*rate.Limiter{}, now
	}
	limit := l.young[host]
	if limit == nil {
		if limit = l.old[host]; limit == nil {
			limit = newBucket(l.dos.PerClient)
		}
		l.young[host] = limit
	}
	return limit
}
