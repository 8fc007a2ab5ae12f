package v3

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// settleTime bounds the wait for a change to show on every broker. It has been made by then, so running out of time is no error; brokers
// that are well show it within milliseconds, and one that is not must not hold up the reply for all of the request's deadline.
const settleTime = 2 * time.Second

// settle waits until the brokers show a change to a topic that the controller has carried out, and returns the topic as they show it.
// Each broker learns of it by itself, and the next request of the same caller may be answered by any of them. The Kafka client asks its
// brokers in turn, and a seed after each round, so that one more answer in a row than there are brokers come from all of them, unless
// another request takes a turn in between. The last one is also what the client remembers for the requests that follow.
func (a *API) settle(ctx context.Context, topic string, shows func(kadm.TopicDetail) bool) (kadm.TopicDetail, bool) {
	ctx, cancel := context.WithTimeout(fresh(ctx), settleTime)
	defer cancel()
	var last kadm.TopicDetail
	shown := false
	pause := 5 * time.Millisecond
	for inRow := 0; ; {
		m, err := a.cluster.Admin().Metadata(ctx, topic)
		switch {
		case err == nil && shows(m.Topics[topic]):
			last, shown = m.Topics[topic], true
			if inRow++; inRow > len(m.Brokers) {
				a.lookUp(ctx, last)
				return last, true
			}
			continue
		case err == nil:
			inRow = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			pause = min(2*pause, 100*time.Millisecond)
		case <-ctx.Done():
			timer.Stop()
			return last, shown
		}
	}
}

// lookUp has the directory of topics for producers learn of a topic that is there: it may remember that it is not, or fewer partitions.
// It must not ask for a deleted topic, since a broker may create a topic on such a question.
func (a *API) lookUp(ctx context.Context, topic kadm.TopicDetail) {
	if topic.Err == nil {
		_, _ = a.cluster.Topics().Renew(ctx, topic.Topic) // what it says, the next produce request hears too
	}
}
