package tests

import (
	"fmt"
	"sync"
	"testing"

	"kafkarest/tests/harness"
)

// The first read of an instance brings what all of its partitions have, although they are not fetched by one and the same request when the
// first of them is ready before the others.
func TestFirstReadHasAllPartitions(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		const instances, partitions = 24, 3
		p := startProxy(t, b, nil)
		var wg sync.WaitGroup
		for range instances {
			wg.Go(func() {
				topic := harness.CreateTopic(t, b, partitions)
				for n := range partitions {
					p.Produce(topic, harness.JSON, fmt.Sprintf(`{"records":[{"partition":%d,"value":%d}]}`, n, n))
				}
				i := p.Reader("json", topic)
				if got := p.ReadSome(i, harness.JSON, "?timeout=10000"); len(got) != partitions {
					t.Errorf("%d records of %d partitions: %+v", len(got), partitions, got)
				}
				p.Want(204, "DELETE", i, "")
			})
		}
		wg.Wait()
	})
}
