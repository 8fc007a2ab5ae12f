// Package httpapi is the HTTP kit: an endpoint as data, mounting with media-type dispatch, content negotiation, the one error writer, and
// what surrounds every request (request id, log line, CORS, limits, deadlines). It knows nothing of Kafka.
package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"kafkarest"
)

// Endpoint is one row of an API's surface. Several may share a method and path: they differ by what they consume or produce.
type Endpoint struct {
	Name     string   // as in the allow and block lists, such as "api.v2.topics.list"
	Method   string   // HEAD is answered by GET's endpoint
	Path     string   // a net/http ServeMux pattern without method, such as "/topics/{topic}"; "/{$}" for the root
	Consumes []string // media types of the request body; nil takes any Content-Type, and the body is not looked at
	// NoType says that a request without Content-Type belongs to this endpoint, where several share a path.
	NoType bool
	// AlwaysOn keeps the endpoint reachable whatever the allow and block lists say.
	AlwaysOn bool
	Produces []string // media types of the reply, in the server's order of preference
	Handle   func(*Call) error
	// Details adds to the bodies of this endpoint's errors, and lets them be problems (RFC 9457). nil is the bare ErrorBody. It is called for errors
	// before an endpoint is chosen too, such as 404, where the path begins as this one's does: with Call.Endpoint nil.
	Details func(*Call, *kafkarest.Error) Details
}

// Call is one request on its way: it is the http.ResponseWriter that handlers write to, and knows what was negotiated.
type Call struct {
	http.ResponseWriter
	R           *http.Request
	Endpoint    *Endpoint // nil until one was chosen
	ContentType string    // the media type of the request body as the endpoint lists it, "" when the request has none
	Accept      string    // the media type of the reply
	RequestID   string
	Flushed     bool // the handler will Flush its reply, which then needs a Content-Length from the start

	server    *Server
	start     time.Time
	status    int
	written   int64
	read      int64
	failure   *kafkarest.Error // what the error writer wrote, for the log line
	body      requestBody
	bodyUntil time.Time // when the body must have come, besides what its bytes earn; zero without a body
	conn      *conn     // nil with HTTP/2, and in tests without one

	typeHeader, idHeader [1]string // memory for two header values that every reply has
}

// Unwrap lets http.ResponseController reach the connection.
func (c *Call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader notes the status for the log line.
func (c *Call) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes for the log line.
func (c *Call) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	n, err := c.ResponseWriter.Write(p)
	c.written += int64(n)
	return n, err
}

// Flush sends what was written of the reply, before the handler returns.
func (c *Call) Flush() error {
	if err := http.NewResponseController(c.ResponseWriter).Flush(); err != nil {
		return &clientGone{err}
	}
	return nil
}

// Param is the value of a wildcard of the path, percent-decoded.
func (c *Call) Param(name string) string { return c.R.PathValue(name) }

// NoContent answers 204.
func (c *Call) NoContent() error {
	c.WriteHeader(http.StatusNoContent)
	return nil
}

// Reply writes the whole body with the negotiated media type, compressed when the client and the configuration want it.
// A failure to write is returned so that a handler that must know whether the client can have got it does; the error writer keeps
// quiet about it, since the status is out.
func (c *Call) Reply(status int, body []byte) error {
	c.typeHeader[0] = c.Accept
	c.Header()["Content-Type"] = c.typeHeader[:]
	if c.server.cfg.Compression && len(body) >= compressMin && acceptsGzip(c.R.Header) {
		return c.replyGzip(status, body)
	}
	return c.writeAll(status, body)
}

// writeAll writes in pieces: the connection gives the client the write timeout to take each (see Conn).
func (c *Call) writeAll(status int, body []byte) error {
	const piece, counted = 64 << 10, 2 << 10 // net/http itself counts a reply that fits its first buffer
	if len(body) > counted || c.Flushed || c.R.Method == http.MethodHead {
		c.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	c.WriteHeader(status)
	for len(body) > 0 {
		n, err := c.Write(body[:min(piece, len(body))])
		if err != nil {
			return &clientGone{err}
		}
		body = body[n:]
	}
	return nil
}

// clientGone marks a failure to write the reply: there is nobody left to tell.
type clientGone struct{ err error }

func (e *clientGone) Error() string { return "write the reply: " + e.err.Error() }
func (e *clientGone) Unwrap() error { return e.err }
