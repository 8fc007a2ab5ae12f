package v2

import (
	"net/http"
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
		resp, err := a.produce.Produce(c.R.Context(), produce.Request{
			Topic: topic,
			Key:   produce.Side{Format: f, Schema: format.Schema{Topic: topic, Side: format.Key, Text: env.keySchema, ID: env.keySchemaID}},
			Value: produce.Side{Format: f, Schema: format.Schema{Topic: topic, Side: format.Value, Text: env.valueSchema, ID: env.valueSchemaID}},
			Items: env.items,
		})
		if err != nil {
			return err
		}
		status := a.produceStatus(c.R, resp.Results)
		return c.Reply(status, appendProduced(make([]byte, 0, 96+72*len(resp.Results)), &resp))
	}
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
