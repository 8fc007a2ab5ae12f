package messages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
)

// ForwardConfig is what an operator's other settings mean for acknowledgements that reach a node which does not have the partition.
type ForwardConfig struct {
	Reach   consume.Reach // how other nodes reach this one; with port 0 it is the listener by which the first request of a queue has come
	Timeout time.Duration // how long another node may take; 0 is 30 s
}

// headerForwarded is on each request that a node has sent on: nobody sends it on again. It is on the answer, with notHere, when the receiver
// does not have the partition either.
const (
	headerForwarded = "Kafka-Rest-Forwarded"
	notHere         = "elsewhere"
)

// settlePatience is how long a request waits for a group that is being rebalanced, and settlePause for how long at first and at the most
// before it looks again.
const (
	settlePatience  = 3 * time.Second
	settlePause     = 50 * time.Millisecond
	settlePauseMost = 400 * time.Millisecond
)

// answerMost is how many bytes of another node's answer are read: errors are the longest, and far shorter.
const answerMost = 64 << 10

// errAgain is the cause of errors that may be over in a moment.
var errAgain = errors.New("look again")

func again(why string) error {
	return &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: time.Second, Err: errAgain, Message: why + " Send the request again."}
}

// newNodesClient makes the client for other nodes. It takes no proxy from the environment, follows no redirect, asks for no compression and speaks
// HTTP/1.1; connections are kept for less time than a server keeps them.
func newNodesClient() *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		DisableCompression:     true,
		MaxConnsPerHost:        64,
		MaxIdleConnsPerHost:    32,
		MaxIdleConns:           256,
		IdleConnTimeout:        10 * time.Second,
		MaxResponseHeaderBytes: answerMost,
	}
}

// reach is how other nodes reach this one.
func (a *API) reach(c *httpapi.Call) consume.Reach {
	if a.cfg.Forward.Reach.Port != 0 {
		return a.cfg.Forward.Reach
	}
	addr, ok := c.R.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return consume.Reach{}
	}
	if c.R.TLS != nil {
		return consume.Reach{Scheme: "https", Port: uint16(addr.Port)}
	}
	return consume.Reach{Scheme: "http", Port: uint16(addr.Port)}
}

// atOwner settles a message here if this node has the partition, and else has the node do it that has. Only when nobody reads the topic does
// this node join the group for it.
func (a *API) atOwner(c *httpapi.Call, partition int32, do func(*consume.Queue) error) error {
	topic, consumer, err := a.queueNames(c)
	if err != nil {
		return err
	}
	s := &settling{a: a, c: c, topic: topic, consumer: consumer, partition: partition, do: do}
	if c.R.Header.Get(headerForwarded) != "" {
		return s.here()
	}
	until, pause := time.Now().Add(settlePatience), settlePause
	for tries := 1; ; tries++ {
		err := s.once()
		if !errors.Is(err, errAgain) || tries > 1 && time.Now().Add(pause).After(until) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-c.R.Context().Done():
			return err
		}
		pause = min(2*pause, settlePauseMost)
	}
}

// settling is one acknowledgement, release or renewal on its way to the node that has the partition.
type settling struct {
	a               *API
	c               *httpapi.Call
	topic, consumer string
	partition       int32
	do              func(*consume.Queue) error
}

// here is for a request that another node has sent on.
func (s *settling) here() error {
	if q, ok := s.a.Queues.Find(s.topic, s.consumer); ok {
		err := s.do(q)
		if errors.Is(err, consume.ErrElsewhere) {
			s.c.Header().Set(headerForwarded, notHere)
		}
		return err
	}
	s.c.Header().Set(headerForwarded, notHere)
	return kafkarest.Errorf(kafkarest.CodeLeaseLost, "lease_lost: partition %d is not with this node, to which another one has sent the request.", s.partition)
}

