package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStates is what each call answers where it does not fit the instance's state.
func TestStates(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	one := []TopicPartition{{"t", 0}}
	calls := map[string]func(*Instance) error{
		"read": func(i *Instance) error {
			d, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond})
			if err == nil {
				d.Written()
			}
			return err
		},
		"subscribe":      func(i *Instance) error { return i.Subscribe([]string{"t"}) },
		"subscribe none": func(i *Instance) error { return i.Subscribe(nil) },
		"pattern":        func(i *Instance) error { return i.SubscribePattern("t") },
		"assign":         func(i *Instance) error { return i.Assign(one) },
		"unsubscribe":    func(i *Instance) error { return i.Unsubscribe() },
		"seek":           func(i *Instance) error { return i.Seek([]Position{{one[0], 0}}) },
		"seek nothing":   func(i *Instance) error { return i.Seek(nil) },
		"seek to end":    func(i *Instance) error { return i.SeekEnds(t.Context(), one, Latest) },
		"times": func(i *Instance) error {
			_, err := i.PositionsAt(t.Context(), []PositionAt{{one[0], time.Now()}})
			return err
		},
		"commit":         func(i *Instance) error { return i.Commit(t.Context(), []Committed{{one[0], 0, ""}}) },
		"commit nothing": func(i *Instance) error { return i.Commit(t.Context(), nil) },
		"received":       func(i *Instance) error { return i.CommitReceived(t.Context()) },
		"committed":      func(i *Instance) error { _, err := i.Committed(t.Context(), one); return err },
	}
	const illegal, gone = kafkarest.CodeIllegalState, kafkarest.CodeInstanceNotFound
	for _, test := range []struct {
		state string
		make  func(*Instance) error
		codes map[string]kafkarest.Code // 0 where it is not named
	}{
		{"new", func(*Instance) error { return nil }, map[string]kafkarest.Code{"read": illegal, "seek": illegal, "seek to end": illegal, "times": illegal}},
		{"assigned", calls["assign"], map[string]kafkarest.Code{"subscribe": illegal, "pattern": illegal}},
		{"subscribed", calls["subscribe"], map[string]kafkarest.Code{"pattern": illegal, "assign": illegal}},
		{"by pattern", calls["pattern"], map[string]kafkarest.Code{"subscribe": illegal, "assign": illegal}},
		{"unsubscribed", func(i *Instance) error { return errors.Join(i.Assign(one), i.Unsubscribe()) },
			map[string]kafkarest.Code{"read": illegal, "seek": illegal, "seek to end": illegal, "times": illegal}},
		{"closed", func(i *Instance) error { return r.m.Delete(i.Group(), i.Name()) },
			map[string]kafkarest.Code{"read": gone, "subscribe": gone, "subscribe none": gone, "pattern": gone, "assign": gone, "unsubscribe": gone, "seek": gone,
				"seek to end": illegal, "times": illegal, "commit": gone, "commit nothing": gone}},
	} {
		for name, call := range calls {
			if (test.state == "subscribed" || test.state == "by pattern") && (name == "seek" || name == "seek to end" || name == "times") {
				continue // they depend on how far the group is
			}
			i := r.create(t, fmt.Sprintf("%s %s", test.state, name), Options{})
			if err := test.make(i); err != nil {
				t.Fatal(test.state, err)
			}
			if err := call(i); codeOf(err) != test.codes[name] {
				t.Errorf("%s, %s: %v, want %d", test.state, name, err, test.codes[name])
			}
			_ = r.m.Delete(i.Group(), i.Name())
		}
	}
}

// TestOneReaderAtATime: the second is told so at once, and nothing else waits for the first.
func TestOneReaderAtATime(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan []string, 1)
	go func() { ended <- received(t, i, 1) }()
	for !i.reading.Load() {
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	if _, err := i.Read(t.Context(), ReadOptions{Wait: time.Minute}); codeOf(err) != kafkarest.CodeInstanceBusy || kafkarest.AsError(err).RetryAfter == 0 {
		t.Errorf("%v", err)
	}
	if err := errors.Join(i.Commit(t.Context(), []Committed{{TopicPartition{"t", 0}, 0, ""}}), i.Seek([]Position{{TopicPartition{"t", 0}, 0}}), i.CommitReceived(t.Context())); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("they took %v", took)
	}
	r.store(t, "t", 0, "a")
	if got := <-ended; len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestReplyUnderWay: a read that comes while the reply before is still being written waits for it, and gives up after a second.
