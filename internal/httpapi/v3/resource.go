package v3

import (
	"kafkarest"
	"kafkarest/internal/httpapi"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Metadata is the member metadata of every resource.
type Metadata struct {
	Self         string `json:"self"`
	ResourceName string `json:"resource_name"`
}

// Link is how a resource refers to another.
type Link struct {
	Related string `json:"related"`
}

// List is the envelope of resources of one kind.
type List[T any] struct {
	Kind     string       `json:"kind"`
	Metadata ListMetadata `json:"metadata"`
	Data     []T          `json:"data"`
}

// ListMetadata is the member metadata of a List.
type ListMetadata struct {
	Self string  `json:"self"`
	Next *string `json:"next"` // always null: there are no pages
}

func newList[T any](kind, self string, data []T) List[T] {
	return List[T]{Kind: kind + "List", Metadata: ListMetadata{Self: self}, Data: data}
}

// place is where a cluster's resources are, for one request: the base of their URLs and of their resource names. Neither has its segments
// percent-encoded (contract §1.0, §3.1).
type place struct {
	cluster string // its id
	url     string // http://host/v3/clusters/ID
	crn     string // crn://authority/kafka=ID
}

func (a *API) place(c *httpapi.Call, cluster string) place {
	return place{cluster: cluster, url: clustersURL(c) + "/" + cluster, crn: "crn://" + a.cfg.Authority + "/kafka=" + cluster}
}

func clustersURL(c *httpapi.Call) string { return c.RootURL() + "/v3/clusters" }

func (p place) link(path string) Link { return Link{p.url + path} }

// metadata names a resource by its path below the cluster, and by the rest of its resource name.
func (p place) metadata(path, name string) Metadata { return Metadata{p.url + path, p.crn + name} }

// reply answers with v as JSON.
func reply(c *httpapi.Call, status int, v any) error {
	body, err := json.Marshal(v, json.FormatNilSliceAsNull(false), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	return c.Reply(status, body)
}

func errPayload(message string) error {
	return kafkarest.Errorf(kafkarest.CodeInvalidPayload, "Payload error. %s", message)
}
