package tests

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// TestMessagesQueueKilled is the small form of what tests/faults does with 100,000 records: the proxy dies by kill -9 in the middle.
func TestMessagesQueueKilled(t *testing.T) {
	const kills = 3
	b := harness.FakeBroker(t, 1)
	run := &harness.QueueRun{T: t, Broker: b, Topic: harness.CreateTopic(t, b, 3), Consumer: "workers", Partitions: 3, Records: 3000, Workers: 6}
	run.Store()
	var process atomic.Pointer[harness.Process]
	start := func() {
		process.Store(harness.StartProcess(t, b, map[string]string{"messages.queue.session.timeout.ms": "1000"}))
	}
	start()
	run.URL = func(int) string { return process.Load().URL }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for k := 1; k <= kills && ctx.Err() == nil; {
			if run.Done() < k*run.Records/(kills+1) {
				time.Sleep(5 * time.Millisecond)
				continue
			}
			process.Load().Kill()
			start()
			k++
		}
	}()
	run.Work(ctx)
	<-killed
	if err := run.Judge(); err != nil {
		t.Error(err)
	}
	for p := range int32(3) {
		if at := harness.Committed(t, b, "workers", run.Topic, p); at != 1000 {
			t.Errorf("partition %d is committed up to %d of 1000", p, at)
		}
	}
}
