package produce

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"
)

func message(topic, value string) Message {
	return Message{Topic: topic, Value: []byte(value), Partition: kafkarest.AnyPartition}
}

// Messages of several topics keep their places, and what is wrong with one is its own affair.
func TestSetOfSeveralTopics(t *testing.T) {
	s, b := onEmbedded(t, Config{MaxRecord: 100})
	createTopic(t, b, "a", 1)
	createTopic(t, b, "b", 2)
	refused := message("a", "x")
	refused.Err = kafkarest.Errorf(kafkarest.CodeUnprocessable, "no")
	far := message("b", "x")
	far.Partition = 7
	large := message("b", string(make([]byte, 101)))
	results, err := s.ProduceSet(t.Context(), &Set{Messages: []Message{
		message("a", "a0"), message("b", "b0"), refused, message("none", "x"), far, message("a", "a1"), large, {Topic: "a", Partition: 0}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		offset int64
		code   kafkarest.Code
		cause  error
	}{{0, 0, nil}, {0, 0, nil}, {0, kafkarest.CodeUnprocessable, nil}, {0, kafkarest.CodeKafkaRetriable, nil}, {0, kafkarest.CodeKafkaRetriable, ErrNoPartition},
		{1, 0, nil}, {0, kafkarest.CodeKafka, ErrTooLarge}, {2, 0, nil}} {
		r := results[i]
		switch {
		case want.code == 0 && (r.Err != nil || r.Offset != want.offset):
			t.Errorf("message %d: %+v", i, r)
		case want.code != 0 && (r.Err == nil || r.Err.Code != want.code || want.cause != nil && !errors.Is(r.Err, want.cause)):
			t.Errorf("message %d: %+v", i, r.Err)
		}
	}
	log := stored(t, b, "a", 0)
	if len(log) != 3 || string(log[1].Value) != "a1" || log[2].Value != nil || log[0].Key != nil {
		t.Errorf("%v", log)
	}
	emptied(t, s)
}

// unknownAnd makes a set of one message for a topic that exists and many for topics that do not.
func unknownAnd(topic string) *Set {
	set := &Set{Messages: []Message{message(topic, "x")}}
	for i := range 20 {
		set.Messages = append(set.Messages, message(fmt.Sprintf("none-%d", i), "x"))
	}
	return set
}

// Topics that may still appear are waited for at the same time, and nothing takes room among the bytes in flight meanwhile.
func TestManyUnknownTopics(t *testing.T) {
	const appear = 500 * time.Millisecond
	s, b := onEmbeddedThat(t, Config{}, "true", appear)
	createTopic(t, b, "t", 1)
	type outcome struct {
		results []Result
		err     error
	}
	done := make(chan outcome)
	begin := time.Now()
	go func() {
		results, err := s.ProduceSet(t.Context(), unknownAnd("t"))
		done <- outcome{results, err}
	}()
	var got outcome
	for waiting := true; waiting; {
		select {
		case got = <-done:
			waiting = false
		case <-time.After(time.Millisecond):
			s.buffer.mu.Lock()
			if s.buffer.used > 0 && time.Since(begin) < appear/2 {
				t.Errorf("%d bytes are taken after %v", s.buffer.used, time.Since(begin))
			}
			s.buffer.mu.Unlock()
		}
	}
	if took := time.Since(begin); got.err != nil || took > 8*appear { // one after the other it is 20
		t.Fatalf("after %v: %v", took, got.err)
	}
	for i, r := range got.results {
		if i == 0 && r.Err != nil || i > 0 && !kafka.IsUnknownTopic(r.Err) {
			t.Errorf("message %d: %+v", i, r.Err)
		}
	}
}

// The time of a request bounds its look-ups, and those of its messages that can be stored are.
func TestLookUpsEndInTime(t *testing.T) {
	s, b := onEmbeddedThat(t, Config{}, "true", 20*time.Second)
	createTopic(t, b, "t", 1)
	if results, err := s.ProduceSet(t.Context(), &Set{Messages: []Message{message("t", "warm")}}); err != nil || results[0].Err != nil {
		t.Fatal(results, err)
	}
	for _, set := range []*Set{unknownAnd("t"), {Messages: []Message{message("none", "x")}}} {
		set.Timeout = time.Second
		begin := time.Now()
		results, err := s.ProduceSet(t.Context(), set)
		if took := time.Since(begin); err != nil || took > 3*time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		for i, r := range results {
			known := set.Messages[i].Topic == "t"
			if known && r.Err != nil || !known && codeOf(r.Err) != kafkarest.CodeKafkaRetriable {
				t.Errorf("message %d: %+v", i, r.Err)
			}
		}
	}
}

// One that cannot be encoded does not stop the others, as it does for Produce.
func TestSetWithBadData(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	binary := Side{Format: format.Binary{}}
	results, err := s.ProduceSet(t.Context(), &Set{Value: binary, Messages: []Message{message("t", `"?"`), message("t", `"aGk="`)}})
	if err != nil || results[0].Err == nil || results[0].Err.Code != kafkarest.CodeBadRequest || results[1].Err != nil {
		t.Fatalf("%+v %v", results, err)
	}
	if log := stored(t, b, "t", 0); len(log) != 1 || string(log[0].Value) != "hi" {
		t.Errorf("%v", log)
	}
}

// A batch that is dropped gives its room back; one that is patient waits for room.
func TestRoomForASet(t *testing.T) {
	s, b := onEmbedded(t, Config{Buffer: 1000, TopicBuffer: 1000})
	createTopic(t, b, "t", 1)
	first, err := s.Prepare(t.Context(), &Set{Messages: []Message{message("t", string(make([]byte, 700)))}})
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{Messages: []Message{message("t", string(make([]byte, 500)))}}
	if _, err := s.Prepare(t.Context(), set); codeOf(err) != kafkarest.CodeTooManyRequests {
		t.Fatalf("no room: %v", err)
	}
	set.Patient, set.Timeout = true, 50*time.Millisecond
	if _, err := s.Prepare(t.Context(), set); codeOf(err) != kafkarest.CodeTooManyRequests {
		t.Fatalf("no room in time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set.Timeout = time.Minute
	if _, err := s.Prepare(ctx, set); !errors.Is(err, context.Canceled) {
		t.Fatalf("nobody waits: %v", err)
	}
	waited := make(chan error)
	go func() {
		second, err := s.Prepare(t.Context(), set)
		if err == nil {
			second.Drop()
		}
		waited <- err
	}()
	first.Drop()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	emptied(t, s)
}

// A batch tells once when all of its messages have settled, whatever became of them.
func TestEndOfABatch(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "a", 1)
	createTopic(t, b, "b", 1)
	for _, messages := range [][]Message{
		{message("a", "x")}, {message("a", "x"), message("b", "x")}, {message("none", "x")}, {message("none", "x"), message("a", "x")},
	} {
		batch, err := s.Prepare(t.Context(), &Set{Messages: messages})
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int64
		done := make(chan struct{})
		batch.Send(func() {
			if calls.Add(1) == 1 {
				close(done)
			}
		})
		<-done
		if !batch.Settled() || calls.Load() != 1 || batch.Pending() || len(batch.Results()) != len(messages) {
			t.Errorf("%d messages: settled %v, %d calls", len(messages), batch.Settled(), calls.Load())
		}
	}
}

// A profile has a producer of its own.
func TestProfiles(t *testing.T) {
	s, b := onEmbedded(t, Config{})
	createTopic(t, b, "t", 1)
	profiles := []kafka.Profile{{}, {Acks: "all"}, {Acks: "1"}}
	for _, codec := range kafka.Compressions {
		profiles = append(profiles, kafka.Profile{Compression: codec})
	}
	for _, p := range profiles {
		if results, err := s.ProduceSet(t.Context(), &Set{Profile: p, Messages: []Message{message("t", "x")}}); err != nil || results[0].Err != nil {
			t.Errorf("%+v: %+v %v", p, results, err)
		}
	}
	for _, p := range []kafka.Profile{{Acks: "0"}, {Compression: "rar"}} {
		if _, err := s.ProduceSet(t.Context(), &Set{Profile: p, Messages: []Message{message("t", "x")}}); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
