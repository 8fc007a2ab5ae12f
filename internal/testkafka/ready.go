package testkafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var errExited = errors.New("the process has exited")

// poll calls try until it returns nil. It gives up when ctx ends or gone is closed, with the last error of try.
func poll(ctx context.Context, gone <-chan struct{}, try func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("%w; the last answer: %w", ctx.Err(), err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// serves asks the node itself. A broker shows up in its own metadata once the controller has let it serve. The cluster's id is compared
// because another Kafka may have been faster to take the port.
func (n *Node) serves(ctx context.Context, brokers int) error {
	resp, err := metadata(ctx, []string{n.Addr}, []kmsg.MetadataRequestTopic{})
	if err != nil {
		return err
	}
	if resp.ClusterID == nil || *resp.ClusterID != n.clusterID {
		return errors.New("another Kafka answers on this port")
	}
	itself := slices.ContainsFunc(resp.Brokers, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == n.ID })
	if !itself || len(resp.Brokers) < brokers {
		return fmt.Errorf("%d of %d brokers are registered, node %d among them: %t", len(resp.Brokers), brokers, n.ID, itself)
	}
	return nil
}

// metadata asks one of the brokers for the given topics; nil means all.
func metadata(ctx context.Context, addrs []string, topics []kmsg.MetadataRequestTopic) (*kmsg.MetadataResponse, error) {
	// Opening a connection heeds no context, only this timeout: a paused node, or whoever else has its port, accepts and says nothing.
	timeout := kgo.RequestTimeoutOverhead(time.Second)
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DisableClientMetrics(), kgo.RequestRetries(1), timeout)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = topics
	return req.RequestWith(ctx, client)
}

// AwaitInSync waits until every partition of every topic has a leader and all of its replicas in sync, which is the time to take the next
// node down in a rolling restart.
func (c *Cluster) AwaitInSync(ctx context.Context) error {
	return poll(ctx, nil, func(ctx context.Context) error {
		resp, err := metadata(ctx, c.Addrs(), nil)
		if err != nil {
			return err
		}
		return lagging(resp)
	})
}

// lagging names the first partition that is not in sync.
func lagging(resp *kmsg.MetadataResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return fmt.Errorf("partition %d of %s: leader %d, in sync %v of %v, error code %d",
					p.Partition, *t.Topic, p.Leader, p.ISR, p.Replicas, p.ErrorCode)
			}
		}
	}
	return nil
}
