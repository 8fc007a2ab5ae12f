package httpapi

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kafkarest"

	"github.com/go-json-experiment/json"
)

// ErrorBody is the body of every error reply.
type ErrorBody struct {
	ErrorCode int    `json:"error_code"`
	Message   string `json:"message"`
}

func errNotFound(cause error) error {
	return &kafkarest.Error{Code: kafkarest.CodeNotFound, Message: "HTTP 404 Not Found", Err: cause}
}

// NotFound is the bare 404: no such endpoint, or a path or query parameter that should be a number and is not (contract §1.0).
func NotFound(cause error) error { return errNotFound(cause) }

func errMethod() error {
	return &kafkarest.Error{Code: kafkarest.CodeMethodNotAllowed, Message: "HTTP 405 Method Not Allowed"}
}

// finish is the one place that writes errors. The cause is for the log alone, unless debug is on.
func (c *Call) finish(err error) {
	if err == nil {
		return
	}
	if gone := (*clientGone)(nil); errors.As(err, &gone) {
		return
	}
	e := kafkarest.AsError(err)
	c.failure = e
	if c.status != 0 {
		return // the reply has begun; the log line tells
	}
	if details := c.details(); details != nil {
		_ = c.Fail(e, details(c, e))
		return
	}
	if c.Endpoint == nil || c.Accept == "" {
		c.Accept = c.preferredType()
	}
	c.failureHeaders(e)
	body, err := json.Marshal(ErrorBody{int(e.Code), c.message(e)})
	if err != nil { // the message is not UTF-8
		body, _ = json.Marshal(ErrorBody{int(e.Code), strings.ToValidUTF8(c.message(e), "?")})
	}
	_ = c.Reply(e.Code.Status(), body)
}

// details is the Details of the endpoint. Where none was chosen they are those of the API whose paths begin as the request's does: its clients
// are promised the same errors for a path or a method that does not exist.
func (c *Call) details() func(*Call, *kafkarest.Error) Details {
	if c.Endpoint != nil {
		return c.Endpoint.Details
	}
	return c.server.details[firstSegment(c.R.URL.Path)]
}

func firstSegment(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}

func (c *Call) failureHeaders(e *kafkarest.Error) {
	if e.RetryAfter > 0 {
		c.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Code == kafkarest.CodeTooLarge || e.Code == kafkarest.CodeRequestTimeout {
		c.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
}

// message is the public text; with debug=true HTTP-level and unexpected errors also show their cause, in the words of the reference.
func (c *Call) message(e *kafkarest.Error) string {
	if !c.server.cfg.Debug || e.Code > 999 {
		return e.Message
	}
	class := map[kafkarest.Code]string{404: "NotFoundException", 405: "NotAllowedException", 406: "NotAcceptableException",
		415: "NotSupportedException"}[e.Code]
	if class == "" {
		class = http.StatusText(e.Code.Status())
	}
	return fmt.Sprintf("%s\n%s: %v", e.Message, class, e)
}

// preferredType is the media type of an error for which no endpoint negotiated one: the first element of Accept that is literally one of
// response.mediatype.preferred, else response.mediatype.default (contract §4.1, the row of 415).
func (c *Call) preferredType() string {
	for _, header := range c.R.Header["Accept"] {
		for element := range strings.SplitSeq(header, ",") {
			if element = strings.TrimSpace(element); slices.Contains(c.server.cfg.PreferTypes, element) {
				return element
			}
		}
	}
	return c.server.cfg.DefaultType
}
