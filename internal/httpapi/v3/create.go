package v3

import (
	"context"
	"fmt"
	"net/http"

	"kafkarest/internal/httpapi"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *API) createTopic(c *httpapi.Call) error {
	want, err := readNewTopic(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	if err := a.checkCluster(ctx, c); err != nil {
		return err
	}
	if err := want.check(); err != nil {
		return err
	}
	if err := a.cluster.Topics().Allowed(want.name); err != nil {
		return err
	}
	made, err := a.create(ctx, want)
	if err != nil {
		return err
	}
	at, status := a.place(c, c.Param("cluster")), http.StatusOK
	out := at.newTopic(want.name)
	out.PartitionsCount, out.ReplicationFactor = int(made.NumPartitions), int(made.ReplicationFactor)
	if !want.validateOnly {
		status = http.StatusCreated
		if topic, ok := a.settle(ctx, want.name, made.shownBy); ok {
			out = at.describeTopic(topic, false)
		}
	}
	c.Header().Set("Location", out.Metadata.Self)
	return reply(c, status, out)
}

// created is Kafka's answer, with its counts as effective: those that it leaves out, as old brokers do, are the ones that were asked for.
type created struct{ kadm.CreateTopicResponse }

// shownBy reports whether a broker shows the topic, and not an older one of the same name.
func (t created) shownBy(s sight) bool {
	var none kadm.TopicID
	return s.err == nil && s.partitions > 0 && s.partitions >= int(t.NumPartitions) && (t.ID == none || s.id == none || s.id == t.ID)
}

func (a *API) create(ctx context.Context, want newTopic) (created, error) {
	send := a.createByCounts
	if len(want.assignments) > 0 {
		send = a.createByAssignments
	}
	answer, err := send(ctx, want)
	if err == nil {
		err = answer.Err
	}
	if err != nil {
		return created{}, changeError(want.name, "have been created", err, answer.ErrMessage)
	}
	if answer.NumPartitions < 1 || answer.ReplicationFactor < 1 {
		answer.NumPartitions, answer.ReplicationFactor = want.partitions, want.replicas
		if replicas, ok := want.assignments[0]; ok {
			answer.NumPartitions, answer.ReplicationFactor = int32(len(want.assignments)), int16(len(replicas))
		}
	}
	return created{answer}, nil
}

func (a *API) createByCounts(ctx context.Context, want newTopic) (kadm.CreateTopicResponse, error) {
	send := a.cluster.Admin().CreateTopics
	if want.validateOnly {
		send = a.cluster.Admin().ValidateCreateTopics
	}
	answers, err := send(ctx, want.partitions, want.replicas, want.configs, want.name)
	if err != nil {
		return kadm.CreateTopicResponse{}, err
	}
	return answers.On(want.name, nil)
}

// createByAssignments is for what the admin client has no method for.
func (a *API) createByAssignments(ctx context.Context, want newTopic) (kadm.CreateTopicResponse, error) {
	resp, err := want.request().RequestWith(ctx, a.cluster.Client())
	if err != nil {
		return kadm.CreateTopicResponse{}, err
	}
	if len(resp.Topics) != 1 {
		return kadm.CreateTopicResponse{}, fmt.Errorf("create of one topic was answered for %d", len(resp.Topics))
	}
	t := resp.Topics[0]
	answer := kadm.CreateTopicResponse{Topic: t.Topic, ID: t.TopicID, Err: kerr.ErrorForCode(t.ErrorCode),
		NumPartitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
	if t.ErrorMessage != nil {
		answer.ErrMessage = *t.ErrorMessage
	}
	return answer, nil
}
