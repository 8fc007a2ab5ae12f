package messages

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"
	"kafkarest/internal/task"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const replayedHeader = "Idempotent-Replayed"

// fingerprint tells requests with the same Idempotency-Key apart: by all that has an effect on what is stored. When and where the client wants
// to hear of it has none.
func fingerprint(r *http.Request, body [sha256.Size]byte) (out [sha256.Size]byte) {
	var lines []string
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Kafka-") && name != "Kafka-Callback" || name == "Content-Type" || name == "Content-Encoding" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	hash := sha256.New()
	hash.Write([]byte(r.URL.EscapedPath() + "?" + storedQuery(r.URL.RawQuery) + "\n" + strings.Join(lines, "\n") + "\n"))
	hash.Write(body[:])
	hash.Sum(out[:0])
	return out
}

// storedQuery is what of a query has an effect on what is stored.
func storedQuery(raw string) string {
	var kept []string
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err != nil || plain != "async" && plain != "callback" && plain != "timeout" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

func (a *API) orReplay(c *httpapi.Call, earlier *task.Task, err error) error {
	if err != nil {
		if earlier != nil && earlier.Async { // it is still pending
			c.Header().Set("Location", location(earlier.ID))
		}
		return err
	}
	return a.replay(c, earlier)
}

// replay gives the answer that the first request with the same key got, in the form that this one asks for.
func (a *API) replay(c *httpapi.Call, t *task.Task) error {
	c.Header().Set(replayedHeader, "true")
	if !t.Async {
		return answerAgain(c, t)
	}
	if wait, _ := a.wait(c.R.Header); wait > 0 { // it is final: waiting is over
		return answerFinal(c, t)
	}
	return replyAccepted(c, t)
}

// answerFinal answers a request that waited for its task, and not in vain.
func answerFinal(c *httpapi.Call, t *task.Task) error {
	c.Header().Set("Location", location(t.ID))
	return answerAgain(c, t)
}

// answerAgain gives the answer that a final task's request gets without being a task.
func answerAgain(c *httpapi.Call, t *task.Task) error {
	if t.Result == nil {
		return kafkarest.Errorf(kafkarest.CodeInDoubt,
			"The outcome is unknown: the proxy was interrupted while the request was under way, and its records may or may not be stored. Reading the topic tells.")
	}
	var lines []byte
	r, err := recount(t.Result, func(outcome jsontext.Value) {
		if c.Accept == typeNDJSON {
			lines = append(append(lines, outcome...), '\n')
		}
	})
	if err != nil {
		return err
	}
	if c.Accept == typeNDJSON {
		if r.failed > 0 {
			c.Header().Set(failedHeader, strconv.Itoa(r.failed))
		}
		return c.Reply(r.status(), r.appendSummary(lines))
	}
	body := append(append(append([]byte{'{'}, offsetsMember...), t.Result...), '}')
	return r.reply(c, body, r.single)
}

// recounted is what a result says that is an array of outcomes, as appendOffsets has written it.
type recounted struct {
	tally
	count  int
	single []produce.Message // that of the only outcome, if it is one that failed: its partition is told
}

// recount finds the tally of a result again, and shows each outcome.
func recount(result []byte, each func(outcome jsontext.Value)) (r recounted, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(result))
	if _, err := dec.ReadToken(); err != nil {
		return r, err
	}
	for dec.PeekKind() == '{' {
		outcome, err := dec.ReadValue()
		if err != nil {
			return r, err
		}
		each(outcome)
		if err := r.take(outcome); err != nil {
			return r, err
		}
	}
	_, err = dec.ReadToken()
	return r, err
}

func (r *recounted) take(outcome jsontext.Value) error {
	r.count++
	r.single = nil
	if !bytes.Contains(outcome, []byte(errorMember)) {
		r.add(nil, 0)
		return nil
	}
	was := struct {
		Partition int32 `json:"partition"`
		Error     struct {
			Code      kafkarest.Code `json:"code"`
			Name      string         `json:"name"`
			Message   string         `json:"message"`
			Retriable bool           `json:"retriable"`
		} `json:"error"`
	}{Partition: kafkarest.AnyPartition}
	if err := json.Unmarshal(outcome, &was); err != nil {
		return err
	}
	r.add(&failure{code: was.Error.Code, name: was.Error.Name, message: was.Error.Message, retriable: was.Error.Retriable}, 0)
	if r.count == 1 {
		r.single = []produce.Message{{Partition: was.Partition}}
	}
	return nil
}