func TestReplyUnderWay(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a")
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	d, err := i.Read(t.Context(), ReadOptions{Wait: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond}); codeOf(err) != kafkarest.CodeInstanceBusy {
		t.Errorf("%v", err)
	}
	if err := i.CommitReceived(t.Context()); err != nil || r.stored(t, "g", "t", 0) != -1 {
		t.Errorf("a commit proves what is still being written: %v", err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		d.Lost()
		d.Lost() // twice is once
	}()
	again, err := i.Read(t.Context(), ReadOptions{Wait: 10 * time.Second})
	if err != nil || len(again.Records) != 1 || string(again.Records[0].Record.Value) != "a" {
		t.Fatalf("%v %+v", err, again)
	}
	again.Written()
	again.Broken = func() bool { return true } // its connection turns out to be broken when the client calls again
	third, err := i.Read(t.Context(), ReadOptions{Wait: 10 * time.Second})
	if err != nil || len(third.Records) != 1 {
		t.Fatalf("%v %+v", err, third)
	}
	third.Written()
}

// TestDropDuringReads: giving up what is idle must neither lose nor repeat what a read that begins at the same moment takes.
func TestDropDuringReads(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	const total = 400
	var want []string
	for n := range total {
		want = append(want, fmt.Sprintf("%04d", n))
	}
	r.store(t, "t", 0, want...)
	for _, group := range []bool{true, false} {
		i := r.create(t, fmt.Sprint("group ", group), Options{})
		var err error
		if group {
			err = i.Subscribe([]string{"t"})
		} else {
			err = i.Assign([]TopicPartition{{"t", 0}})
		}
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					i.drop()
				}
			}
		})
		next := 0
		for begin := time.Now(); next < total && time.Since(begin) < 8*time.Second; {
			d, err := i.Read(t.Context(), ReadOptions{Wait: time.Second, MaxBytes: 21})
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range d.Records {
				if rec.Offset != int64(next) {
					t.Fatalf("group %v: offset %d after %d", group, rec.Offset, next-1)
				}
				next++
			}
			d.Written()
		}
		close(stop)
		wg.Wait()
		if next < 50 {
			t.Errorf("group %v: only %d records came", group, next)
		}
	}
}

// TestResubscribing commits what was received before the topics change.
func TestResubscribing(t *testing.T) {
	r := newRig(t, Config{AutoCommit: true, AutoCommitInterval: time.Hour})
	r.topic(t, "t", 1)
	r.topic(t, "u", 1)
	r.store(t, "t", 0, "a", "b")
	for name, change := range map[string]func(*Instance) error{
		"more topics":  func(i *Instance) error { return i.Subscribe([]string{"t", "u"}) },
		"unsubscribed": (*Instance).Unsubscribe,
	} {
		i := r.create(t, name, Options{})
		if err := i.Subscribe([]string{"t"}); err != nil {
			t.Fatal(err)
		}
		received(t, i, 2)
		d, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond}) // proves them
		if err != nil {
			t.Fatal(err)
		}
		d.Written()
		if err := change(i); err != nil {
			t.Fatal(err)
		}
		if at := r.stored(t, name, "t", 0); at != 2 {
			t.Errorf("%s: %d is committed, want 2", name, at)
		}
	}
	i := r.create(t, "the same", Options{})
	if err := i.Subscribe([]string{"u", "t", "t"}); err != nil {
		t.Fatal(err)
	}
	client := i.client
	if err := i.Subscribe([]string{"t", "u"}); err != nil || i.client != client {
		t.Errorf("the same topics again made another client: %v", err)
	}
}

