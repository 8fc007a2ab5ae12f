package messages

import (
	"context"
	"errors"
	"net/http"

	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
)

// readFrom serves GET /messages/{topic}/{consumer}/{offset}: what lies at a place and after it. It keeps nothing, so any node answers, and
// the same request gets the same answer.
func (a *API) readFrom(c *httpapi.Call) error {
	topic := c.Param("topic")
	if err := a.Cluster.Topics().Allowed(topic); err != nil {
		return err
	}
	p, err := a.readParams(c, readTakes)
	if err != nil {
		return err
	}
	from, err := startOf(c.Param("offset"))
	if err != nil {
		return err
	}
	if last := c.R.Header.Get("Last-Event-ID"); last != "" && c.Accept == typeEvents {
		from = consume.From{Cursor: last}
	}
	ctx := c.R.Context()
	once := c.Accept != typeEvents && c.Accept != typeNDJSON
	if once && p.limits.Wait <= 0 && from.Last == 0 { // the last N may be many: they have as long for each step
		var cancel context.CancelFunc
		ctx, cancel = a.Cluster.Deadline(ctx)
		defer cancel()
	}
	cursor, err := a.Reader.Start(ctx, topic, p.partitions, from)
	if err != nil {
		return unlessGone(c, err)
	}
	switch c.Accept {
	case typeEvents:
		return a.streamFrom(c, p, cursor, &events{})
	case typeNDJSON:
		return a.streamFrom(c, p, cursor, &lines{})
	}
	return a.readOnce(ctx, c, p, cursor)
}

// readOnce answers with what there is.
func (a *API) readOnce(ctx context.Context, c *httpapi.Call, p *readParams, cursor consume.Cursor) error {
	p.limits.Wait = max(0, p.limits.Wait)
	if c.Accept == typeRaw {
		p.limits.Records = 1
	}
	b, err := a.Reader.Read(ctx, cursor, p.limits)
	if err != nil {
		return unlessGone(c, err)
	}
	defer b.Done()
	next := b.Next.String()
	c.Header().Set("Kafka-Next", next)
	switch {
	case c.Accept != typeRaw && c.Accept != typeMultipart:
		c.Accept = typeJSON
		return c.Reply(http.StatusOK, a.batchBody(c, p, b, next))
	case len(b.Records) == 0:
		return c.NoContent()
	case c.Accept == typeRaw:
		return replyRaw(c, b.Records[0], nil)
	}
	return replyParts(c, b.Records, func(int) *handedOut { return nil })
}

// unlessGone is nothing when the client has gone: there is nobody to tell, and nothing is wrong.
func unlessGone(c *httpapi.Call, err error) error {
	if errors.Is(c.R.Context().Err(), context.Canceled) {
		return nil
	}
	return err
}

func (a *API) batchBody(c *httpapi.Call, p *readParams, b *consume.Batch, next string) []byte {
	size := 64 + len(next)
	for _, r := range b.Records {
		size += len(r.Key) + len(r.Value) + 160
	}
	body := append(make([]byte, 0, size), `{"messages":[`...)
	for i, r := range b.Records {
		if i > 0 {
			body = append(body, ',')
		}
		body = p.render.message(c.R.Context(), body, r, nil)
	}
	body = append(body, `],"next":"`...)
	body = append(append(body, next...), '"')
	if len(b.Gaps) > 0 {
		body = append(body, `,"gaps":[`...)
		for i, g := range b.Gaps {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendGap(body, g)
		}
		body = append(body, ']')
	}
	return append(body, '}')
}
