package v3

import (
	"context"
	"fmt"
	"kafkarest/internal/kafka"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// settleTime bounds each of the two waits of settle. The change has been made by then, so running out of time is no error; brokers that are
// well show it within milliseconds, and one that is not must not hold up the reply for all of the request's deadline.
const settleTime = time.Second

// sight is what a broker shows of a topic.
type sight struct {
	id         kadm.TopicID // zero when the broker does not tell
	partitions int
	err        error
}

// settle waits until the brokers show a change to a topic that the controller has carried out, and returns the topic as they show it.
// Each broker learns of it by itself, and the next request of the same caller may be answered by any of them, and be told by one that is
// behind that the topic it has just made does not exist. The last look goes through the shared client, which remembers what it saw.
func (a *API) settle(ctx context.Context, topic string, shows func(sight) bool) (kadm.TopicDetail, bool) {
	if m, err := a.cluster.Admin().BrokerMetadata(ctx); err == nil && len(m.Brokers) > 1 {
		a.settleEverywhere(ctx, topic, shows)
	}
	ctx, cancel := context.WithTimeout(kafka.Fresh(ctx), settleTime)
	defer cancel()
	var last kadm.TopicDetail
	shown := poll(ctx, func() bool {
		m, err := a.cluster.Admin().Metadata(ctx, topic)
		last = m.Topics[topic]
		return err == nil && shows(sight{last.ID, len(last.Partitions), last.Err})
	})
	if shown && last.Err == nil { // a broker may create a deleted topic when it is asked for it in this way
		// The directory for producers may remember that the topic is not there, or fewer partitions. What it says now, the next
		// produce request hears too.
		_, _ = a.cluster.Topics().Renew(ctx, topic)
	}
	return last, shown
}

// poll tries again, ever more slowly, until it is done or the time is over.
func poll(ctx context.Context, done func() bool) bool {
	const slowest = 100 * time.Millisecond
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, slowest) {
		if done() {
			return true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// settleEverywhere waits for each broker by itself. One that cannot be asked cannot mislead anybody either, and is not waited for.
func (a *API) settleEverywhere(ctx context.Context, topic string, shows func(sight) bool) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	client := a.cluster.Client()
	if client.Ping(ctx) != nil { // it is what learns of the brokers
		return
	}
	var wg sync.WaitGroup
	for _, b := range client.DiscoveredBrokers() {
		wg.Go(func() {
			poll(ctx, func() bool {
				seen, err := look(ctx, b, topic)
				return err != nil || shows(seen)
			})
		})
	}
	wg.Wait()
}

// look asks one broker for one topic, and does not have it created.
func look(ctx context.Context, b *kgo.Broker, topic string) (sight, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	kresp, err := b.Request(ctx, req)
	if err != nil {
		return sight{}, err
	}
	resp, ok := kresp.(*kmsg.MetadataResponse)
	if !ok || len(resp.Topics) != 1 {
		return sight{}, fmt.Errorf("a metadata request for one topic was answered with %T", kresp)
	}
	t := resp.Topics[0]
	return sight{t.TopicID, len(t.Partitions), kerr.ErrorForCode(t.ErrorCode)}, nil
}