// TestCommittedErrors: an error of one partition is no "nothing committed", which would have it begin anew.
func TestCommittedErrors(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a", "b")
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	if err := i.Commit(t.Context(), []Committed{{TopicPartition{"t", 0}, 1, "m"}}); err != nil {
		t.Fatal(err)
	}
	var failing atomic.Bool
	failing.Store(true)
	id := r.b.Cluster().TopicInfo("t").TopicID
	r.b.Cluster().ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if !failing.Load() {
			r.b.Cluster().DropControl()
			return nil, nil, false
		}
		r.b.Cluster().KeepControl()
		group, topic, partition := kmsg.NewOffsetFetchResponseGroup(), kmsg.NewOffsetFetchResponseGroupTopic(), kmsg.NewOffsetFetchResponseGroupTopicPartition()
		partition.Offset, partition.ErrorCode = -1, kerr.TopicAuthorizationFailed.Code
		topic.Topic, topic.TopicID, topic.Partitions = "t", id, append(topic.Partitions, partition)
		group.Group, group.Topics = "g", append(group.Topics, topic)
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		resp.Groups = append(resp.Groups, group)
		return resp, nil, true
	})
	if list, err := i.Committed(t.Context(), []TopicPartition{{"t", 0}}); codeOf(err) != kafkarest.CodeForbidden {
		t.Errorf("%v %v", list, err)
	}
	if d, err := i.Read(t.Context(), ReadOptions{Wait: 100 * time.Millisecond}); err == nil {
		t.Errorf("a read began at offset %v", d.Records)
	}
	failing.Store(false)
	if got := received(t, i, 1); got[0] != "b" {
		t.Errorf("%q", got)
	}
}

// TestStaleCommit: what is proven of a partition that another member has by now is left alone.
func TestStaleCommit(t *testing.T) {
	r := newRig(t, Config{AutoCommit: true})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a")
	i := r.create(t, "g", Options{})
	if err := i.Subscribe([]string{"t"}); err != nil {
		t.Fatal(err)
	}
	received(t, i, 1)
	err := memberCommit(t.Context(), i.client, []Committed{{TopicPartition{"t", 0}, 1, ""}}, func(string, int32) bool { return false })
	if at := r.stored(t, "g", "t", 0); err != nil || at != -1 {
		t.Errorf("%v, %d is committed", err, at)
	}
	err = memberCommit(t.Context(), i.client, []Committed{{TopicPartition{"t", 0}, 1, "m"}}, i.owns)
	if at := r.stored(t, "g", "t", 0); err != nil || at != 1 {
		t.Errorf("%v, %d is committed", err, at)
	}
}

// TestUndecodable: what a read does at a record that its format cannot decode.
func TestUndecodable(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "1", "not JSON", "3")
	for _, policy := range []OnDecodeError{Fail, Report, Skip} {
		i := r.create(t, string(policy), Options{Key: format.JSON{}, Value: format.JSON{}, OnDecodeError: policy})
		if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for range 3 {
			d, err := i.Read(t.Context(), ReadOptions{Wait: 200 * time.Millisecond})
			if err != nil {
				seen = append(seen, fmt.Sprint(codeOf(err)))
				continue
			}
			for _, rec := range d.Records {
				seen = append(seen, fmt.Sprintf("%d:%s:%v", rec.Offset, rec.Value, rec.Err != nil))
			}
			d.Written()
		}
		want := map[OnDecodeError]string{
			Fail:   "[0:1:false 42209 42209]",
			Report: "[0:1:false 1:null:true 2:3:false]",
			Skip:   "[0:1:false 2:3:false]",
		}[policy]
		if fmt.Sprint(seen) != want {
			t.Errorf("%s: %v, want %s", policy, seen, want)
		}
	}
}