// once is one look at who has the partition. Errors with errAgain as their cause may be over in a moment.
func (s *settling) once() error {
	q, ok := s.a.Queues.Find(s.topic, s.consumer)
	var elsewhere error
	if ok {
		if elsewhere = s.do(q); !errors.Is(elsewhere, consume.ErrElsewhere) {
			return elsewhere
		}
	}
	owner, err := s.a.Queues.Owner(s.c.R.Context(), s.topic, s.consumer, s.partition)
	switch {
	case err != nil:
		return err
	case owner.Standing == consume.OwnedByNode:
		return s.forward(owner)
	case owner.Standing == consume.OwnedByForeign:
		return kafkarest.Errorf(kafkarest.CodeLeaseLost, "lease_lost: partition %d is with a member of the group that no request can be sent on to: "+
			"it is none of these proxies, or Kafka sees it at an address of its own.", s.partition)
	case !ok && owner.Standing != consume.Unsettled:
		return s.join(owner)
	case owner.Standing == consume.Unknowable:
		return elsewhere
	}
	return s.unsettled()
}

func (s *settling) unsettled() error {
	return again(fmt.Sprintf("The group is being rebalanced, and partition %d is with nobody for now.", s.partition))
}

// join makes this node a member: nobody else is, or it may not be known.
func (s *settling) join(owner consume.Owner) error {
	q, err := s.a.queue(s.c, "")
	if err != nil {
		return err
	}
	if err = s.do(q); errors.Is(err, consume.ErrElsewhere) && owner.Standing == consume.OwnedByNobody {
		return s.unsettled() // another node has joined at the same time
	}
	return err
}

// forward sends the request on, as it has come, and passes the answer back.
func (s *settling) forward(owner consume.Owner) error {
	if owner.Scheme != "http" {
		return kafkarest.Errorf(kafkarest.CodeLeaseLost, "lease_lost: partition %d is with a node that has listeners of https only, which no certificate "+
			"can name by the address at which Kafka sees it: send the request to the node that handed the message out.", s.partition)
	}
	ctx, cancel := context.WithTimeout(s.c.R.Context(), s.a.cfg.Forward.Timeout)
	defer cancel()
	resp, err := s.a.nodes.RoundTrip(s.request(owner).WithContext(ctx))
	if err != nil {
		return s.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get(headerForwarded) == notHere {
		s.a.Queues.Misled(s.topic, s.consumer, s.partition, owner)
		return s.unsettled()
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost+1))
	if err != nil {
		return s.unreachable(err)
	}
	return s.pass(resp, body)
}

// request is what is sent on: the method, the path and the query as they came, and of the headers those that shape the answer. Nothing else of
// a client's request is another node's business.
func (s *settling) request(owner consume.Owner) *http.Request {
	in := s.c.R
	header := http.Header{
		headerForwarded: {"1"},
		"User-Agent":    {"kafka-rest"},
		"X-Request-Id":  {s.c.RequestID},
		// All three kinds of request have the same effect when they come twice. This tells net/http so, and is not sent.
		"X-Idempotency-Key": {},
	}
	for _, name := range []string{"Accept", "Prefer"} {
		if values := in.Header[name]; len(values) > 0 {
			header[name] = values
		}
	}
	target := &url.URL{Scheme: owner.Scheme, Host: owner.Addr.String(), Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery}
	return &http.Request{Method: in.Method, URL: target, Host: target.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// unreachable is for an owner that gives no answer. The request may have got there.
func (s *settling) unreachable(cause error) error {
	return &kafkarest.Error{Code: kafkarest.CodeRetryLater, RetryAfter: time.Second, Err: cause, Message: fmt.Sprintf(
		"The node that has partition %d gives no answer: it is down, or cannot be reached from this one. Send the request again, or to the node that "+
			"handed the message out; if that has died, the group gives the partition to another within some seconds.", s.partition)}
}

// pass gives the client the answer of the owner. Only what a proxy can answer is passed on, so that an address at which something else listens
// puts no words into this node's mouth.
func (s *settling) pass(resp *http.Response, body []byte) error {
	if resp.StatusCode == http.StatusNoContent {
		return s.c.NoContent()
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != typeJSON && kind != httpapi.ProblemType || len(body) > answerMost || resp.StatusCode != http.StatusOK && resp.StatusCode < 400 {
		return s.unreachable(fmt.Errorf("status %d with %d bytes of %q is no answer of a proxy", resp.StatusCode, len(body), kind))
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		if _, err := strconv.ParseUint(after, 10, 16); err == nil {
			s.c.Header().Set("Retry-After", after)
		}
	}
	s.c.Accept = kind
	return s.c.Reply(resp.StatusCode, body)
}
