package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is one steady load: the same request over a number of connections, each of which sends the next when the last is answered.
type Plan struct {
	Addr     string        // host:port
	Conns    int           // connections at once; 0 means 1
	Request  []byte        // as Request builds it
	Requests [][]byte      // in the place of Request: each in its turn, and again from the first
	Check    Check         // of every reply; nil accepts any
	Limit    time.Duration // of one Run; 0 means a minute. Requests not begun by then are not sent
}

// Outcome is what a Run saw. Sent = OK + Failed; it is less than what was asked for if the limit came first.
type Outcome struct {
	Sent, OK, Failed int
	Took             time.Duration   // from the first request to the last reply
	Latency          []time.Duration // of each request that was OK, in no order
	FirstError       error           // why the first failed request failed
}

// Fleet is a set of open connections. Close it.
type Fleet struct {
	plan  Plan
	conns []*Conn
}

// Open dials every connection of the plan before anything is timed.
func Open(ctx context.Context, plan Plan) (*Fleet, error) {
	if plan.Limit == 0 {
		plan.Limit = time.Minute
	}
	f := &Fleet{plan: plan}
	for range max(1, plan.Conns) {
		conn, err := Dial(ctx, plan.Addr)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.conns = append(f.conns, conn)
	}
	return f, nil
}

// Close closes the connections.
func (f *Fleet) Close() {
	for _, c := range f.conns {
		_ = c.Close() // nothing is owed to a connection whose replies were all read
	}
}

// Run sends n requests over the connections and waits for their replies, no longer than the plan's limit or ctx.
func (f *Fleet) Run(ctx context.Context, n int) Outcome {
	var next atomic.Int64
	start := time.Now()
	deadline := start.Add(f.plan.Limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	parts := make([]Outcome, len(f.conns))
	var all sync.WaitGroup
	for i := range f.conns {
		all.Go(func() {
			parts[i].Latency = make([]time.Duration, 0, n/len(f.conns)+16)
			for k := next.Add(1); k <= int64(n) && ctx.Err() == nil && time.Now().Before(deadline); k = next.Add(1) {
				if !f.one(ctx, i, int(k), deadline, &parts[i]) {
					return
				}
			}
		})
	}
	all.Wait()
	return merge(parts, time.Since(start))
}

// one sends request k on connection i. It reports false if the connection is lost for good.
func (f *Fleet) one(ctx context.Context, i, k int, deadline time.Time, out *Outcome) bool {
	request := f.plan.Request
	if n := len(f.plan.Requests); n > 0 {
		request = f.plan.Requests[k%n]
	}
	start := time.Now()
	status, body, err := f.conns[i].Do(request, deadline)
	took := time.Since(start)
	broken := err != nil
	if err == nil && f.plan.Check != nil {
		err = f.plan.Check(status, body)
	}
	out.Sent++
	if err == nil {
		out.OK++
		out.Latency = append(out.Latency, took)
		return true
	}
	out.Failed++
	if out.FirstError == nil {
		out.FirstError = err
	}
	return !broken || f.redial(ctx, i)
}

func (f *Fleet) redial(ctx context.Context, i int) bool {
	_ = f.conns[i].Close() // it is broken already
	conn, err := Dial(ctx, f.plan.Addr)
	if err != nil {
		return false
	}
	f.conns[i] = conn
	return true
}

func merge(parts []Outcome, took time.Duration) Outcome {
	sum := Outcome{Took: took}
	for _, p := range parts {
		sum.Sent += p.Sent
		sum.OK += p.OK
		sum.Failed += p.Failed
		sum.Latency = append(sum.Latency, p.Latency...)
		if sum.FirstError == nil {
			sum.FirstError = p.FirstError
		}
	}
	return sum
}

// Call dials, sends one request, checks its reply and closes, all within limit. It gives a copy of the body.
func Call(ctx context.Context, addr string, request []byte, check Check, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // the reply was read
	deadline, _ := ctx.Deadline()
	status, body, err := conn.Do(request, deadline)
	if err != nil {
		return nil, err
	}
	if err := check(status, body); err != nil {
		return nil, fmt.Errorf("%s: %w", firstLine(request), err)
	}
	return append([]byte(nil), body...), nil
}

func firstLine(request []byte) []byte {
	for i, b := range request {
		if b == '\r' {
			return request[:i]
		}
	}
	return request
}
