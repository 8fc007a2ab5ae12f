package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetcher asks brokers for records at any offset, with requests of its own that wait for nothing: they share one connection to each broker,
// which answers one after another, so one that waits would hold up all others.
type fetcher struct {
	cluster   *kafka.Cluster
	committed bool
	slots     chan struct{} // fetches at once
	wg        sync.WaitGroup

	mu      sync.Mutex
	client  *kgo.Client // nil until the first fetch
	topics  map[string]*layout
	asking  map[string]*layoutAsked
	closed  bool
	expands kgo.Decompressor
}

// layout is where a topic's partitions are. It is replaced, never changed.
type layout struct {
	topic   string
	id      [16]byte
	leaders []int32 // by partition; -1 for none at the moment
	learned time.Time
}

type layoutAsked struct {
	done   chan struct{}
	layout *layout
	err    error
}

const (
	layoutFresh  = 30 * time.Second
	layoutMost   = 10_000
	fetchTimeout = 10 * time.Second
)

func (f *fetcher) connect() (*kgo.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, kafka.Error(kgo.ErrClientClosed)
	}
	if f.client == nil {
		var err error
		if f.client, err = f.cluster.NewConsumer(); err != nil {
			return nil, kafkarest.Wrap(kafkarest.CodeKafka, err, "Failed to construct kafka consumer")
		}
		f.expands = kgo.DefaultDecompressor()
	}
	return f.client, nil
}

func (f *fetcher) close() {
	f.mu.Lock()
	f.closed = true
	client := f.client
	f.mu.Unlock()
	if client != nil {
		client.Close()
	}
	f.wg.Wait()
}

// layout tells where the partitions are, asking when that is not known, or again when the caller found it wrong. Callers share requests.
// Errors: CodeTopicNotFound, CodeForbidden, CodeTimeout, CodeUnavailable.
func (f *fetcher) layout(ctx context.Context, topic string, again bool) (*layout, error) {
	if !kafka.ValidName(topic) {
		return nil, kafkarest.Errorf(kafkarest.CodeTopicNotFound, "Topic %q not found: no topic can have this name.", topic)
	}
	if err := f.cluster.Topics().Allowed(topic); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if l := f.topics[topic]; l != nil && !again && time.Since(l.learned) < layoutFresh {
		f.mu.Unlock()
		return l, nil
	}
	a := f.asking[topic]
	if a == nil {
		a = &layoutAsked{done: make(chan struct{})}
		if f.asking == nil {
			f.asking = map[string]*layoutAsked{}
		}
		f.asking[topic] = a
		f.wg.Go(func() { f.ask(topic, a) })
	}
	f.mu.Unlock()
	select {
	case <-a.done:
		return a.layout, a.err
	case <-ctx.Done():
		return nil, kafka.Error(ctx.Err())
	}
}

func (f *fetcher) ask(topic string, a *layoutAsked) {
	ctx, cancel := f.cluster.Deadline(context.Background())
	defer cancel()
	a.layout, a.err = f.lookup(ctx, topic)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.asking, topic)
	delete(f.topics, topic)
	if a.err == nil {
		if len(f.topics) >= layoutMost {
			clear(f.topics)
		}
		f.topics[topic] = a.layout
	}
	close(a.done)
}

func (f *fetcher) lookup(ctx context.Context, topic string) (*layout, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = new(topic)
	req.Topics = append(req.Topics, t)
	resp, err := kafka.Await(ctx, func(ctx context.Context) (*kmsg.MetadataResponse, error) {
		return req.RequestWith(ctx, f.cluster.Client())
	})
	if err != nil {
		return nil, kafka.Error(err)
	}
	if len(resp.Topics) != 1 {
		return nil, kafkarest.Errorf(kafkarest.CodeRetryLater, "The brokers say nothing of topic %s.", topic)
	}
	rt := resp.Topics[0]
	if err := kerr.ErrorForCode(rt.ErrorCode); err != nil {
		return nil, readError(topic, err)
	}
	l := &layout{topic: topic, id: rt.TopicID, leaders: make([]int32, len(rt.Partitions)), learned: time.Now()}
	for _, p := range rt.Partitions {
		if int(p.Partition) < len(l.leaders) {
			l.leaders[p.Partition] = p.Leader
		}
	}
	return l, nil
}

// readError is kafka.ForTopic with this API's code for a topic that does not exist.
func readError(topic string, err error) error {
	if kafka.IsUnknownTopic(err) {
		return kafkarest.Wrap(kafkarest.CodeTopicNotFound, err, fmt.Sprintf("Topic %s not found.", topic))
	}
	return kafka.ForTopic(topic, err)
}

// fetched is what a broker answered for one partition.
type fetched struct {
	Position               // that was asked for
	id       [16]byte      // of the topic that answered; zero where brokers have none
	records  []*kgo.Record // from it on
	next     int64         // the offset after what was looked at, whether records came of it or not
	end      int64         // of what can be read now; -1 when the broker does not say
	err      error         // kerr.OffsetOutOfRange, or one that stays
}

