package app

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, scanned, roots uint64
		want                 int
	}{
		{4 * mib, 4 * mib, 0, 500},
		{8 * mib, 8 * mib, 0, 250},
		{12 * mib, 12 * mib, 0, 200},
		{20 * mib, 20 * mib, 0, 180},
		{20 * mib, 20 * mib, 20 * mib, 90},
		{40 * mib, 40 * mib, 0, 140},
		{400 * mib, 400 * mib, 0, 104},
		{20 * mib, 2 * mib, 0, 180},
		{80 * mib, 8 * mib, 0, 50}, // bodies and fetched records have no pointers
		{400 * mib, 40 * mib, 0, 25},
		{0, 0, 0, 2000},
	} {
		if got := gcPercent(c.live, c.scanned, c.roots); got != c.want {
			t.Errorf("%d MiB alive, %d of them to scan, %d MiB of roots: %d", c.live/mib, c.scanned/mib, c.roots/mib, got)
		}
	}
}

// TestReturnMemory: what a load has left behind goes back to the operating system once it is over, not while it lasts.
func TestReturnMemory(t *testing.T) {
	t.Setenv("GOGC", "")
	released := func() uint64 {
		samples := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64()
	}
	const load = 64 << 20
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			returnMemory(ctx)
		}()
		leaveBehind(load)
		before := released()
		time.Sleep(lookEvery + time.Second)
		during := released()
		time.Sleep(lookEvery)
		after := released()
		cancel()
		<-done
		if during > before+load/2 || after < before+load/2 {
			t.Errorf("%d MiB were with the operating system, then %d, and %d in the end", before>>20, during>>20, after>>20)
		}
	})
}

// leaveBehind writes to n bytes of memory that nobody has then.
func leaveBehind(n int) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	written.Add(int64(b[n-1]))
}

var written atomic.Int64 // so that the writes are not for nothing
