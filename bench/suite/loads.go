package suite

import (
	"context"
	"fmt"
	"time"

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
		newPair(12_000),
		&streamLoad{records: 1_000_000},
		orders("JSON", load.TypeJSON, false), orders("Avro", load.TypeAvro, true),
		&consumeLoad{records: 200_000},
		&consumeLoad{what: "250 B JSON of 10 fields", records: 200_000, kind: kind{format: "json", media: load.TypeJSON, batch: 4000}, values: jsonOrders},
		&consumeLoad{
			what: "250 B Avro of 10 fields", records: 200_000, values: avroOrders,
			kind: kind{format: "avro", media: load.TypeAvro, schema: load.OrderSchema, batch: 4000},
		},
		&tailsLoad{tails: 1000, pace: 100, during: 10 * time.Second},
		&queueLoad{workers: 16, messages: 10_000},
		&tasksLoad{tasks: 100_000},
		&idleLoad{instances: 200},
		&manyLoad{instances: 1000},
		&disturbLoad{name: "produce beside 32 idle long-polls", disturb: longPolls},
		&disturbLoad{name: "produce beside 4 clients of a missing topic", disturb: missingTopic},
	}
}

// orders are the same records as JSON and as Avro.
func orders(format, media string, schema bool) Load {
	return &produceLoad{
		name: "produce 100 × 250 B " + format + " of 10 fields, 8 connections", media: media,
		body: load.ProduceOrders(100, schema), records: 100, conns: 8, requests: 1500,
	}
}

func jsonOrders(context.Context, *Suite, string) (func(i int) ([]byte, error), error) {
	return func(i int) ([]byte, error) { return []byte(load.Order(i)), nil }, nil
}

func avroOrders(ctx context.Context, s *Suite, topic string) (func(i int) ([]byte, error), error) {
	return s.registry.orders(ctx, topic+"-value")
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
