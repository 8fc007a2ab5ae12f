// Package v2 is the REST Proxy's v2 API: its wire types and the list of its endpoints. The contract is that of the Confluent REST Proxy;
// where it departs from it docs/compatibility.md says so.
package v2

import (
	"strings"

	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"
)

// mediaType is that of every reply but records.
const mediaType = "application/vnd.kafka.v2+json"

// Config is what an operator can set of this API.
type Config struct {
	IncludeHeaders   bool // every record reply has the member headers, not only those asked for with include=
	IncludeTimestamp bool // and timestamp
	StrictStatus     bool // a produce request of which nothing was stored is not answered with 200
	MaxRecords       int  // of one produce request; 0 is 10,000
	MaxDepth         int  // of the JSON of a key or value; 0 is 1,000
}

// API serves v2 on the rooms below.
type API struct {
	cfg       Config
	cluster   *kafka.Cluster
	produce   *produce.Service
	consumers *consume.Manager
	formats   format.Table
}

// New makes the API.
func New(cfg Config, cluster *kafka.Cluster, p *produce.Service, consumers *consume.Manager, formats format.Table) *API {
	if cfg.MaxRecords == 0 {
		cfg.MaxRecords = 10_000
	}
	if cfg.MaxDepth == 0 {
		cfg.MaxDepth = format.MaxDepth
	}
	return &API{cfg: cfg, cluster: cluster, produce: p, consumers: consumers, formats: formats}
}

// embeddedType is the media type of a format.
func embeddedType(f format.Format) string { return "application/vnd.kafka." + f.Name() + ".v2+json" }

// listName is how a format is written in the names of allow and block lists.
func listName(f format.Format) string {
	return strings.Replace(f.Name(), "jsonschema", "json-schema", 1)
}

// methodName is how a format is written in the names of the reference's Java methods, which are part of validation messages.
func methodName(f format.Format) string {
	if f.Name() == "jsonschema" {
		return "JsonSchema"
	}
	return strings.ToUpper(f.Name()[:1]) + f.Name()[1:]
}

// Endpoints is the whole surface of v2.
func (a *API) Endpoints() []httpapi.Endpoint {
	v2 := []string{mediaType}
	embedded := []string{mediaType}
	for _, f := range a.formats {
		embedded = append(embedded, embeddedType(f))
	}
	list := []httpapi.Endpoint{
		{Name: "api.v2.root.get", Method: "GET", Path: "/{$}", Produces: v2, Handle: a.root},
		{Name: "api.v2.root.post", Method: "POST", Path: "/{$}", Consumes: v2, NoType: true, Produces: v2, Handle: a.rootPost},
		{Name: "api.v2.brokers.list", Method: "GET", Path: "/brokers", Produces: v2, Handle: a.listBrokers},
		{Name: "api.v2.topics.list", Method: "GET", Path: "/topics", Produces: v2, Handle: a.listTopics},
		{Name: "api.v2.topics.get", Method: "GET", Path: "/topics/{topic}", Produces: v2, Handle: a.getTopic},
		{Name: "api.v2.partitions.list", Method: "GET", Path: "/topics/{topic}/partitions", Produces: v2, Handle: a.listPartitions},
		{Name: "api.v2.partitions.get", Method: "GET", Path: "/topics/{topic}/partitions/{partition}", Produces: v2, Handle: a.getPartition},
		{Name: "api.v2.partitions.get-offsets", Method: "GET", Path: "/topics/{topic}/partitions/{partition}/offsets", Produces: v2, Handle: a.getOffsets},
	}
	for _, f := range a.formats {
		list = append(list, a.formatEndpoints(f, v2)...)
	}
	const instance = "/consumers/{group}/instances/{instance}"
	consumer := func(name, method, path string, withBody bool, handle func(*httpapi.Call) error) httpapi.Endpoint {
		e := httpapi.Endpoint{Name: "api.v2.consumers." + name, Method: method, Path: path, Produces: embedded, Handle: handle}
		if withBody {
			e.Consumes, e.NoType = embedded, true
		}
		return e
	}
	return append(list,
		consumer("create", "POST", "/consumers/{group}", true, a.createInstance),
		consumer("delete", "DELETE", instance, false, a.deleteInstance),
		consumer("subscribe", "POST", instance+"/subscription", true, a.with(a.subscribe)),
		consumer("get-subscription", "GET", instance+"/subscription", false, a.with(a.subscription)),
		consumer("unsubscribe", "DELETE", instance+"/subscription", false, a.with(a.unsubscribe)),
		consumer("assign", "POST", instance+"/assignments", true, a.with(a.assign)),
		consumer("get-assignments", "GET", instance+"/assignments", false, a.with(a.assignments)),
		consumer("seek-to-offset", "POST", instance+"/positions", true, a.with(a.seek)),
		consumer("seek-to-beginning", "POST", instance+"/positions/beginning", true, a.with(a.seekBeginning)),
		consumer("seek-to-end", "POST", instance+"/positions/end", true, a.with(a.seekEnd)),
		consumer("commit-offsets", "POST", instance+"/offsets", true, a.with(a.commit)),
		consumer("get-committed-offsets", "GET", instance+"/offsets", true, a.with(a.committed)),
	)
}

// formatEndpoints are those that each embedded format has of its own. The binary format comes first in the table: it is the one of
// requests that name none.
func (a *API) formatEndpoints(f format.Format, v2 []string) []httpapi.Endpoint {
	consumes, binary := []string{embeddedType(f)}, f.Name() == "binary"
	reads := []string{embeddedType(f)}
	if binary {
		reads = append(reads, mediaType)
	}
	return []httpapi.Endpoint{
		{Name: "api.v2.produce-to-topic." + listName(f), Method: "POST", Path: "/topics/{topic}",
			Consumes: consumes, NoType: binary, Produces: v2, Handle: a.produceTo(f)},
		{Name: "api.v2.produce-to-partition." + listName(f), Method: "POST", Path: "/topics/{topic}/partitions/{partition}",
			Consumes: consumes, NoType: binary, Produces: v2, Handle: a.produceTo(f)},
		{Name: "api.v2.consumers.consume-" + listName(f), Method: "GET", Path: "/consumers/{group}/instances/{instance}/records",
			Produces: reads, Handle: a.with(a.readAs(f))},
	}
}
