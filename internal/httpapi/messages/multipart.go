package messages

import (
	"crypto/sha256"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/produce"
)

// produceParts stores each part of a multipart body as a message. Nothing is sent before the last part has come.
func (a *API) produceParts(c *httpapi.Call, p *params, boundary string) error {
	if boundary == "" {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the Content-Type of a multipart body must name its boundary.")
	}
	body, err := c.BodyReader()
	if err != nil {
		return err
	}
	hash := sha256.New()
	if p.idemKey != "" {
		body = io.TeeReader(body, hash)
	}
	messages, err := a.parts(p, partsOf(body, boundary))
	// What follows the last part means nothing, and is part of the request. It is read after a mistake too: a client that still sends would be met
	// by a closed connection before it has read what is wrong.
	if _, rest := io.Copy(io.Discard, body); err == nil {
		err = rest
	}
	if err != nil {
		return err
	}
	if p.idemKey == "" && !p.async {
		return a.deliverNow(c, p, messages)
	}
	return a.deliverTask(c, p, messages, [sha256.Size]byte(hash.Sum(nil)))
}

// errCutOff stands for the end of a body that came before the final boundary.
var errCutOff = errors.New("the body ends before the final boundary")

// failing gives an error as what is read.
type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// partsOf reads the parts of a body. multipart.Reader would take the end of the body for the end of the parts in places, and needs no line end
// behind the final boundary.
func partsOf(body io.Reader, boundary string) *multipart.Reader {
	return multipart.NewReader(io.MultiReader(body, strings.NewReader("\r\n"), failing{errCutOff}), boundary)
}

// cutOffBetween reports whether the body has ended where a part could begin: multipart.Reader wraps the error then, and not within a part's headers.
func cutOffBetween(err error) bool { return errors.Is(err, errCutOff) && errors.Unwrap(err) != nil }

func (a *API) parts(p *params, r *multipart.Reader) ([]produce.Message, error) {
	var messages []produce.Message
	for {
		part, err := r.NextRawPart()
		if err == io.EOF || cutOffBetween(err) && len(messages) == 0 { // nothing is lost where nothing has begun
			break
		}
		if err != nil {
			return nil, partError(err)
		}
		if len(messages) == a.cfg.MaxRecords {
			return nil, errTooMany(a.cfg.MaxRecords)
		}
		m, err := a.part(p, part)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, unprocessable("The request has no parts.")
	}
	return messages, nil
}

// part makes a message. Its own headers win over what the request says for all.
func (a *API) part(all *params, part *multipart.Part) (produce.Message, error) {
	own := *all
	own.message.Headers = nil
	seen := fieldSet(0)
	if err := own.headers(http.Header(part.Header), &seen); err != nil {
		return produce.Message{}, err
	}
	switch {
	case own.callback != all.callback:
		return produce.Message{}, unprocessable("Kafka-Callback belongs to the request, not to a part.")
	case own.message.Topic == "":
		return produce.Message{}, unprocessable("Each part must have Kafka-Topic.")
	case all.path && own.message.Topic != all.message.Topic:
		return produce.Message{}, unprocessable("Kafka-Topic has a meaning for POST /messages only: here the path names the topic.")
	}
	own.message.Headers = withHeaders(own.message.Headers, all.message.Headers)
	body, err := readAll(part)
	if err != nil {
		return produce.Message{}, partError(err)
	}
	m := own.message
	m.Err = kafkarest.AsError(a.fill(&m, &own, body, part.Header.Get("Content-Type")))
	return m, nil
}

// partError keeps the errors of reading the body.
func partError(err error) error {
	if e := (*kafkarest.Error)(nil); errors.As(err, &e) {
		return e
	}
	return kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the multipart body cannot be read, or ends early.")
}