// TestResets: where a partition begins that has no committed offset.
func TestResets(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "old")
	for reset, group := range map[Reset]string{Earliest: "e", Latest: "l", None: "n"} {
		for _, manual := range []bool{true, false} {
			i := r.create(t, fmt.Sprint(group, manual), Options{Reset: reset})
			var err error
			if manual {
				err = i.Assign([]TopicPartition{{"t", 0}})
			} else {
				err = i.Subscribe([]string{"t"})
			}
			if err != nil {
				t.Fatal(err)
			}
			var first *Delivery
			for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); { // until it has a position
				if first, err = i.Read(t.Context(), ReadOptions{Wait: 50 * time.Millisecond}); err != nil || len(first.Records) > 0 {
					break
				}
				first.Written()
				if reset == Latest && len(i.Assignment()) == 1 {
					break
				}
			}
			switch {
			case reset == None:
				if codeOf(err) != kafkarest.CodeIllegalState {
					t.Errorf("none, manual %v: %v", manual, err)
				}
				if err := i.Seek([]Position{{TopicPartition{"t", 0}, 0}}); err != nil {
					t.Fatal(err)
				}
				if got := received(t, i, 1); got[0] != "old" {
					t.Errorf("none, manual %v: %q after a seek", manual, got)
				}
			case err != nil:
				t.Errorf("%s, manual %v: %v", reset, manual, err)
			case reset == Earliest && (len(first.Records) != 1 || string(first.Records[0].Record.Value) != "old"), reset == Latest && len(first.Records) > 0:
				t.Errorf("%s, manual %v: %v", reset, manual, first.Records)
			}
			_ = r.m.Delete(i.Group(), i.Name())
		}
	}
}

// TestLostReadsOfAGoneClient: a client that goes away while its read waits loses nothing.
func TestLostReadsOfAGoneClient(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			d, err := i.Read(ctx, ReadOptions{Wait: 10 * time.Second})
			switch {
			case err == nil: // it was in time; its reply is lost
				d.Lost()
			case codeOf(err) != kafkarest.CodeDraining:
				t.Error(err)
			}
		})
		r.store(t, "t", 0, fmt.Sprint(n))
		cancel()
		wg.Wait()
	}
	got := received(t, i, 20)
	for n, v := range got {
		if v != fmt.Sprint(n) {
			t.Fatalf("%q", got)
		}
	}
}

// TestSeekAtOnce: a partition can be sought from the moment at which it shows among the assigned ones.
func TestSeekAtOnce(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "0", "1", "2")
	for n := range 60 {
		i := r.create(t, fmt.Sprint("g", n), Options{})
		if err := i.Subscribe([]string{"t"}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); len(i.Assignment()) == 0; {
			if time.Now().After(deadline) {
				t.Fatal("nothing is assigned")
			}
		}
		if err := i.Seek([]Position{{TopicPartition{"t", 0}, 2}}); err != nil {
			t.Fatal(err)
		}
		if got := received(t, i, 1); got[0] != "2" {
			t.Fatalf("attempt %d: %q came after a seek to 2", n, got)
		}
		if err := r.m.Delete(i.Group(), i.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMinBytes: a read is over with more bytes than the minimum; with a minimum of 0 or less it is the first record that ends it, an empty one
// too.
func TestMinBytes(t *testing.T) {
	r := newRig(t, Config{})
	for _, test := range []struct {
		least  int64
		values []string
		over   bool
	}{
		{-1, []string{"a"}, true},
		{-1, []string{""}, true},
		{-1, nil, false},
		{1, []string{"a"}, false}, // the contract's own example
		{1, []string{"ab"}, true},
		{3, []string{"ab", "cd"}, true},
		{4, []string{"ab", "cd"}, false},
		{4, []string{"ab", "cd", "e"}, true},
		{10_000_000, []string{"ab", "cd"}, false},
	} {
		i := r.create(t, "g", Options{MinBytes: test.least})
		if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
			t.Fatal(err)
		}
		of := i.assigned[topicPartition{"t", 0}]
		for offset, value := range test.values {
			i.pending = append(i.pending, chunk{of, []*kgo.Record{{Topic: "t", Offset: int64(offset), Value: []byte(value)}}})
		}
		b := i.newBatch(ReadOptions{})
		if i.gather(t.Context(), b); (b.full || b.enough) != test.over || len(b.taken) != len(test.values) {
			t.Errorf("minimum %d: over %v after %q, %d records", test.least, b.enough, test.values, len(b.taken))
		}
		if err := r.m.Delete("g", i.Name()); err != nil {
			t.Error(err)
		}
	}
}
