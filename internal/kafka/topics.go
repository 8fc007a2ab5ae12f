package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topics knows which topics exist and how many partitions they have, so that a record for one that does not exist is refused before it
// reaches the shared producer, where it would hold up metadata for all others. Answers are kept: good ones until an error casts doubt or
// they are five minutes old, bad ones for a second (topic.cache.ms). Names that are asked for at the same time share requests.
type Topics struct {
	client   *kgo.Client
	request  time.Duration      // of one metadata request
	appear   time.Duration      // how long an unknown topic may take to appear
	negative time.Duration      // how long it is remembered that a topic does not exist
	onGone   func(topic string) // a topic that was known is gone
	denied   []string           // never changed

	mu     sync.Mutex
	known  map[string]*topic
	queue  []string // names to ask for, each with an entry in asking
	asking map[string]*lookup
	sweep  time.Time

	work   chan struct{} // a token: the queue has something
	stop   context.CancelFunc
	closed chan struct{}
	wg     sync.WaitGroup

	autoCreate      bool // what the brokers say of auto.create.topics.enable; true when they do not tell
	autoCreateKnown time.Time
}

const (
	topicFresh    = 5 * time.Minute
	lookupWorkers = 4
	lookupBatch   = 200
)

type topic struct {
	partitions int32
	err        error
	until      time.Time
}

type lookup struct {
	done       chan struct{}
	started    time.Time
	partitions int32
	err        error
}

func newTopics(client *kgo.Client, request, appear, negative time.Duration) *Topics {
	ctx, stop := context.WithCancel(context.Background())
	t := &Topics{client: client, request: request, appear: appear, negative: negative, onGone: func(string) {}, known: map[string]*topic{},
		asking: map[string]*lookup{}, work: make(chan struct{}, lookupWorkers), stop: stop, closed: make(chan struct{})}
	for range lookupWorkers {
		t.wg.Go(func() { t.run(ctx) })
	}
	return t
}

func (t *Topics) close() {
	close(t.closed)
	t.stop()
	t.wg.Wait()
}

// ValidName reports whether Kafka would take the name: 1 to 249 of ASCII letters, digits, '.', '_' and '-', but not "." or "..".
func ValidName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// Allowed returns CodeForbidden for a topic of the proxy's own, which holds what belongs to other clients. Whoever lets a client name a
// topic asks this first; the rooms that keep something in such a topic use clients of the Cluster and no directory.
func (t *Topics) Allowed(name string) error {
	if !slices.Contains(t.denied, name) {
		return nil
	}
	return kafkarest.Errorf(kafkarest.CodeForbidden, "Not authorized to access topics: [%s]: the topic is the proxy's own.", name)
}

// AllowedByPattern are the options for a consumer that finds its topics by a regular expression: it passes over those that are not Allowed.
func (t *Topics) AllowedByPattern() []kgo.Opt {
	if len(t.denied) == 0 {
		return nil
	}
	exact := make([]string, 0, len(t.denied))
	for _, name := range t.denied {
		exact = append(exact, "^"+regexp.QuoteMeta(name)+"$")
	}
	return []kgo.Opt{kgo.ConsumeExcludeTopics(exact...)}
}

// Partitions gives the number of partitions of a topic, which the broker may create on this occasion when it is set to.
// Errors, as for a record to produce: CodeKafka for an illegal name, CodeKafkaRetriable for a topic that does not exist (with
// kerr.UnknownTopicOrPartition as its cause) or a broker that does not answer, CodeForbidden, for one that is not Allowed too.
func (t *Topics) Partitions(ctx context.Context, name string) (int32, error) {
	return t.Wait(ctx, t.Begin(name))
}

// Answer is what Begin has for Wait.
type Answer struct {
	name       string
	partitions int32
	err        error
	lookup     *lookup // nil when the answer is there
	asked      time.Time
}

// Known reports whether Wait will give the answer at once.
func (a *Answer) Known() bool { return a.lookup == nil }

