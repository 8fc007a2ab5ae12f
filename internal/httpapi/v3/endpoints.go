// Package v3 is the REST Proxy's v3 API: its resources and the list of its endpoints. The contract is that of the Confluent REST Proxy;
// where it departs from it docs/compatibility.md says so. Bodies link to the whole surface of v3, also to what is not served here yet.
package v3

import (
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
)

const mediaType = "application/json"

// Config is what an operator can set of this API.
type Config struct {
	Authority string // confluent.resource.name.authority, the authority of crn:// names; "" gives names without one
}

// API serves v3 on one Kafka cluster.
type API struct {
	cfg     Config
	cluster *kafka.Cluster
}

// New makes the API.
func New(cfg Config, cluster *kafka.Cluster) *API { return &API{cfg: cfg, cluster: cluster} }

// Endpoints is the surface of v3. Their names are those of the reference, which calls the change of a topic's partitions "partitions".
func (a *API) Endpoints() []httpapi.Endpoint {
	const (
		clusters = "/v3/clusters"
		topics   = clusters + "/{cluster}/topics"
		topic    = topics + "/{topic}"
	)
	json := []string{mediaType}
	plain := func(name, method, path string, handle func(*httpapi.Call) error) httpapi.Endpoint {
		return httpapi.Endpoint{Name: "api.v3." + name, Method: method, Path: path, Produces: json, Handle: handle}
	}
	withBody := func(name, method, path string, handle func(*httpapi.Call) error) httpapi.Endpoint {
		e := plain(name, method, path, handle)
		e.Consumes, e.NoType = json, true
		return e
	}
	return []httpapi.Endpoint{
		plain("clusters.list", "GET", clusters, a.listClusters),
		plain("clusters.get", "GET", clusters+"/{cluster}", a.getCluster),
		plain("topics.list", "GET", topics, a.listTopics),
		withBody("topics.create", "POST", topics, a.createTopic),
		plain("topics.get", "GET", topic, a.getTopic),
		withBody("topics.partitions", "PATCH", topic, a.growTopic),
		plain("topics.delete", "DELETE", topic, a.deleteTopic),
	}
}