// fetch reads from positions of one topic, at most about maxBytes in all, and a batch of one partition at the least when there is any.
// Leaders that have moved are looked up again for a while.
func (f *fetcher) fetch(ctx context.Context, topic string, at []Position, maxBytes int64) ([]fetched, error) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var got []fetched
	again := false
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		l, err := f.layout(ctx, topic, again)
		if err != nil {
			return nil, err
		}
		for _, p := range at {
			if again && int(p.Partition) >= len(l.leaders) {
				return nil, kafkarest.Errorf(kafkarest.CodePartitionNotFound, "Partition %d not found: topic %s has %d.", p.Partition, topic, len(l.leaders))
			}
		}
		some, left, err := f.fetchOnce(ctx, l, at, maxBytes)
		got = append(got, some...)
		if len(left) == 0 || err != nil {
			return got, err
		}
		if wait > 2*time.Second { // about four seconds in all
			if len(got) > 0 {
				return got, nil
			}
			return nil, kafkarest.Errorf(kafkarest.CodeRetryLater, "Partition %d of topic %s has no leader that answers.", left[0].Partition, topic)
		}
		at, again = left, true
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return got, ctx.Err()
		}
	}
}

// fetchOnce asks every leader at the same time; left are the positions to be asked for again at another broker.
func (f *fetcher) fetchOnce(ctx context.Context, l *layout, at []Position, maxBytes int64) (got []fetched, left []Position, err error) {
	byLeader := map[int32][]Position{}
	for _, p := range at {
		if int(p.Partition) >= len(l.leaders) || l.leaders[p.Partition] < 0 {
			left = append(left, p)
			continue
		}
		leader := l.leaders[p.Partition]
		byLeader[leader] = append(byLeader[leader], p)
	}
	answers := make(chan func(), len(byLeader))
	for leader, ps := range byLeader {
		f.wg.Go(func() {
			some, failed := f.fetchFrom(leader, l, ps, maxBytes/int64(len(byLeader)))
			answers <- func() {
				switch {
				case failed != nil && moved(failed):
					left = append(left, ps...)
				case failed != nil:
					err = failed
				default:
					for _, p := range some {
						if p.err != nil && moved(p.err) {
							left = append(left, p.Position)
						} else {
							got = append(got, p)
						}
					}
				}
			}
		})
	}
	for range byLeader {
		select {
		case add := <-answers:
			add()
		case <-ctx.Done():
			return got, nil, ctx.Err()
		}
	}
	return got, left, err
}

// moved reports whether another broker may know better, or the same one soon: leaders move, and brokers that cannot be reached lose theirs.
func moved(err error) bool {
	if e := (*kerr.Error)(nil); errors.As(err, &e) {
		return e.Retriable || kafka.IsUnknownTopic(err)
	}
	public := (*kafkarest.Error)(nil)
	return !errors.As(err, &public) && !errors.Is(err, kgo.ErrClientClosed) && !errors.Is(err, context.DeadlineExceeded)
}

// fetchFrom asks one broker. No caller's context comes near: kgo closes the connection when one ends, and others share it.
func (f *fetcher) fetchFrom(leader int32, l *layout, at []Position, maxBytes int64) ([]fetched, error) {
	client, err := f.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	each := max(16<<10, maxBytes/int64(len(at)))
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = int32(min(maxBytes, 64<<20))
	if f.committed {
		req.IsolationLevel = 1
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = l.topic, l.id
	for _, p := range at {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.Partition, p.Offset, int32(min(each, 64<<20))
		t.Partitions = append(t.Partitions, rp)
	}
	req.Topics = append(req.Topics, t)
	resp, err := client.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return nil, kafkaFetchError(err)
	}
	answer := resp.(*kmsg.FetchResponse) //nolint:forcetypeassert // the answer to a fetch request
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return nil, err
	}
	var got []fetched
	for i := range answer.Topics {
		for j := range answer.Topics[i].Partitions {
			rp := &answer.Topics[i].Partitions[j]
			for _, p := range at {
				if p.Partition == rp.Partition {
					got = append(got, f.decode(p, l.id, rp))
				}
			}
		}
	}
	return got, nil
}

// kafkaFetchError keeps what moved can tell and classifies the rest.
func kafkaFetchError(err error) error {
	if moved(err) {
		return err
	}
	return kafka.Error(err)
}

func (f *fetcher) decode(p Position, id [16]byte, rp *kmsg.FetchResponseTopicPartition) fetched {
	opts := kgo.ProcessFetchPartitionOpts{Offset: p.Offset, Topic: p.Topic, Partition: p.Partition}
	end := rp.HighWatermark
	if f.committed {
		opts.IsolationLevel = kgo.ReadCommitted()
		end = rp.LastStableOffset
	}
	fp, next := kgo.ProcessFetchPartition(opts, rp, f.expands, nil)
	err := fp.Err
	if err != nil && len(fp.Records) > 0 {
		err = nil // it comes again if it stays
	}
	return fetched{p, id, fp.Records, max(next, p.Offset), end, err}
}