// Begin is Partitions without the waiting: whoever asks for several topics begins with all before Wait gives the first answer.
func (t *Topics) Begin(name string) Answer {
	if err := t.Allowed(name); err != nil {
		return Answer{err: err}
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	stale := t.known[name]
	if stale != nil && now.Before(stale.until) {
		return Answer{partitions: stale.partitions, err: stale.err}
	}
	if !ValidName(name) {
		return Answer{err: kafkarest.Wrap(kafkarest.CodeKafka, kerr.InvalidTopicException, fmt.Sprintf("Invalid topics: [%s]", name))}
	}
	l := t.ask(name, now)
	if stale != nil && stale.err == nil { // old, and still the best we have: the answer renews it for the next
		return Answer{partitions: stale.partitions}
	}
	return Answer{name: name, lookup: l, asked: now}
}

// Wait gives the answer to Begin, with the errors of Partitions.
func (t *Topics) Wait(ctx context.Context, a Answer) (int32, error) {
	if a.lookup == nil {
		return a.partitions, a.err
	}
	select {
	case <-a.lookup.done:
		return a.lookup.partitions, a.lookup.err
	case <-ctx.Done():
		return 0, kafkarest.Wrap(kafkarest.CodeKafkaRetriable, ctx.Err(),
			fmt.Sprintf("Topic %s not present in metadata after %d ms.", a.name, time.Since(a.asked).Milliseconds()))
	case <-t.closed:
		return 0, Error(kgo.ErrClientClosed)
	}
}

// ask joins a lookup that is under way, or starts one. t.mu is held.
func (t *Topics) ask(name string, now time.Time) *lookup {
	l := t.asking[name]
	if l == nil {
		l = &lookup{done: make(chan struct{}), started: now}
		t.asking[name] = l
		t.enqueue(name)
	}
	return l
}

func (t *Topics) enqueue(name string) {
	t.queue = append(t.queue, name)
	select {
	case t.work <- struct{}{}:
	default: // every worker has a token already, and takes all there is
	}
}

// Renew asks for a topic anew, for a caller that has reason to believe that it has changed.
func (t *Topics) Renew(ctx context.Context, name string) (int32, error) {
	t.mu.Lock()
	if e := t.known[name]; e != nil && time.Since(e.until.Add(-topicFresh)) > 50*time.Millisecond { // not just learned
		delete(t.known, name)
	}
	t.mu.Unlock()
	return t.Partitions(ctx, name)
}

// Forget is for a topic that was deleted or changed by us.
func (t *Topics) Forget(name string) {
	t.mu.Lock()
	delete(t.known, name)
	t.mu.Unlock()
}

// doubt forgets a topic that an error says is not what we think it is.
func (t *Topics) doubt(name string, err error) {
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID) {
		t.mu.Lock()
		delete(t.known, name)
		t.mu.Unlock()
	}
	if errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID) { // deleted and made again
		t.onGone(name)
	}
}

func (t *Topics) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.work:
		}
		for names := t.take(); len(names) > 0; names = t.take() {
			t.lookup(ctx, names)
		}
	}
}

func (t *Topics) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.queue), lookupBatch)
	names := t.queue[:n:n]
	t.queue = t.queue[n:]
	return names
}

