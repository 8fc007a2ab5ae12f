package v2

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"

	"github.com/go-json-experiment/json/jsontext"
)

// produceTo serves POST /topics/{topic} and /topics/{topic}/partitions/{partition} for one format.
func (a *API) produceTo(f format.Format) func(*httpapi.Call) error {
	method := "produce" + methodName(f)
	return func(c *httpapi.Call) error {
		arg, partition := method+".arg2", kafkarest.AnyPartition
		if c.R.PathValue("partition") != "" {
			var err error
			if partition, err = partitionParam(c); err != nil {
				return err
			}
			if partition < 0 {
				return unprocessable("%s.arg1 must be greater than or equal to 0 (was %d)", method, partition)
			}
			arg = method + ".arg3"
		}
		body, err := c.Body()
		if err != nil {
			return err
		}
		env, err := a.parse(body, arg, partition)
		if err != nil {
			return err
		}
		topic := c.Param("topic")
		req := produce.Request{
			Topic: topic,
			Key: produce.Side{Format: f, Schema: format.Schema{Topic: topic, Side: format.Key, Text: env.keySchema, ID: env.keySchemaID,
				References: env.keyReferences}},
			Value: produce.Side{Format: f, Schema: format.Schema{Topic: topic, Side: format.Value, Text: env.valueSchema, ID: env.valueSchemaID,
				References: env.valueReferences}},
			Items: env.items,
		}
		if err := a.chooseFormats(c.R, &req); err != nil {
			return err
		}
		resp, err := a.produce.Produce(c.R.Context(), req)
		if err != nil {
			return err
		}
		status := a.produceStatus(c.R, resp.Results)
		return c.Reply(status, appendProduced(make([]byte, 0, 96+72*len(resp.Results)), &resp))
	}
}

// chooseFormats applies what a request may say of its formats beside the media type, which is the default of both sides: the headers
// Kafka-Key-Format and Kafka-Value-Format, and the query parameters json_encoding and int64.
func (a *API) chooseFormats(r *http.Request, req *produce.Request) error {
	for header, side := range map[string]*produce.Side{"Kafka-Key-Format": &req.Key, "Kafka-Value-Format": &req.Value} {
		name := r.Header.Get(header)
		if name == "" {
			continue
		}
		f := a.formats.Find(name)
		if f == nil {
			return unprocessable("%s: %q is no format of this server", header, name)
		}
		side.Format = f
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	change, err := encoding(r.URL.Query())
	if change != nil {
		req.Key.Format, req.Value.Format = format.With(req.Key.Format, change), format.With(req.Value.Format, change)
	}
	return err
}

// encoding reads json_encoding=plain|exact and int64=string|number; nil is no change.
func encoding(query url.Values) (func(*format.Options), error) {
	plain, long := query.Get("json_encoding"), query.Get("int64")
	switch {
	case plain != "" && plain != "plain" && plain != "exact":
		return nil, unprocessable("json_encoding must be plain or exact (was %s)", plain)
	case long != "" && long != "string" && long != "number":
		return nil, unprocessable("int64 must be string or number (was %s)", long)
	case plain == "" && long == "":
		return nil, nil
	}
	return func(o *format.Options) {
		if plain != "" {
			o.Plain = plain == "plain"
		}
		if long != "" {
			o.Int64AsString = long == "string"
		}
	}, nil
}

// produceStatus is 200 whatever befell the records, as in the reference, except: 401 and 403 when Kafka refused one, 504 when the outcome
// of one is unknown. With strict status, a request of which nothing was stored has the status of its first failure.
func (a *API) produceStatus(r *http.Request, results []produce.Result) int {
	var first *kafkarest.Error
	failed := 0
	for i := range results {
		err := results[i].Err
		if err == nil {
			continue
		}
		failed++
		if first == nil {
			first = err
		}
		switch err.Code {
		case kafkarest.CodeUnauthenticated, kafkarest.CodeForbidden, kafkarest.CodeInDoubt:
			return err.Code.Status()
		}
	}
	if failed == len(results) && (a.cfg.StrictStatus || prefers(r, "status=strict")) {
		return strictStatus(first)
	}
	return http.StatusOK
}

// strictStatus finds the HTTP status that tells what went wrong.
func strictStatus(err *kafkarest.Error) int {
	switch {
	case kafka.IsUnknownTopic(err):
		return http.StatusNotFound
	case err.Code == kafkarest.CodeKafkaRetriable:
		return http.StatusServiceUnavailable
	case err.Code == kafkarest.CodeKafka:
		return http.StatusBadRequest
	}
	return err.Code.Status()
}

// prefers reports whether a Prefer header (RFC 7240) holds a preference.
func prefers(r *http.Request, preference string) bool {
	for _, header := range r.Header["Prefer"] {
		for element := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(element), " ", ""), preference) {
				return true
			}
		}
	}
	return false
}

// appendProduced writes {"offsets":[{partition, offset, error_code, error}], key_schema_id, value_schema_id}; null stands for what is not there.
func appendProduced(b []byte, resp *produce.Response) []byte {
	b = append(b, `{"offsets":[`...)
	for i := range resp.Results {
		if i > 0 {
			b = append(b, ',')
		}
		r := &resp.Results[i]
		if r.Err == nil {
			b = append(b, `{"partition":`...)
			b = strconv.AppendInt(b, int64(r.Partition), 10)
			b = append(b, `,"offset":`...)
			b = strconv.AppendInt(b, r.Offset, 10)
			b = append(b, `,"error_code":null,"error":null}`...)
			continue
		}
		b = append(b, `{"partition":null,"offset":null,"error_code":`...)
		b = strconv.AppendInt(b, int64(r.Err.Code), 10)
		b = append(b, `,"error":`...)
		b = appendString(b, r.Err.Message)
		b = append(b, '}')
	}
	b = append(b, `],"key_schema_id":`...)
	b = appendID(b, resp.KeySchemaID)
	b = append(b, `,"value_schema_id":`...)
	b = appendID(b, resp.ValueSchemaID)
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil { // not UTF-8: AppendQuote has written it with replacement characters
		return out
	}
	return out
}

func appendID(b []byte, id int) []byte {
	if id == 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, int64(id), 10)
}
