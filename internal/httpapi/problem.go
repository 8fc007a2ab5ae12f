package httpapi

import (
	"net/http"
	"strings"

	"kafkarest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ProblemType is the media type of RFC 9457.
const ProblemType = "application/problem+json"

// Details are what an API says of an error beside its code and message. Zero values are left out, and Partition when it is less than 0.
type Details struct {
	Name      string `json:"name,omitzero"` // of Kafka's error in upper case, or of one of ours in lower case
	Retriable bool   `json:"retriable"`
	Topic     string `json:"topic,omitzero"`
	Partition *int32 `json:"partition,omitzero"`
	Outcome   string `json:"outcome,omitzero"`
	RequestID string `json:"request_id"`
	// Rest is members beside these, as an object's inside without the braces: "offsets":[…]. nil for none.
	Rest []byte `json:"-"`
}

// fullError is an ErrorBody with details.
type fullError struct {
	ErrorBody
	Details
}

// problem is an error as RFC 9457 writes it; the code and the details are extension members.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   int    `json:"error_code"`
	Details
}

// WantsProblem reports whether Accept names application/problem+json.
func (c *Call) WantsProblem() bool {
	for _, header := range c.R.Header["Accept"] {
		if strings.Contains(header, "problem+json") {
			for _, r := range parseAccept([]string{header}) {
				if r.kind == "application" && r.sub == "problem+json" && r.q > 0 {
					return true
				}
			}
		}
	}
	return false
}

// Fail writes an error reply with details: as a problem when the client asks for it, else with error_code and message. What is not UTF-8, such
// as the name of a topic in a path, is replaced.
func (c *Call) Fail(e *kafkarest.Error, d Details) error {
	c.failure = e
	d.RequestID = c.RequestID
	status := e.Code.Status()
	message := strings.ToValidUTF8(c.message(e), "?")
	var body []byte
	var err error
	if c.WantsProblem() {
		c.Accept = ProblemType
		body, err = json.Marshal(problem{"about:blank", http.StatusText(status), status, message, int(e.Code), d}, jsontext.AllowInvalidUTF8(true))
	} else {
		c.Accept = "application/json"
		body, err = json.Marshal(fullError{ErrorBody{int(e.Code), message}, d}, jsontext.AllowInvalidUTF8(true))
	}
	if err != nil { // the details cannot be written: the error must be
		c.Accept, d.Rest = "application/json", nil
		body, _ = json.Marshal(ErrorBody{int(e.Code), message})
	}
	if len(d.Rest) > 0 {
		body = append(append(append(body[:len(body)-1], ','), d.Rest...), '}')
	}
	c.failureHeaders(e)
	return c.Reply(status, body)
}
