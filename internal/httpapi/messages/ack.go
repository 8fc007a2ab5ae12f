package messages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"

	"github.com/twmb/franz-go/pkg/kgo"
)

// queueNames are the topic and the consumer of a path that names a queue.
func (a *API) queueNames(c *httpapi.Call) (topic, consumer string, err error) {
	topic, consumer = c.Param("topic"), c.Param("consumer")
	if err := a.Cluster.Topics().Allowed(topic); err != nil {
		return "", "", err
	}
	if slices.Contains([]string{"-", ".", ".."}, consumer) || len(consumer) > 249 { // clients take dots out of a path: nothing could be acknowledged
		return "", "", unprocessable("A queue needs a consumer with a name of 1 to 249 characters, not -, . or ..; it is the name of its Kafka consumer group.")
	}
	return topic, consumer, nil
}

// queue opens the queue that a path names.
func (a *API) queue(c *httpapi.Call, from consume.Reset) (*consume.Queue, error) {
	topic, consumer, err := a.queueNames(c)
	if err != nil {
		return nil, err
	}
	return a.Queues.Open(c.R.Context(), topic, consumer, consume.OpenOptions{From: from, Reach: a.reach(c)})
}

// receive serves GET /messages/{topic}/{consumer}: the next messages that nobody holds.
func (a *API) receive(c *httpapi.Call) error {
	p, err := a.readParams(c, receiveTakes)
	if err != nil {
		return err
	}
	if (p.maxDeliveries == 0) != (p.deadLetter == "") {
		return unprocessable("max_deliveries and dead_letter_topic go together.")
	}
	if p.deadLetter == c.Param("topic") {
		return unprocessable("dead_letter_topic is the topic itself: its dead letters would be delivered again.")
	}
	if p.deadLetter != "" {
		if err := a.Cluster.Topics().Allowed(p.deadLetter); err != nil {
			return err
		}
		if err := a.Queues.CheckDeadLetter(c.R.Context(), p.deadLetter); err != nil {
			return err
		}
	}
	if c.R.Method == http.MethodHead { // it must not change anything, and holding messages does
		return a.headQueue(c)
	}
	q, err := a.queue(c, p.from)
	if err != nil {
		return unlessGone(c, err)
	}
	opts := consume.ReceiveOptions{Limits: p.limits, Hold: p.ackTimeout, MaxDeliveries: p.maxDeliveries, DeadLetter: p.deadLetter}
	switch c.Accept {
	case typeEvents:
		return a.streamQueue(c, p, q, opts, &events{})
	case typeNDJSON:
		return a.streamQueue(c, p, q, opts, &lines{})
	case typeRaw:
		opts.Records = 1
	}
	h, err := q.Receive(c.R.Context(), opts)
	if err != nil {
		return unlessGone(c, err)
	}
	if errors.Is(c.R.Context().Err(), context.Canceled) { // nobody is left to take them
		h.Release()
		return nil
	}
	c.Flushed = p.auto
	if !p.auto && len(h.Records) > 0 {
		c.OnLost(h.Release)
	}
	err = a.replyHandout(c, p, h)
	if err == nil && p.auto {
		err = c.Flush()
	}
	if err != nil {
		h.Release()
		return err
	}
	if p.auto {
		return a.acknowledgeAll(h)
	}
	return nil
}

// headQueue refuses what GET would refuse, without joining a group.
func (a *API) headQueue(c *httpapi.Call) error {
	topic, _, err := a.queueNames(c)
	if err != nil {
		return err
	}
	if err := a.Queues.CheckTopic(c.R.Context(), topic); err != nil {
		return unlessGone(c, err)
	}
	return c.NoContent()
}

// acknowledgeAll is ack=auto: the reply has left.
func (a *API) acknowledgeAll(h *consume.Handout) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return h.Acknowledge(ctx)
}

func (a *API) replyHandout(c *httpapi.Call, p *readParams, h *consume.Handout) error {
	base := ackBase(c)
	switch {
	case c.Accept != typeRaw && c.Accept != typeMultipart:
		c.Accept = typeJSON
		body := []byte(`{"messages":[`)
		for i := range h.Records {
			if i > 0 {
				body = append(body, ',')
			}
			body = p.render.message(c.R.Context(), body, h.Records[i].Record, ticket(base, &h.Records[i]))
		}
		return c.Reply(http.StatusOK, append(body, "]}"...))
	case len(h.Records) == 0:
		return c.NoContent()
	case c.Accept == typeRaw:
		return replyRaw(c, h.Records[0].Record, ticket(base, &h.Records[0]))
	}
	records := make([]*kgo.Record, len(h.Records))
	for i := range h.Records {
		records[i] = h.Records[i].Record
	}
	return replyParts(c, records, func(i int) *handedOut { return ticket(base, &h.Records[i]) })
}

