package v3

import (
	"context"
	"fmt"
	"net/http"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Cluster is the resource KafkaCluster.
type Cluster struct {
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	ClusterID  string   `json:"cluster_id"`
	Controller *Link    `json:"controller"` // null when the brokers know none

	ACLs                   Link `json:"acls"`
	Brokers                Link `json:"brokers"`
	BrokerConfigs          Link `json:"broker_configs"`
	ConsumerGroups         Link `json:"consumer_groups"`
	Topics                 Link `json:"topics"`
	PartitionReassignments Link `json:"partition_reassignments"`
}

const kindCluster = "KafkaCluster"

func (p place) describeCluster(controller int32) Cluster {
	out := Cluster{
		Kind: kindCluster, Metadata: p.metadata("", ""), ClusterID: p.cluster,
		ACLs: p.link("/acls"), Brokers: p.link("/brokers"), BrokerConfigs: p.link("/broker-configs"),
		ConsumerGroups: p.link("/consumer-groups"), Topics: p.link("/topics"),
		PartitionReassignments: p.link("/topics/-/partitions/-/reassignment"),
	}
	if controller >= 0 {
		link := p.link(fmt.Sprintf("/brokers/%d", controller))
		out.Controller = &link
	}
	return out
}

func (a *API) listClusters(c *httpapi.Call) error {
	m, err := a.askCluster(c)
	if err != nil {
		return err
	}
	own := a.place(c, m.Cluster).describeCluster(m.Controller)
	return reply(c, http.StatusOK, newList(kindCluster, clustersURL(c), []Cluster{own}))
}

func (a *API) getCluster(c *httpapi.Call) error {
	m, err := a.askCluster(c)
	if err != nil {
		return err
	}
	if c.Param("cluster") != m.Cluster {
		return httpapi.NotFound(nil)
	}
	return reply(c, http.StatusOK, a.place(c, m.Cluster).describeCluster(m.Controller))
}

func (a *API) askCluster(c *httpapi.Call) (kadm.Metadata, error) {
	ctx, cancel := a.cluster.Deadline(c.R.Context())
	defer cancel()
	m, err := a.cluster.Admin().BrokerMetadata(kafka.Fresh(ctx))
	if err != nil {
		return kadm.Metadata{}, kafka.Error(err)
	}
	return m, nil
}

// checkCluster refuses a request for another cluster than this one, whose id the Kafka client has at hand.
func (a *API) checkCluster(ctx context.Context, c *httpapi.Call) error {
	m, err := a.cluster.Admin().BrokerMetadata(ctx)
	if err != nil {
		return kafka.Error(err)
	}
	return sameCluster(c, m)
}

func sameCluster(c *httpapi.Call, m kadm.Metadata) error {
	if id := c.Param("cluster"); id != m.Cluster {
		return kafkarest.Errorf(kafkarest.CodeNotFound, "Cluster %s cannot be found.", id)
	}
	return nil
}
