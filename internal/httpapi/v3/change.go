package v3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// UpdatePartitionCountRequest is the body of PATCH.
type UpdatePartitionCountRequest struct {
	PartitionsCount *httpapi.Int `json:"partitions_count"`
}

// readGrowth reads the body of PATCH.
func readGrowth(c *httpapi.Call) (int, error) {
	var req UpdatePartitionCountRequest
	body, err := c.Body()
	if err != nil {
		return 0, err
	}
	present, err := httpapi.DecodeJSON(body, &req)
	switch {
	case err != nil:
		return 0, err
	case !present:
		return 0, errPayload("Request body is empty. Partitions_count is required.")
	case req.PartitionsCount == nil:
		return 0, errNull("UpdatePartitionCountRequest", "partitionsCount")
	}
	n, err := inRange("partitions_count", req.PartitionsCount, math.MaxInt32)
	return int(n), err
}

// growTopic adds partitions. It looks at everything before it changes anything, a wrong cluster id included, where the reference adds the
// partitions and then answers 404 (contract §8.1). As there, an unknown topic is told before a wrong cluster.
func (a *API) growTopic(c *httpapi.Call) error {
	n, err := readGrowth(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	name := c.Param("topic")
	if !kafka.ValidName(name) {
		return kafka.ForTopic(name, kerr.UnknownTopicOrPartition)
	}
	if err := a.cluster.Topics().Allowed(name); err != nil {
		return err
	}
	m, err := a.cluster.Admin().Metadata(kafka.Fresh(ctx), name)
	if err != nil {
		return kafka.ForTopic(name, err)
	}
	topic := m.Topics[name]
	if err := loadError(topic); err != nil {
		return err
	}
	if err := sameCluster(c, m); err != nil {
		return err
	}
	if has := len(topic.Partitions); n <= has {
		return kafkarest.Errorf(kafkarest.CodeInvalidArgument,
			"Topic '%s' has %d partition(s) and partitions_count is %d: partitions can only be added.", name, has, n)
	}
	if topic, err = a.addPartitions(ctx, topic, n); err != nil {
		return err
	}
	out := a.place(c, m.Cluster).describeTopic(topic, false)
	out.PartitionsCount = max(out.PartitionsCount, n)
	return reply(c, http.StatusOK, out)
}

// addPartitions gives the topic as it is afterwards, or as it was when no broker shows the change in time.
func (a *API) addPartitions(ctx context.Context, topic kadm.TopicDetail, n int) (kadm.TopicDetail, error) {
	answers, err := a.cluster.Admin().UpdatePartitions(ctx, n, topic.Topic)
	if err != nil {
		return topic, changeError(topic.Topic, "have got its partitions", err, "")
	}
	if answer := answers[topic.Topic]; answer.Err != nil {
		return topic, changeError(topic.Topic, "have got its partitions", answer.Err, answer.ErrMessage)
	}
	grown, ok := a.settle(ctx, topic.Topic, func(s sight) bool { return s.err == nil && s.partitions >= n })
	if !ok {
		return topic, nil
	}
	return grown, nil
}

func (a *API) deleteTopic(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	if err := a.checkCluster(ctx, c); err != nil {
		return err
	}
	name := c.Param("topic")
	if err := a.cluster.Topics().Allowed(name); err != nil {
		return err
	}
	answer, err := a.cluster.Admin().DeleteTopic(ctx, name)
	if err != nil {
		return changeError(name, "be deleted", err, answer.ErrMessage)
	}
	a.cluster.Topics().Forget(name)
	a.settle(ctx, name, func(s sight) bool {
		var none kadm.TopicID
		return kafka.IsUnknownTopic(s.err) || answer.ID != none && s.id != none && s.id != answer.ID // made again at once, by somebody's first use
	})
	return c.NoContent()
}

// changeError turns an error of a request that changes a topic into the published one, whose text is the broker's own if it gave one.
// A request that was not answered may have been carried out: what says what would have come of the topic.
func changeError(topic, what string, err error, text string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kerr.RequestTimedOut) {
		return kafkarest.Wrap(kafkarest.CodeInDoubt, err,
			fmt.Sprintf("The outcome is unknown: Kafka did not answer by the deadline, and topic '%s' may or may not %s. A GET tells.", topic, what))
	}
	published := kafkarest.AsError(kafka.ForTopic(topic, err))
	if kafka.IsUnknownTopic(err) || !errors.As(err, new(*kerr.Error)) {
		return published
	}
	if text == "" && errors.Is(err, kerr.TopicAlreadyExists) {
		text = fmt.Sprintf("Topic '%s' already exists.", topic)
	}
	if text == "" {
		return published
	}
	return kafkarest.Wrap(published.Code, err, text)
}