// lookup asks the broker for names and settles each, or puts it back when it may still appear.
func (t *Topics) lookup(ctx context.Context, names []string) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true // as the Java producer does: the broker's auto.create.topics.enable decides
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = new(name)
		req.Topics = append(req.Topics, topic)
	}
	deadline, cancel := context.WithTimeout(ctx, t.request)
	resp, err := req.RequestWith(deadline, t.client)
	cancel()
	if err != nil {
		for _, name := range names {
			t.settle(name, 0, kafkarest.Wrap(kafkarest.CodeKafkaRetriable, err, fmt.Sprintf("Topic %s: no broker answered a metadata request.", name)))
		}
		return
	}
	var absent []string
	open := make(map[string]bool, len(names)) // those without an answer: whoever waits for them must get one
	for _, name := range names {
		open[name] = true
	}
	for _, rt := range resp.Topics {
		if rt.Topic == nil || !open[*rt.Topic] {
			continue
		}
		name, kafkaErr := *rt.Topic, kerr.ErrorForCode(rt.ErrorCode)
		delete(open, name)
		switch {
		case kafkaErr == nil && len(rt.Partitions) > 0:
			t.settle(name, int32(len(rt.Partitions)), nil)
		case kafkaErr == nil, errors.Is(kafkaErr, kerr.UnknownTopicOrPartition), errors.Is(kafkaErr, kerr.LeaderNotAvailable):
			absent = append(absent, name)
		default:
			t.settle(name, 0, ProduceError(name, true, kafkaErr))
		}
	}
	for name := range open {
		t.settle(name, 0, kafkarest.Errorf(kafkarest.CodeKafkaRetriable, "Topic %s: the broker's metadata say nothing of it.", name))
	}
	if len(absent) > 0 {
		t.await(ctx, absent, t.mayAppear(ctx))
	}
}

// await settles topics that are not there as unknown, unless the broker may be about to create them.
func (t *Topics) await(ctx context.Context, names []string, mayAppear bool) {
	const again = 50 * time.Millisecond
	now := time.Now()
	var retry []string
	for _, name := range names {
		t.mu.Lock()
		l := t.asking[name]
		t.mu.Unlock()
		if waited := now.Sub(l.started); !mayAppear || waited+again > t.appear {
			t.settle(name, 0, kafkarest.Wrap(kafkarest.CodeKafkaRetriable, kerr.UnknownTopicOrPartition,
				fmt.Sprintf("Topic %s not present in metadata after %d ms.", name, waited.Milliseconds())))
			continue
		}
		retry = append(retry, name)
	}
	if len(retry) == 0 {
		return
	}
	t.wg.Go(func() { // not on this worker: other names need not wait
		timer := time.NewTimer(again)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, name := range retry {
			t.enqueue(name)
		}
	})
}

// settle answers everyone who waits for name.
func (t *Topics) settle(name string, partitions int32, err error) {
	now := time.Now()
	e := &topic{partitions: partitions, err: err, until: now.Add(topicFresh)}
	if err != nil {
		e.until = now.Add(t.negative)
	}
	t.mu.Lock()
	before := t.known[name]
	t.known[name] = e
	l := t.asking[name]
	delete(t.asking, name)
	if now.Sub(t.sweep) > time.Second { // a flood of names must not stay in memory
		t.sweep = now
		for k, v := range t.known {
			if now.After(v.until.Add(topicFresh)) || v.err != nil && now.After(v.until) {
				delete(t.known, k)
			}
		}
	}
	t.mu.Unlock()
	if l != nil {
		l.partitions, l.err = partitions, err
		close(l.done)
	}
	if before != nil && before.err == nil && errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.onGone(name)
	}
}

// mayAppear asks the brokers, at most once a minute, whether they create topics on first use: if they do not, an unknown topic is known
// to be unknown at once.
func (t *Topics) mayAppear(ctx context.Context) bool {
	t.mu.Lock()
	known, value := time.Since(t.autoCreateKnown) < time.Minute, t.autoCreate
	t.mu.Unlock()
	if known {
		return value
	}
	value = true
	deadline, cancel := context.WithTimeout(ctx, t.request)
	defer cancel()
	adm := kadm.NewClient(t.client)
	if brokers, err := adm.ListBrokers(deadline); err == nil && len(brokers) > 0 {
		if configs, err := adm.DescribeBrokerConfigs(deadline, brokers[0].NodeID); err == nil {
			for _, rc := range configs {
				for _, c := range rc.Configs {
					if c.Key == "auto.create.topics.enable" && c.Value != nil {
						value = *c.Value == "true"
					}
				}
			}
		}
	}
	t.mu.Lock()
	t.autoCreate, t.autoCreateKnown = value, time.Now()
	t.mu.Unlock()
	return value
}
