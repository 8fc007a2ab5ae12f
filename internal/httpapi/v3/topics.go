package v3

import (
	"net/http"
	"strings"

	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Topic is the resource KafkaTopic.
type Topic struct {
	Kind              string   `json:"kind"`
	Metadata          Metadata `json:"metadata"`
	ClusterID         string   `json:"cluster_id"`
	TopicName         string   `json:"topic_name"`
	IsInternal        bool     `json:"is_internal"`
	ReplicationFactor int      `json:"replication_factor"`
	PartitionsCount   int      `json:"partitions_count"`

	Partitions             Link `json:"partitions"`
	Configs                Link `json:"configs"`
	PartitionReassignments Link `json:"partition_reassignments"`

	AuthorizedOperations []string `json:"authorized_operations"` // empty unless asked for; a set
}

const kindTopic = "KafkaTopic"

// newTopic has everything but the counts.
func (p place) newTopic(name string) Topic {
	path := "/topics/" + name
	return Topic{
		Kind: kindTopic, Metadata: p.metadata(path, "/topic="+name), ClusterID: p.cluster, TopicName: name,
		Partitions: p.link(path + "/partitions"), Configs: p.link(path + "/configs"),
		PartitionReassignments: p.link(path + "/partitions/-/reassignment"),
		AuthorizedOperations:   []string{},
	}
}

func (p place) describeTopic(d kadm.TopicDetail, operations bool) Topic {
	out := p.newTopic(d.Topic)
	out.IsInternal = d.IsInternal
	out.PartitionsCount = len(d.Partitions)
	out.ReplicationFactor = len(d.Partitions[0].Replicas)
	if operations {
		for _, op := range d.AuthorizedOperations {
			out.AuthorizedOperations = append(out.AuthorizedOperations, op.String())
		}
	}
	return out
}

// flag reads a boolean query parameter: whatever is not "true" is false.
func flag(c *httpapi.Call, name string) bool {
	return strings.EqualFold(c.R.URL.Query().Get(name), "true")
}

func (a *API) listTopics(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	operations := flag(c, "includeAuthorizedOperations") // camel case here, snake case for one topic
	if operations {
		ctx = kadm.WithAuthorizedOps(ctx)
	}
	m, err := a.cluster.Admin().Metadata(ctx)
	if err != nil {
		return kafka.Error(err)
	}
	if err := sameCluster(c, m); err != nil {
		return err
	}
	at := a.place(c, m.Cluster)
	topics := make([]Topic, 0, len(m.Topics))
	for _, d := range m.Topics.Sorted() {
		if d.IsInternal || kafka.IsUnknownTopic(d.Err) { // the client also remembers names that it was asked for and that do not exist
			continue
		}
		if err := loadError(d); err != nil {
			return err
		}
		topics = append(topics, at.describeTopic(d, operations))
	}
	return reply(c, http.StatusOK, newList(kindTopic, at.url+"/topics", topics))
}

// loadError says why a topic of a metadata reply cannot be described.
func loadError(d kadm.TopicDetail) error {
	switch {
	case d.Err != nil:
		return kafka.ForTopic(d.Topic, d.Err)
	case len(d.Partitions) == 0:
		return kafka.ForTopic(d.Topic, kerr.UnknownTopicOrPartition)
	}
	return nil
}

func (a *API) getTopic(c *httpapi.Call) error {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	name := c.Param("topic")
	if !kafka.ValidName(name) {
		if err := a.checkCluster(ctx, c); err != nil {
			return err
		}
		return kafka.ForTopic(name, kerr.InvalidTopicException)
	}
	m, err := a.cluster.Admin().Metadata(kafka.Fresh(ctx), name)
	if err != nil {
		return kafka.ForTopic(name, err)
	}
	if err := sameCluster(c, m); err != nil {
		return err
	}
	if err := loadError(m.Topics[name]); err != nil {
		return err
	}
	return reply(c, http.StatusOK, a.place(c, m.Cluster).describeTopic(m.Topics[name], flag(c, "include_authorized_operations")))
}