// ackBase is what the ack URLs of a reply have in common.
func ackBase(c *httpapi.Call) string {
	return c.RootURL() + "/messages/" + url.PathEscape(c.Param("topic")) + "/" + url.PathEscape(c.Param("consumer")) + "/"
}

func ticket(base string, h *consume.Held) *handedOut {
	return &handedOut{held: h, ack: base + strconv.FormatInt(h.Offset, 10) + "?partition=" + strconv.Itoa(int(h.Partition)) + "&lease=" + leaseText(h.Lease)}
}

// streamHeld is how many messages of a stream may be held when the request does not say.
const streamHeld = 100

// streamQueue hands messages out as they come, while the client holds fewer than limit of them.
func (a *API) streamQueue(c *httpapi.Call, p *readParams, q *consume.Queue, opts consume.ReceiveOptions, as notation) error {
	if !p.auto {
		opts.Holder, opts.MostHeld = &consume.Holder{}, streamHeld
		if p.limits.Records > 0 {
			opts.MostHeld = p.limits.Records
		}
		defer q.ReleaseAll(opts.Holder)
	}
	opts.Limits = consume.Limits{Records: chunk.Records, Bytes: chunk.Bytes, Wait: a.cfg.Read.Heartbeat}
	s := &streaming{c: c, as: as, heartbeat: a.cfg.Read.Heartbeat}
	if err := s.open(); err != nil {
		return err
	}
	base := ackBase(c)
	return s.run(func(ctx context.Context) error {
		h, err := q.Receive(ctx, opts)
		if err != nil {
			return err
		}
		if len(h.Records) == 0 {
			if ctx.Err() == nil && !draining(c) {
				return context.DeadlineExceeded // the queue's own wait was over first
			}
			return ctx.Err()
		}
		for i := range h.Records {
			s.line = p.render.message(ctx, s.line[:0], h.Records[i].Record, ticket(base, &h.Records[i]))
			s.buf = as.message(s.buf, s.line, "")
		}
		err = c.R.Context().Err() // a write to a client that has just gone may seem to succeed
		if err == nil {
			err = s.flush()
		}
		if err != nil {
			h.Release()
			return err
		}
		if p.auto {
			return a.acknowledgeAll(h)
		}
		return nil
	})
}

func draining(c *httpapi.Call) bool {
	select {
	case <-c.Draining():
		return true
	default:
		return false
	}
}

// settle finds the message that a path and its query name, on whichever node it is.
func (a *API) settle(c *httpapi.Call, takes []string, do func(q *consume.Queue, p *readParams, partition int32, offset int64) error) error {
	p, err := a.readParams(c, takes)
	if err != nil {
		return err
	}
	offset, err := offsetParam(c)
	if err != nil {
		return err
	}
	if len(p.partitions) == 0 {
		return unprocessable("partition= is needed beside the offset: use the ack URL of the message as it is.")
	}
	return unlessGone(c, a.atOwner(c, p.partitions[0], func(q *consume.Queue) error { return do(q, p, p.partitions[0], offset) }))
}

// acknowledge serves DELETE /messages/{topic}/{consumer}/{offset}. 204 says that it is committed.
func (a *API) acknowledge(c *httpapi.Call) error {
	return a.settle(c, acknowledgeTakes, func(q *consume.Queue, p *readParams, partition int32, offset int64) error {
		if err := q.Acknowledge(c.R.Context(), partition, offset, p.lease, p.upTo); err != nil {
			return err
		}
		return c.NoContent()
	})
}

// release serves POST …/release: the message may go to another client.
func (a *API) release(c *httpapi.Call) error {
	return a.settle(c, releaseTakes, func(q *consume.Queue, p *readParams, partition int32, offset int64) error {
		if err := q.Release(c.R.Context(), partition, offset, p.lease, p.delay); err != nil {
			return err
		}
		return c.NoContent()
	})
}

// renew serves POST …/renew: the message is held for so long from now.
func (a *API) renew(c *httpapi.Call) error {
	return a.settle(c, renewTakes, func(q *consume.Queue, p *readParams, partition int32, offset int64) error {
		orDefault(&p.ackTimeout, 30*time.Second)
		deadline, err := q.Renew(c.R.Context(), partition, offset, p.lease, p.ackTimeout)
		if err != nil {
			return err
		}
		c.Accept = typeJSON
		return c.Reply(http.StatusOK, []byte(`{"deadline":"`+timeText(deadline)+`"}`))
	})
}

// leave serves DELETE /messages/{topic}/{consumer}: this node leaves the group. Committed progress stays.
func (a *API) leave(c *httpapi.Call) error {
	if err := a.Cluster.Topics().Allowed(c.Param("topic")); err != nil {
		return err
	}
	a.Queues.Leave(c.Param("topic"), c.Param("consumer"))
	return c.NoContent()
}
