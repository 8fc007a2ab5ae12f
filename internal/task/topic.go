package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bootHeader is the header of a record that names the process which wrote it: its own records need not be read.
const bootHeader = "boot"

func errUnavailable(cause error) error {
	return &kafkarest.Error{Code: kafkarest.CodeTasksUnavailable, Err: cause, RetryAfter: time.Second,
		Message: "Tasks cannot be kept for now: their topic cannot be read or written; try again later."}
}

// find looks for the topic of tasks at the start, and goes on until it is there: another node may make it.
func (s *Store) find() {
	for {
		ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Write)
		err := s.ensure(ctx, false)
		if s.absent() && err == nil {
			s.rehearse(ctx)
		}
		cancel()
		s.mu.Lock()
		mode, pause := s.mode, 30*time.Second
		s.mu.Unlock()
		if mode == modeTopic && err == nil || mode == modeMemory {
			return
		}
		if err != nil {
			pause = 2 * time.Second
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (s *Store) absent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode == modeAbsent
}

// rehearse asks whether the topic could be made, so that the log says at the start that it could not.
func (s *Store) rehearse(ctx context.Context) {
	replicas, err := s.replicas(ctx)
	if err != nil {
		return
	}
	adm := s.cluster.Admin()
	out, err := kafka.Await(ctx, func(ctx context.Context) (kadm.CreateTopicResponses, error) {
		return adm.ValidateCreateTopics(ctx, s.cfg.Partitions, replicas, topicConfigs(replicas), s.cfg.Topic)
	})
	if err == nil {
		err = out.Error()
	}
	if isForbidden(err) || errors.Is(err, kerr.PolicyViolation) {
		s.toMemory("the proxy may not create the topic "+s.cfg.Topic, err)
	}
}

func isForbidden(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
}

// toMemory gives the topic up.
func (s *Store) toMemory(reason string, cause error) {
	s.mu.Lock()
	already := s.mode == modeMemory
	s.mode, s.reason = modeMemory, reason
	s.mu.Unlock()
	if !already {
		s.cfg.Log.Warn("tasks are kept in memory only, a restart forgets them: "+reason, "err", cause)
	}
}

// ensure returns when it is known which tasks there are. With create it makes the topic if there is none; without, it does not look again for one
// that was not there a second ago.
// Errors: CodeTasksUnavailable.
func (s *Store) ensure(ctx context.Context, create bool) error {
	return s.ensureSince(ctx, create, time.Now().Add(-time.Second))
}

// ensureSince is ensure to which a topic is absent that was found so after a time.
func (s *Store) ensureSince(ctx context.Context, create bool, since time.Time) error {
	if s.settledMode(create, since) {
		return nil
	}
	select {
	case s.opening <- struct{}{}:
	case <-ctx.Done():
		return errUnavailable(ctx.Err())
	}
	defer func() { <-s.opening }()
	if s.settledMode(create, since) {
		return nil
	}
	return s.open(ctx, create)
}

// settledMode reports whether there is nothing to do for ensureSince.
func (s *Store) settledMode(create bool, since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.mode {
	case modeTopic:
		return s.tail.isLoaded()
	case modeMemory:
		return true
	case modeAbsent:
		return !create && !s.looked.Before(since)
	}
	return false
}

// open finds or makes the topic, and reads it to its end.
func (s *Store) open(ctx context.Context, create bool) error {
	s.mu.Lock()
	t := s.tail
	s.mu.Unlock()
	if t == nil {
		began := time.Now()
		exists, err := s.exists(ctx)
		if err == nil && !exists && create {
			err = s.create(ctx)
			exists = err == nil
		}
		switch {
		case isForbidden(err), errors.Is(err, kerr.PolicyViolation):
			s.toMemory("the proxy may not create or see the topic "+s.cfg.Topic, err)
			return nil
		case err != nil:
			return errUnavailable(err)
		case !exists:
			s.mu.Lock()
			s.mode, s.looked = modeAbsent, began
			s.mu.Unlock()
			return nil
		}
		if t, err = s.followSoon(ctx); err != nil {
			return errUnavailable(err)
		}
		s.mu.Lock()
		s.tail, s.mode = t, modeTopic
		s.mu.Unlock()
		s.wg.Go(t.run)
	}
	select {
	case <-t.loaded:
		return nil
	case <-ctx.Done():
		return errUnavailable(ctx.Err())
	}
}

// followSoon is follow for a topic that may just have been made, of which not every broker has heard yet.
func (s *Store) followSoon(ctx context.Context) (*tail, error) {
	const again = 50 * time.Millisecond
	for {
		t, err := s.follow(ctx)
		if err == nil || !kafka.IsUnknownTopic(err) && !kerr.IsRetriable(err) {
			return t, err
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

func (s *Store) exists(ctx context.Context) (bool, error) {
	adm := s.cluster.Admin()
	topics, err := kafka.Await(kafka.Fresh(ctx), func(ctx context.Context) (kadm.TopicDetails, error) {
		return adm.ListTopics(ctx, s.cfg.Topic)
	})
	if err != nil {
		return false, err
	}
	detail, ok := topics[s.cfg.Topic]
	switch {
	case !ok, errors.Is(detail.Err, kerr.UnknownTopicOrPartition):
		return false, nil
	case detail.Err != nil && !kerr.IsRetriable(detail.Err):
		return false, detail.Err
	}
	return len(detail.Partitions) > 0, nil
}

// replicas is the configured number, as far as there are brokers.
func (s *Store) replicas(ctx context.Context) (int16, error) {
	brokers, err := kafka.Await(ctx, s.cluster.Admin().ListBrokers)
	if err != nil {
		return 0, err
	}
	return int16(max(1, min(int(s.cfg.Replicas), len(brokers)))), nil
}

func topicConfigs(replicas int16) map[string]*string {
	configs := map[string]*string{"cleanup.policy": new("compact")}
	if replicas >= 3 {
		configs["min.insync.replicas"] = new("2")
	}
	return configs
}

func (s *Store) create(ctx context.Context) error {
	replicas, err := s.replicas(ctx)
	if err != nil {
		return err
	}
	adm := s.cluster.Admin()
	out, err := kafka.Await(ctx, func(ctx context.Context) (kadm.CreateTopicResponse, error) {
		return adm.CreateTopic(ctx, s.cfg.Partitions, replicas, topicConfigs(replicas), s.cfg.Topic)
	})
	if err == nil {
		err = out.Err
	}
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create the topic %s: %w", s.cfg.Topic, err)
	}
	s.cfg.Log.Info("created the topic of tasks", "topic", s.cfg.Topic, "partitions", s.cfg.Partitions, "replicas", replicas)
	return nil
}

// write puts a record for a task into the topic; a nil value takes it away. done is called once, on a goroutine that it must not hold up.
func (s *Store) write(e *entry, value []byte, done func(error)) {
	s.mu.Lock()
	mode := s.mode
	s.mu.Unlock()
	if mode != modeTopic {
		done(nil)
		return
	}
	producer, err := s.cluster.ProducerFor(kafka.Profile{Acks: "all"})
	if err != nil {
		done(err)
		return
	}
	r := &kgo.Record{Topic: s.cfg.Topic, Key: []byte(e.id.String()), Value: value, Partition: kafkarest.AnyPartition,
		Headers: []kgo.RecordHeader{{Key: bootHeader, Value: []byte(s.boot)}}}
	producer.Produce(r, func(r *kgo.Record, err error) {
		if err != nil {
			err = producer.Failed(s.cfg.Topic, err)
		} else {
			s.mu.Lock()
			e.partition = r.Partition
			if e.callback != nil && value != nil {
				e.callback.written = r.Offset
			}
			s.mu.Unlock()
		}
		done(err)
	})
}

// topicGone is for a topic that somebody has deleted: the next task makes it anew. What is in memory stays there.
func (s *Store) topicGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != modeTopic {
		return
	}
	s.cfg.Log.Warn("the topic of tasks is gone: tasks of before will not survive a restart", "topic", s.cfg.Topic)
	s.tail.stop()
	s.tail, s.mode = nil, modeUnknown
}

// writeNow is write that waits.
func (s *Store) writeNow(ctx context.Context, e *entry, value []byte) error {
	written := make(chan error, 1)
	s.write(e, value, func(err error) { written <- err })
	select {
	case err := <-written:
		if err == nil {
			return nil
		}
		if kafka.IsUnknownTopic(err) {
			s.topicGone()
		}
		if isForbidden(err) {
			s.toMemory("the proxy may not write to the topic "+s.cfg.Topic, err)
			return nil
		}
		return errUnavailable(err)
	case <-ctx.Done():
		return errUnavailable(ctx.Err())
	}
}
