package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// headroom is by how much the heap grows between two collections. By Go's own rule, once more what is alive, the collector runs at 4 MB,
// hundreds of times a second under load, which costs more than the requests do, since what is alive in a proxy is little. And it lets bodies
// and fetched records double however many they are, although what has no pointers costs a collection nothing: from plenty on only what must be
// scanned counts. An operator's GOGC says otherwise.
func headroom(live, scanned uint64) uint64 {
	const least, more, plenty = 20 << 20, 16 << 20, 40 << 20
	onceMore := func(n uint64) uint64 { return n + min(n, more) }
	return max(least, min(onceMore(live), plenty), onceMore(scanned), live/4)
}

// gcPercent is the GOGC that gives the headroom: of what is alive and of what the collector scans beside it.
func gcPercent(live, scanned, roots uint64) int {
	return int(headroom(live, scanned) * 100 / max(live+roots, 1<<20))
}

// tuneHeap sets the collector's pace from now on.
var tuneHeap = sync.OnceFunc(func() {
	if !gcIsSet() {
		(&pacer{}).collected(0)
	}
})

func gcIsSet() bool { return os.Getenv("GOGC") != "" }

// pacer is told of each collection: by the end of an object to which nothing refers.
type pacer struct{ percent int }

type unreachable struct{ _ [32]byte } // large enough to have memory of its own

func (p *pacer) collected(int) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	live := samples[0].Value.Uint64()
	if live == 0 { // there was no collection yet
		live = 4 << 20
	}
	percent := gcPercent(live, min(live, samples[1].Value.Uint64()), samples[2].Value.Uint64()+samples[3].Value.Uint64())
	if off := percent - p.percent; off*10 > p.percent || -off*10 > p.percent { // it stops the world for a moment
		debug.SetGCPercent(percent)
		p.percent = percent
	}
	runtime.AddCleanup(new(unreachable), p.collected, 0)
}

// Memory is given back to the operating system when no more than a little was allocated between two looks, and more since the last time.
const (
	lookEvery = 10 * time.Second
	little    = 4 << 20
)

// returnMemory gives back what a load has left behind, once it is over, until ctx ends. The runtime by itself keeps what it would need for
// the next load.
func returnMemory(ctx context.Context) {
	if gcIsSet() {
		return
	}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var seen, returned uint64 // bytes ever allocated: at the last look, and when memory was last returned
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		allocated := samples[0].Value.Uint64()
		if allocated-seen <= little && allocated-returned > little {
			debug.FreeOSMemory()
			returned = allocated
		}
		seen = allocated
	}
}
