package messages

import (
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
)

// ReadConfig is what an operator can set of reading. Zero values stand for the defaults.
type ReadConfig struct {
	MaxWait       time.Duration // most that wait= gets; 0 is 60 s
	MaxLimit      int           // most that limit= gets; 0 is 10,000
	MaxBytes      int64         // most that max_bytes= gets; 0 is 16 MiB
	MaxAckTimeout time.Duration // most that ack_timeout=, delay= and a renewal get; 0 is 12 h
	Heartbeat     time.Duration // between the comments of an event stream that has nothing to say; 0 is 15 s
}

func (c *ReadConfig) defaults() {
	orDefault(&c.MaxWait, time.Minute)
	orDefault(&c.MaxLimit, 10_000)
	orDefault(&c.MaxBytes, 16<<20)
	orDefault(&c.MaxAckTimeout, 12*time.Hour)
	orDefault(&c.Heartbeat, 15*time.Second)
}

const (
	typeEvents = "text/event-stream"
	typeRaw    = "application/octet-stream"
)

// readEndpoints are those of reading and acknowledging.
func (a *API) readEndpoints() []httpapi.Endpoint {
	reads := []string{typeJSON, typeEvents, typeNDJSON, typeMultipart, typeRaw, httpapi.ProblemType}
	plain := []string{typeJSON, httpapi.ProblemType}
	const queue, message = "/messages/{topic}/{consumer}", "/messages/{topic}/{consumer}/{offset}"
	list := []httpapi.Endpoint{
		{Name: "api.messages.read", Method: "GET", Path: message, Produces: reads, Handle: a.readFrom},
		{Name: "api.messages.receive", Method: "GET", Path: queue, Produces: reads, Handle: a.receive},
		{Name: "api.messages.acknowledge", Method: "DELETE", Path: message, Produces: plain, Handle: a.acknowledge},
		{Name: "api.messages.release", Method: "POST", Path: message + "/release", Produces: plain, Handle: a.release},
		{Name: "api.messages.renew", Method: "POST", Path: message + "/renew", Produces: plain, Handle: a.renew},
		{Name: "api.messages.leave", Method: "DELETE", Path: queue, Produces: plain, Handle: a.leave},
	}
	for i := range list {
		list[i].Details = readDetails
	}
	return list
}

// readNames are the names of errors that reading alone has.
var readNames = map[kafkarest.Code]string{kafkarest.CodeLeaseLost: "lease_lost", kafkarest.CodeCursorGone: "cursor_gone"}

func readDetails(c *httpapi.Call, err *kafkarest.Error) httpapi.Details {
	d := details(c, err)
	if name := readNames[err.Code]; name != "" {
		d.Name = name
	}
	return d
}
