package messages

import (
	"errors"
	"net/http"
	"strings"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
	"kafkarest/internal/produce"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"
)

// failure is an error as this API tells it: the code's first three digits are the status that it deserves, which those of the contract of v2
// are not always.
type failure struct {
	code      kafkarest.Code
	name      string // of Kafka's error in upper case, else of ours in lower case
	message   string
	retriable bool
}

// inDoubt is the outcome of a record that may or may not be stored.
const inDoubt = "in-doubt"

func (f *failure) outcome() string {
	if f.code == kafkarest.CodeInDoubt {
		return inDoubt
	}
	return ""
}

// ownNames are the names of errors that are not Kafka's.
var ownNames = map[kafkarest.Code]string{
	kafkarest.CodeBadRequest:           "bad_request",
	kafkarest.CodeNotFound:             "not_found",
	kafkarest.CodeTopicNotFound:        "topic_not_found",
	kafkarest.CodePartitionNotFound:    "partition_not_found",
	kafkarest.CodeTaskNotFound:         "task_not_found",
	kafkarest.CodeMethodNotAllowed:     "method_not_allowed",
	kafkarest.CodeNotAcceptable:        "not_acceptable",
	kafkarest.CodeRequestTimeout:       "body_too_slow",
	kafkarest.CodeTaskPending:          "task_pending",
	kafkarest.CodeKeyInUse:             "idempotency_key_in_use",
	kafkarest.CodeTaskExpired:          "task_expired",
	kafkarest.CodeTooLarge:             "too_large",
	kafkarest.CodeUnsupportedMediaType: "unsupported_media_type",
	kafkarest.CodeUnprocessable:        "unprocessable",
	kafkarest.CodeKeySchemaMissing:     "key_schema_missing",
	kafkarest.CodeValueSchemaMissing:   "value_schema_missing",
	kafkarest.CodeInvalidSchema:        "invalid_schema",
	kafkarest.CodeInvalidPayload:       "invalid_payload",
	kafkarest.CodeSerialization:        "serialization",
	kafkarest.CodeRefused:              "refused",
	kafkarest.CodeOverrideRefused:      "override_not_allowed",
	kafkarest.CodeKeyReused:            "idempotency_key_reused",
	kafkarest.CodeCallbackRefused:      "callback_not_allowed",
	kafkarest.CodeTooManyRequests:      "too_many_requests",
	kafkarest.CodeForbidden:            "forbidden",
	kafkarest.CodeInternal:             "internal",
	kafkarest.CodeUnavailable:          "no_broker",
	kafkarest.CodeDraining:             "shutting_down",
	kafkarest.CodeRetryLater:           "kafka_failed",
	kafkarest.CodeTasksUnavailable:     "tasks_unavailable",
	kafkarest.CodeInDoubt:              "in_doubt",
	kafkarest.CodeTimeout:              "timeout",
}

// classify says what went wrong with a request or a record.
func classify(err *kafkarest.Error) failure {
	f := failure{code: err.Code, message: err.Message}
	var ke *kerr.Error
	isKafka := errors.As(err, &ke)
	if isKafka {
		f.name = ke.Message
	}
	switch {
	case kafka.IsUnknownTopic(err):
		f.code = kafkarest.CodeTopicNotFound
	case errors.Is(err, produce.ErrNoPartition):
		f.code = kafkarest.CodePartitionNotFound
	case errors.Is(err, produce.ErrTooLarge), errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		f.code = kafkarest.CodeTooLarge
		if !isKafka {
			f.name = kerr.MessageTooLarge.Message
		}
	case errors.Is(err, kerr.InvalidTopicException):
		f.code = kafkarest.CodeInvalidArgument
	case err.Code == kafkarest.CodeBadRequest && errors.As(err, new(*sr.ResponseError)): // no such version: v2's contract calls that 400
		f.code, f.message = kafkarest.CodeSerialization, strings.TrimPrefix(err.Message, "Bad Request: ")
	case err.Code == kafkarest.CodeKafkaRetriable:
		f.code = kafkarest.CodeRetryLater
	case err.Code == kafkarest.CodeKafka && isKafka:
		f.code = kafkarest.CodeRefused
	}
	if f.name == "" {
		f.name = ownNames[f.code]
	}
	f.retriable = isRetriable(f.code, err)
	return f
}

// isRetriable reports whether the same request may succeed later without any harm: not when the outcome is unknown.
func isRetriable(code kafkarest.Code, err *kafkarest.Error) bool {
	switch code {
	case kafkarest.CodeInDoubt:
		return false
	case kafkarest.CodeKeyInUse, kafkarest.CodeTaskPending, kafkarest.CodeTimeout:
		return true
	default:
		status := code.Status()
		return err.RetryAfter > 0 || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	}
}

// details fills the body of an error reply.
func details(c *httpapi.Call, err *kafkarest.Error) httpapi.Details {
	f := classify(err)
	return httpapi.Details{Name: f.name, Retriable: f.retriable, Topic: c.Param("topic"), Outcome: f.outcome()}
}
