package consume

import (
	"context"
	"slices"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTailOfTopicMadeAnew has a topic deleted and made anew while a tail waits at its end: the tail ends with an error, whether the new log is
// shorter or longer than the old one, and those that begin then follow the new one.
func TestTailOfTopicMadeAnew(t *testing.T) {
	for name, records := range map[string]int{"shorter": 1, "longer": 30} {
		t.Run(name, func(t *testing.T) {
			b := newReaderBench(t)
			topic := b.topic(1)
			b.store(topic, 1, 0, 10)
			r := b.reader(ReaderConfig{})
			tail, err := r.Tail(b.start(r, topic, nil, From{Last: 1}))
			if err != nil {
				t.Fatal(err)
			}
			defer tail.Close()
			b.next(tail, "9")
			b.rest(tail)
			if _, err := kadm.NewClient(b.client).DeleteTopic(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			b.create(topic)
			b.client.PurgeTopicsFromClient(topic)
			b.store(topic, 1, 100, 100+records)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if batch, err := tail.Next(ctx, Limits{Records: 10, Bytes: 1 << 20}); err == nil || kafkarest.AsError(err).Code != kafkarest.CodeCursorGone {
				t.Fatalf("the tail of the old topic: %v, %v", batch, err)
			}
			young, err := r.Tail(b.start(r, topic, nil, From{}))
			if err != nil {
				t.Fatal(err)
			}
			defer young.Close()
			b.rest(young)
			b.store(topic, 1, 200, 201)
			b.next(young, "200")
			if waiting(r, topic, 0) != 1 {
				t.Error("the new topic is not followed by the hub")
			}
		})
	}
}

// TestHubForgets has the hub's client tell that its place is gone although the topic is the same: tails look for themselves, and go on.
func TestHubForgets(t *testing.T) {
	for name, told := range map[string]kgo.FetchPartition{
		"unknown id": {Err: kerr.UnknownTopicID},
		"gone back":  {Records: []*kgo.Record{{Offset: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newReaderBench(t)
			topic := b.topic(1)
			b.store(topic, 1, 0, 10)
			r := b.reader(ReaderConfig{})
			tail, err := r.Tail(b.start(r, topic, nil, From{}))
			if err != nil {
				t.Fatal(err)
			}
			defer tail.Close()
			b.rest(tail)
			followed := tail.hub
			r.hub.polled(topic, followed, &told, ringMost)
			b.store(topic, 1, 10, 11)
			b.next(tail, "10")
			b.rest(tail) // so that it has followed again
			until(t, "the topic is followed afresh", func() bool { return tail.hub != followed && waiting(r, topic, 0) == 1 })
			b.store(topic, 1, 11, 12)
			b.next(tail, "11")
		})
	}
}

// next has a tail bring one record.
func (b *readerBench) next(tail *Tail, want string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	batch, err := tail.Next(ctx, Limits{Records: 10, Bytes: 1 << 20})
	if err != nil || !slices.Equal(values(batch.Records), []string{want}) {
		b.t.Fatalf("%v, %v; want %s", batch, err, want)
	}
}

// rest has a tail find nothing, after which the hub follows for it.
func (b *readerBench) rest(tail *Tail) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); tail.hub == nil; {
		ctx, cancel := context.WithTimeout(b.t.Context(), 100*time.Millisecond)
		batch, err := tail.Next(ctx, Limits{Records: 10, Bytes: 1 << 20})
		cancel()
		if err == nil || time.Now().After(deadline) {
			b.t.Fatalf("a tail at the end: %v, %v", batch, err)
		}
	}
}
