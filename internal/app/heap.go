package app

import (
	"os"
	"sync"
)

// heapFloor is memory that is never touched: it takes no room, and counts for the garbage collector, which so begins a collection at about
// twice its size instead of at 4 MB. The live heap of a proxy is a few megabytes, and collecting it hundreds of times a second under load
// costs more than the requests do. An operator's GOGC says otherwise.
var heapFloor = sync.OnceValue(func() []byte {
	const size = 16 << 20
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, size)
})
