package suite

import (
	"fmt"

	"kafkarest/bench/load"
)

// Loads are all loads, in the order of the table.
func Loads() []Load {
	return []Load{
		startLoad{},
		single(1, 10_000), single(32, 30_000), single(1000, 30_000),
		&produceLoad{
			name: "produce 100 × 100 B JSON, 8 connections", media: load.TypeJSON,
			body: load.ProduceJSON(100, 100), records: 100, conns: 8, requests: 3000,
		},
		&produceLoad{
			name: "produce 100 × 1 KiB binary, 8 connections", media: load.TypeBinary,
			body: load.ProduceBinary(100, 1024), records: 100, conns: 8, requests: 1000,
		},
		&consumeLoad{records: 200_000},
		&idleLoad{instances: 200},
		&manyLoad{instances: 1000},
		&disturbLoad{name: "produce beside 32 idle long-polls", disturb: longPolls},
		&disturbLoad{name: "produce beside 4 clients of a missing topic", disturb: missingTopic},
	}
}

func single(conns, requests int) Load {
	plural := "s"
	if conns == 1 {
		plural = ""
	}
	return &produceLoad{
		name:  fmt.Sprintf("produce 1 × 100 B JSON, %s connection%s", thousands(conns), plural),
		media: load.TypeJSON, body: load.ProduceJSON(1, 100), records: 1, conns: conns, requests: requests,
	}
}
