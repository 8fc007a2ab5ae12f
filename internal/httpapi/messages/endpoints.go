package messages

import "kafkarest/internal/httpapi"

const (
	typeJSON      = "application/json"
	typeNDJSON    = "application/x-ndjson"
	typeMultipart = "multipart/mixed"
)

// Endpoints is the whole surface of the messages API.
func (a *API) Endpoints() []httpapi.Endpoint {
	answers := []string{typeJSON, typeNDJSON, httpapi.ProblemType}
	plain := []string{typeJSON, httpapi.ProblemType}
	list := []httpapi.Endpoint{
		{Name: "api.messages.produce", Method: "POST", Path: "/messages/{topic}", Produces: answers, Handle: a.produceTo},
		{Name: "api.messages.produce", Method: "PUT", Path: "/messages/{topic}", Produces: answers, Handle: a.produceTo},
		{Name: "api.messages.produce-set", Method: "POST", Path: "/messages", Produces: answers, Handle: a.produceSet},
		{Name: "api.messages.tasks.info", Method: "GET", Path: "/tasks", Produces: plain, Handle: a.tasksInfo},
		{Name: "api.messages.tasks.get", Method: "GET", Path: "/tasks/{id}", Produces: plain, Handle: a.getTask},
		{Name: "api.messages.tasks.delete", Method: "DELETE", Path: "/tasks/{id}", Produces: plain, Handle: a.deleteTask},
	}
	list = append(list, a.readEndpoints()...)
	for i := range list {
		if list[i].Details == nil {
			list[i].Details = details
		}
	}
	return list
}
