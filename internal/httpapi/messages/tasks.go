package messages

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"
	"kafkarest/internal/task"

	"github.com/go-json-experiment/json"
)

// principal is who sends a request. Nobody is told apart yet.
func principal(*httpapi.Call) string { return "" }

// deliverTask sends the messages as a task: one that the client asks about later, or one whose answer can be given again.
func (a *API) deliverTask(c *httpapi.Call, p *params, messages []produce.Message, body [sha256.Size]byte) error {
	if p.callback != "" {
		if err := a.Tasks.CheckCallback(p.callback); err != nil {
			return err
		}
	}
	b := task.Beginning{Owner: principal(c), Async: p.async, Callback: p.callback, Key: p.idemKey, Scope: c.Param("topic"), Size: sizeOf(messages)}
	if p.async && severalTopics(messages) {
		b.Size += int64(len(messages)) * topicsCost
	}
	if p.idemKey != "" {
		b.Print = fingerprint(c.R, body)
		if earlier, err := a.Tasks.Earlier(c.R.Context(), b); err != nil || earlier != nil {
			return a.orReplay(c, earlier, err)
		}
	}
	p.set.Messages, p.set.Later = messages, p.async
	batch, err := a.Produce.Prepare(c.R.Context(), &p.set)
	if err != nil {
		return err
	}
	if !batch.Pending() { // nothing can be sent: there is nothing to wait for
		return reply(c, messages, batch.Results())
	}
	id, earlier, err := a.Tasks.Begin(c.R.Context(), b)
	if err != nil || earlier != nil {
		batch.Drop()
		return a.orReplay(c, earlier, err)
	}
	if p.async {
		a.later.Send(batch, produce.Tag(id))
		return a.accepted(c, id)
	}
	finished := make(chan struct{})
	batch.Send(func() { a.finishTask(id, batch, false, func() { close(finished) }) })
	return a.awaitTask(c, batch, messages, finished)
}

// topicsCost is what a record on its way takes in the Kafka client and here, beside its bytes. Those of a task wait as bytes, a window of them
// excepted, but for tasks of several topics.
const topicsCost = 1 << 10

func severalTopics(messages []produce.Message) bool {
	return slices.ContainsFunc(messages, func(m produce.Message) bool { return m.Topic != messages[0].Topic })
}

// sizeOf is what messages take of the budget of tasks, and about what their outcomes will.
func sizeOf(messages []produce.Message) (n int64) {
	for i := range messages {
		n += int64(len(messages[i].Key) + len(messages[i].Value) + 96)
		for _, h := range messages[i].Headers {
			n += int64(len(h.Key) + len(h.Value))
		}
	}
	return n
}

// finishTask records what became of a task's messages, and then calls finished. It runs on a goroutine of the Kafka client.
func (a *API) finishTask(id task.ID, batch *produce.Batch, async bool, finished func()) {
	var t tally
	results := batch.Results()
	result := appendOffsets(nil, func(i int) target { return target{batch.Topic(i), results[i].Partition} }, results, &t)
	if !async && t.stored+t.doubt == 0 { // nothing has happened: the same key may try again
		a.Tasks.Forget(id)
		finished()
		return
	}
	a.Tasks.Finish(id, t.taskStatus(), t.status(), result, finished)
}

// awaitTask answers a request that is no task to its client, once its outcome is kept.
func (a *API) awaitTask(c *httpapi.Call, batch *produce.Batch, messages []produce.Message, finished <-chan struct{}) error {
	batch.Wait(c.R.Context())
	if batch.Settled() {
		const most = 5 * time.Second
		timer := time.NewTimer(most)
		defer timer.Stop()
		select {
		case <-finished:
		case <-timer.C:
		case <-c.R.Context().Done():
		}
	}
	return reply(c, messages, batch.Results())
}

// accepted answers 202; with Prefer: wait= beside respond-async it waits first, and answers 202 only if the task is not final by then
// (RFC 7240 §4.3).
func (a *API) accepted(c *httpapi.Call, id task.ID) error {
	wait, _ := a.wait(c.R.Header)
	if wait == 0 {
		t, err := a.Tasks.Get(c.R.Context(), id, principal(c))
		if err != nil {
			return err
		}
		return replyAccepted(c, t)
	}
	ctx, cancel := context.WithTimeout(c.R.Context(), wait)
	defer cancel()
	stop := endWith(c.Draining(), cancel)
	defer stop()
	t, err := a.Tasks.Wait(ctx, id, principal(c))
	if err != nil {
		return err
	}
	if t.Status != task.Pending {
		return answerFinal(c, t)
	}
	return replyAccepted(c, t)
}

func location(id task.ID) string { return "/tasks/" + id.String() }

func replyAccepted(c *httpapi.Call, t *task.Task) error {
	c.Header().Set("Location", location(t.ID))
	c.Header().Set("Preference-Applied", "respond-async")
	c.Accept = typeJSON
	return c.Reply(http.StatusAccepted, t.AppendJSON(nil))
}

// wait reads Prefer: wait=SECONDS, within what is allowed.
func (a *API) wait(h http.Header) (time.Duration, bool) {
	for _, header := range h["Prefer"] {
		for element := range strings.SplitSeq(header, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(element), "=")
			if !ok || !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";") // parameters, of which none is known
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if errors.Is(err, strconv.ErrRange) {
				return a.cfg.MaxWait, true
			}
			if err != nil {
				return 0, false // a preference that cannot be read is none
			}
			return min(time.Duration(n)*time.Second, a.cfg.MaxWait), true
		}
	}
	return 0, false
}

// endWith calls end when done is closed, until what it returns is called.
func endWith(done <-chan struct{}, end func()) (stop func()) {
	stopped := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-done:
			end()
		case <-stopped:
		}
	}()
	return func() {
		close(stopped)
		<-gone
	}
}

// getTask serves GET /tasks/{id}.
func (a *API) getTask(c *httpapi.Call) error {
	id, err := taskParam(c)
	if err != nil {
		return err
	}
	wait, applied := a.wait(c.R.Header)
	ctx, cancel := context.WithTimeout(c.R.Context(), wait)
	defer cancel()
	if wait > 0 {
		stop := endWith(c.Draining(), cancel)
		defer stop()
		c.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	if wait == 0 || !applied {
		ctx = c.R.Context()
	}
	get := a.Tasks.Get
	if wait > 0 {
		get = a.Tasks.Wait
	}
	t, err := get(ctx, id, principal(c))
	if err != nil {
		return err
	}
	c.Accept = typeJSON
	c.Header().Set("Cache-Control", "no-store")
	return c.Reply(http.StatusOK, t.AppendJSON(nil))
}

func taskParam(c *httpapi.Call) (task.ID, error) {
	id, ok := task.ParseID(c.Param("id"))
	if !ok {
		return id, kafkarest.Errorf(kafkarest.CodeTaskNotFound, "There is no such task.")
	}
	return id, nil
}

// deleteTask serves DELETE /tasks/{id}.
func (a *API) deleteTask(c *httpapi.Call) error {
	id, err := taskParam(c)
	if err != nil {
		return err
	}
	if err := a.Tasks.Delete(c.R.Context(), id, principal(c)); err != nil {
		return err
	}
	return c.NoContent()
}

// tasksInfo serves GET /tasks: how tasks are kept here, and how many there are.
func (a *API) tasksInfo(c *httpapi.Call) error {
	body, err := json.Marshal(a.Tasks.Info())
	if err != nil {
		return err
	}
	c.Accept = typeJSON
	return c.Reply(http.StatusOK, body)
}
