package v2

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// reply answers 200 with v as JSON.
func reply(c *httpapi.Call, v any) error {
	body, err := json.Marshal(v, json.FormatNilSliceAsNull(false), jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, body)
}

func (a *API) root(c *httpapi.Call) error { return c.Reply(http.StatusOK, []byte("{}")) }

// rootPost takes any JSON object, or nothing.
func (a *API) rootPost(c *httpapi.Call) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	var members map[string]jsontext.Value
	if _, err := httpapi.DecodeJSON(body, &members); err != nil {
		return err
	}
	return a.root(c)
}

func (a *API) listBrokers(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	brokers, err := kafka.Await(kafka.Fresh(ctx), a.cluster.Admin().ListBrokers)
	if err != nil {
		return kafka.Error(err)
	}
	ids := make([]int32, 0, len(brokers))
	for _, b := range brokers {
		ids = append(ids, b.NodeID)
	}
	slices.Sort(ids)
	return reply(c, struct {
		Brokers []int32 `json:"brokers"`
	}{ids})
}

func (a *API) listTopics(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	topics, err := kafka.Await(ctx, func(ctx context.Context) (kadm.TopicDetails, error) {
		return a.cluster.Admin().ListTopics(kafka.Fresh(ctx)) // without internal ones
	})
	if err != nil {
		return kafka.Error(err)
	}
	topics.FilterInternal()
	names := make([]string, 0, len(topics))
	for _, t := range topics.Sorted() {
		if t.Err == nil || !kafka.IsUnknownTopic(t.Err) { // kgo remembers names that others asked for
			names = append(names, t.Topic)
		}
	}
	return reply(c, names)
}

// Topic is the reply of GET /topics/{topic}.
type Topic struct {
	Name       string            `json:"name"`
	Configs    map[string]string `json:"configs"` // all of them, defaults too
	Partitions []Partition       `json:"partitions"`
}

// Partition is one partition of a topic.
type Partition struct {
	Partition int32     `json:"partition"`
	Leader    int32     `json:"leader"` // -1 when there is none
	Replicas  []Replica `json:"replicas"`
}

// Replica is one replica of a partition.
type Replica struct {
	Broker int32 `json:"broker"`
	Leader bool  `json:"leader"`
	InSync bool  `json:"in_sync"`
}

func (a *API) getTopic(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	name := c.Param("topic")
	partitions, err := a.partitions(ctx, name)
	if err != nil {
		return err
	}
	described, err := kafka.Await(ctx, func(ctx context.Context) (kadm.ResourceConfigs, error) {
		return a.cluster.Admin().DescribeTopicConfigs(ctx, name)
	})
	if err != nil {
		return kafka.Error(err)
	}
	topic := Topic{Name: name, Configs: map[string]string{}, Partitions: partitions}
	for _, rc := range described {
		if rc.Err != nil {
			return kafka.ForTopic(name, rc.Err)
		}
		for _, cfg := range rc.Configs {
			topic.Configs[cfg.Key] = cfg.MaybeValue()
		}
	}
	return reply(c, topic)
}

// partitions describes a topic, in the order of the partitions' numbers.
func (a *API) partitions(ctx context.Context, name string) ([]Partition, error) {
	if err := a.cluster.Topics().Allowed(name); err != nil {
		return nil, err
	}
	if !kafka.ValidName(name) {
		return nil, kafka.ForTopic(name, kerr.InvalidTopicException)
	}
	topics, err := kafka.Await(ctx, func(ctx context.Context) (kadm.TopicDetails, error) {
		return a.cluster.Admin().ListTopicsWithInternal(kafka.Fresh(ctx), name)
	})
	if err != nil {
		return nil, kafka.Error(err)
	}
	detail := topics[name]
	if detail.Err != nil {
		return nil, kafka.ForTopic(name, detail.Err)
	}
	if len(detail.Partitions) == 0 {
		return nil, kafka.ForTopic(name, kerr.UnknownTopicOrPartition)
	}
	list := make([]Partition, 0, len(detail.Partitions))
	for _, p := range detail.Partitions.Sorted() {
		list = append(list, describe(p))
	}
	return list, nil
}

func describe(p kadm.PartitionDetail) Partition {
	out := Partition{Partition: p.Partition, Leader: p.Leader, Replicas: make([]Replica, 0, len(p.Replicas))}
	for _, r := range p.Replicas {
		out.Replicas = append(out.Replicas, Replica{r, r == p.Leader, slices.Contains(p.ISR, r)})
	}
	return out
}

func (a *API) listPartitions(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	partitions, err := a.partitions(ctx, c.Param("topic"))
	if err != nil {
		return err
	}
	return reply(c, partitions)
}

// partitionParam reads {partition}: what is no integer is no path of this API (contract §1.0).
func partitionParam(c *httpapi.Call) (int32, error) {
	n, err := strconv.ParseInt(c.Param("partition"), 10, 32)
	if err != nil {
		return 0, httpapi.NotFound(err)
	}
	return int32(n), nil
}

func errPartitionNotFound() error {
	return &kafkarest.Error{Code: kafkarest.CodePartitionNotFound, Message: "Partition not found."}
}

// onePartition finds the partition that the path names.
func (a *API) onePartition(ctx context.Context, c *httpapi.Call) (Partition, error) {
	n, err := partitionParam(c)
	if err != nil {
		return Partition{}, err
	}
	partitions, err := a.partitions(ctx, c.Param("topic"))
	if err != nil {
		return Partition{}, err
	}
	i := slices.IndexFunc(partitions, func(p Partition) bool { return p.Partition == n })
	if i < 0 {
		return Partition{}, errPartitionNotFound()
	}
	return partitions[i], nil
}

func (a *API) getPartition(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	p, err := a.onePartition(ctx, c)
	if err != nil {
		return err
	}
	return reply(c, p)
}

func (a *API) getOffsets(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	p, err := a.onePartition(ctx, c)
	if err != nil {
		return err
	}
	topic := c.Param("topic")
	begin, err := a.offset(ctx, a.cluster.Admin().ListStartOffsets, topic, p.Partition)
	if err != nil {
		return err
	}
	end, err := a.offset(ctx, a.cluster.Admin().ListEndOffsets, topic, p.Partition)
	if err != nil {
		return err
	}
	return reply(c, struct {
		Beginning int64 `json:"beginning_offset"`
		End       int64 `json:"end_offset"`
	}{begin, end})
}

// lister asks for offsets of topics.
type lister func(context.Context, ...string) (kadm.ListedOffsets, error)

// offset gives one offset. What passes by itself, as after the election of a leader, is tried again until the deadline.
func (a *API) offset(ctx context.Context, list lister, topic string, p int32) (int64, error) {
	const again = 100 * time.Millisecond
	for {
		o, err := a.offsetOnce(ctx, list, topic, p)
		if !kerr.IsRetriable(err) || kafka.IsUnknownTopic(err) {
			return o, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return 0, kafka.Error(ctx.Err())
		}
	}
}

func (a *API) offsetOnce(ctx context.Context, list lister, topic string, p int32) (int64, error) {
	listed, err := kafka.Await(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return list(ctx, topic) })
	var partial *kadm.ShardErrors
	if err != nil && !errors.As(err, &partial) {
		return 0, kafka.Error(err)
	}
	o, ok := listed.Lookup(topic, p)
	switch {
	case !ok && err != nil:
		return 0, kafka.Error(err)
	case !ok:
		return 0, errPartitionNotFound()
	case o.Err != nil:
		return 0, kafka.ForTopic(topic, o.Err)
	}
	return o.Offset, nil
}
