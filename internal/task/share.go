package task

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// share keeps this node a member of the group that shares the sending of callbacks, once there is a topic to share. The group's only use is
// that each partition has one member: nothing is fetched, and nothing committed.
func (o *outbox) share(ctx context.Context) {
	for !o.store.hasTopic() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	client, err := o.store.cluster.NewConsumer(
		kgo.ConsumerGroup(o.cfg.Group), kgo.ConsumeTopics(o.store.cfg.Topic), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(6*time.Second), kgo.RebalanceTimeout(6*time.Second), kgo.HeartbeatInterval(2*time.Second), // a node that dies is replaced soon
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.own(m[o.store.cfg.Topic], true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.own(m[o.store.cfg.Topic], false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.own(m[o.store.cfg.Topic], false) }),
	)
	if err != nil {
		o.store.cfg.Log.Warn("callbacks are not shared with other nodes, and not sent", "err", err)
		return
	}
	defer client.Close()
	client.PauseFetchTopics(o.store.cfg.Topic)
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx) // only errors come
		fetches.EachError(func(_ string, _ int32, err error) {
			if ctx.Err() == nil {
				o.failed(err)
			}
		})
	}
}

// failed notes what the group says. Without permission no callback is ever sent, so it is said where an operator looks; the client tries again,
// and the permission may be given yet.
func (o *outbox) failed(err error) {
	log := o.store.cfg.Log
	if !errors.Is(err, kerr.GroupAuthorizationFailed) {
		log.Debug("the group that shares callbacks", "err", err)
		return
	}
	o.store.mu.Lock()
	already := o.stuck != ""
	o.stuck = "the proxy may not use the group " + o.cfg.Group
	o.store.mu.Unlock()
	if !already {
		log.Warn("no callbacks are sent from here: the proxy may not use their group", "group", o.cfg.Group, "err", err)
	}
}

func (s *Store) hasTopic() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode == modeTopic && s.tail.isLoaded()
}

// own notes partitions that this node has come to send for, or no longer does, and queues what waits there.
func (o *outbox) own(partitions []int32, mine bool) {
	s := o.store
	s.mu.Lock()
	defer s.mu.Unlock()
	gained := map[int32]bool{}
	for _, p := range partitions {
		if mine {
			o.owned[p], gained[p] = true, true
		} else {
			delete(o.owned, p)
		}
	}
	if !mine {
		return
	}
	o.stuck = ""
	for _, e := range s.tasks {
		if c := e.callback; c != nil && gained[e.partition] && c.state == CallbackWaiting && e.status != Pending && !c.busy {
			o.add(e)
		}
	}
}
