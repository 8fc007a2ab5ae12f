package task

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whoever has an id can ask any node for it at once, also for that of the first task there ever was, before which the topic was not there.
func TestAnotherNodeKnowsAtOnce(t *testing.T) {
	cluster, _ := onBroker(t)
	s, other := open(t, cluster, Config{Node: "n"}), open(t, cluster, Config{Node: "other"})
	if _, err := other.Get(t.Context(), newID("n"), ""); codeOf(err) != kafkarest.CodeTaskNotFound {
		t.Fatal(err)
	}
	for i := range 50 {
		id := begin(t, s, Beginning{Async: true})
		if _, err := other.Get(t.Context(), id, ""); err != nil {
			t.Fatalf("task %d: %v", i, err)
		}
	}
}

// Ids that never were cost little, and their answer comes soon even when the broker has none.
func TestIdsThatNeverWere(t *testing.T) {
	cluster, b := brokerFor(t)
	s := open(t, cluster, Config{Node: "n"})
	begin(t, s, Beginning{})
	var asked atomic.Int64
	answer := make(chan struct{})
	b.Cluster().ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		asked.Add(1)
		b.Cluster().SleepControl(func() { <-answer })
		return nil, nil, false
	})
	begun := time.Now()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), newID("another"), ""); codeOf(err) != kafkarest.CodeTaskNotFound {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took > 5*time.Second || asked.Load() > 20 {
		t.Errorf("%v, and %d requests to the broker", took, asked.Load())
	}
	close(answer)
	asked.Store(0)
	for range 200 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), newID("another"), ""); codeOf(err) != kafkarest.CodeTaskNotFound {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if asked.Load() > 150 {
		t.Errorf("%d requests to the broker for 200 ids", asked.Load())
	}
}
