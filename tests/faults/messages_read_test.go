package faults

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/internal/testkafka"
	"kafkarest/tests/harness"
)

// messagesQueue has a dead proxy leave the groups of its queues soon.
var messagesQueue = map[string]string{"messages.queue.session.timeout.ms": "3000"}

// newQueueRun is what both tests of queues have in common.
func newQueueRun(t *testing.T, b harness.Broker, partitions, records, workers int) *harness.QueueRun {
	t.Helper()
	run := &harness.QueueRun{T: t, Broker: b, Topic: harness.CreateTopic(t, b, partitions), Consumer: harness.FreshName("workers"),
		Partitions: partitions, Records: records, Workers: workers}
	run.Store()
	return run
}

func judgeQueue(t *testing.T, b harness.Broker, run *harness.QueueRun) {
	t.Helper()
	if err := run.Judge(); err != nil {
		t.Error(err)
	}
	for p := range run.Partitions {
		if at := harness.Committed(t, b, run.Consumer, run.Topic, int32(p)); at != int64(run.Records/run.Partitions) {
			t.Errorf("partition %d is committed up to %d of %d", p, at, run.Records/run.Partitions)
		}
	}
}

// TestMessagesQueueKilledOnBrokers: 100,000 records acknowledged out of order by 20 workers while the proxy is killed (-9) ten times and one
// broker twice. The window of a queue is no wider than the metadata of a commit, so nothing that was acknowledged may come again.
func TestMessagesQueueKilledOnBrokers(t *testing.T) {
	const kills = 10
	cluster, b := threeBrokers(t)
	run := newQueueRun(t, b, 10, 100_000, 20)
	var process atomic.Pointer[harness.Process]
	process.Store(harness.StartProcess(t, b, messagesQueue))
	run.URL = func(int) string { return process.Load().URL }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run.Work(ctx)
	}()
	for k := 1; k <= kills; k++ {
		await(ctx, func() bool { return run.Done() >= k*run.Records/(kills+1) })
		process.Load().Kill()
		process.Store(harness.StartProcess(t, b, messagesQueue))
		if k%4 == 0 {
			bounce(t, cluster.Nodes()[1])
		}
	}
	<-done
	judgeQueue(t, b, run)
}

// bounce kills a broker and starts it again.
func bounce(t *testing.T, n *testkafka.Node) {
	t.Helper()
	if err := n.Kill(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := n.Restart(ctx); err != nil {
		t.Error(err)
	}
}

func await(ctx context.Context, condition func() bool) {
	for ctx.Err() == nil && !condition() {
		sleep(ctx, 20*time.Millisecond)
	}
}

// TestMessagesQueueRebalances: the same while a second proxy joins and leaves, in order and by kill -9. Acknowledgements go to the proxy that
// handed the record out.
func TestMessagesQueueRebalances(t *testing.T) {
	const rounds = 8
	_, b := threeBrokers(t)
	run := newQueueRun(t, b, 10, 40_000, 20)
	first := harness.StartProcess(t, b, messagesQueue)
	var second atomic.Pointer[harness.Process]
	second.Store(harness.StartProcess(t, b, messagesQueue))
	run.URL = func(worker int) string {
		if worker%2 == 0 {
			return first.URL
		}
		return second.Load().URL
	}
	workWhileSecondGoes(t, b, run, &second, rounds)
}

// TestMessagesQueueForwarded: the same, and nobody knows which proxy has what: each request goes to the next one, as behind a load balancer.
func TestMessagesQueueForwarded(t *testing.T) {
	const rounds = 6
	_, b := threeBrokers(t)
	run := newQueueRun(t, b, 10, 40_000, 20)
	first := harness.StartProcess(t, b, messagesQueue)
	var second atomic.Pointer[harness.Process]
	second.Store(harness.StartProcess(t, b, messagesQueue))
	var turn atomic.Int64
	run.URL = func(int) string {
		if turn.Add(1)%2 == 0 {
			return first.URL
		}
		return second.Load().URL
	}
	workWhileSecondGoes(t, b, run, &second, rounds)
}

// workWhileSecondGoes has a second proxy leave and come again so many times, killed and ended by turns, while the workers work; then it judges.
func workWhileSecondGoes(t *testing.T, b harness.Broker, run *harness.QueueRun, second *atomic.Pointer[harness.Process], rounds int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run.Work(ctx)
	}()
	for k := 1; k <= rounds; k++ {
		await(ctx, func() bool { return run.Done() >= k*run.Records/(rounds+1) })
		if k%2 == 0 {
			second.Load().Kill()
		} else {
			end(t, second.Load())
		}
		second.Store(harness.StartProcess(t, b, messagesQueue))
	}
	<-done
	judgeQueue(t, b, run)
}
