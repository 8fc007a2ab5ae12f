package kafkarest

import (
	"errors"
	"fmt"
	"time"
)

// Code is a published error code. Its first three digits are the HTTP status of the reply that carries it.
type Code int

// Status is the HTTP status that belongs to the code: 40403 and 404 both give 404.
func (c Code) Status() int {
	n := int(c)
	for n > 999 {
		n /= 10
	}
	return n
}

// The codes. Those of five digits that the Confluent REST Proxy also has keep its meaning; the ones it does not have say so.
const (
	CodeBadRequest           Code = 400   // the request cannot be understood: malformed JSON, a wrong type
	CodeInvalidArgument      Code = 40002 // the broker refuses the request as invalid: topic name, configuration, policy
	CodeUnauthenticated      Code = 40101 // the broker refuses the proxy's credentials
	CodeForbidden            Code = 40301 // the broker's authorizer refuses the operation
	CodeNotFound             Code = 404   // no such endpoint, or a path or query parameter that is not a number
	CodeTopicNotFound        Code = 40401 // produce in strict status: the topic does not exist
	CodePartitionNotFound    Code = 40402 // the topic has no such partition
	CodeInstanceNotFound     Code = 40403 // no such consumer instance
	CodeUnknownTopic         Code = 40403 // no such topic or partition on the broker: the same number as CodeInstanceNotFound in the contract
	CodeTaskNotFound         Code = 40410 // ours: no such task, or it is another principal's
	CodeMethodNotAllowed     Code = 405   // the path exists, the method does not
	CodeNotAcceptable        Code = 406   // no media type of Accept can be answered
	CodeFormatMismatch       Code = 40601 // Accept asks for another embedded format than the consumer instance has
	CodeRequestTimeout       Code = 408   // the request body came too slowly
	CodeInstanceExists       Code = 40902 // the consumer instance's name is taken in its group
	CodeIllegalState         Code = 40903 // the operation does not fit the consumer instance's subscription or assignment
	CodeInstanceBusy         Code = 40904 // ours: another read of the same consumer instance is under way
	CodeStaleMember          Code = 40905 // ours: a commit for a partition that the group has given to another member
	CodeTaskPending          Code = 40910 // ours: the task is not final yet
	CodeKeyInUse             Code = 40911 // ours: the first request with this Idempotency-Key is still under way
	CodeTaskExpired          Code = 41001 // ours: the task was kept for its time, or was deleted
	CodeLeaseLost            Code = 40906 // ours: the record was given to another client since, or may be
	CodeGroupUnfit           Code = 40907 // ours: Kafka does not let this node join the consumer group as it is
	CodeCursorGone           Code = 41002 // ours: a cursor beyond the end of a log that was made anew or cut off
	CodeTooLarge             Code = 413   // a body, a record or a nesting beyond a limit
	CodeUnsupportedMediaType Code = 415   // the Content-Type is none that the endpoint takes
	CodeUnprocessable        Code = 422   // well-formed, and refused by validation
	CodeKeySchemaMissing     Code = 42201 // keys are given and no key schema
	CodeValueSchemaMissing   Code = 42202 // values are given and no value schema
	CodeInvalidConsumer      Code = 42204 // a consumer instance setting is refused
	CodeInvalidSchema        Code = 42205 // the schema text cannot be parsed
	CodeInvalidPayload       Code = 42206 // an empty body, or a schema where no registry is configured
	CodeSerialization        Code = 42207 // a registry look-up or registration failed
	CodeUndecodable          Code = 42209 // ours: a record that was read cannot be decoded in the instance's format
	CodeRefused              Code = 42210 // ours: Kafka refuses the record itself
	CodeOverrideRefused      Code = 42220 // ours: a setting of one request that the operator does not allow
	CodeKeyReused            Code = 42221 // ours: an Idempotency-Key comes again with another request
	CodeCallbackRefused      Code = 42222 // ours: a callback that the operator does not allow
	CodeTooManyRequests      Code = 429   // a limit of this proxy: bytes in flight, instances, connections
	CodeThrottled            Code = 42901 // the broker throttles
	CodeInternal             Code = 500   // a defect of this proxy
	CodeKafka                Code = 50002 // Kafka refused, and trying again will not help
	CodeKafkaRetriable       Code = 50003 // Kafka failed, and trying again may help
	CodeUnavailable          Code = 50302 // no broker can be reached
	CodeDraining             Code = 50303 // ours: the proxy is shutting down
	CodeRetryLater           Code = 50304 // ours: Kafka or another node failed for now, and nothing was done
	CodeTasksUnavailable     Code = 50305 // ours: tasks cannot be kept for now
	CodeInDoubt              Code = 50401 // ours: the deadline passed while the record was under way; it may or may not be stored
	CodeTimeout              Code = 50402 // ours: the broker did not answer a read-only request by the deadline
)

// Error is what a caller of the HTTP API sees of a failure. Message is public. Err, the cause, is logged and never shown.
type Error struct {
	Code       Code
	Message    string
	Err        error         // may be nil
	RetryAfter time.Duration // more than 0 adds a Retry-After header, rounded up to whole seconds
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", int(e.Code), e.Message, e.Err)
	}
	return fmt.Sprintf("%d %s", int(e.Code), e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose message is public. A %w among the arguments becomes its cause, and its text is part of the message:
// do not wrap a cause that the caller must not see, use Wrap for it.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Wrap makes an Error with a public message and a cause that only the log shows.
func Wrap(code Code, cause error, message string) *Error {
	return &Error{Code: code, Message: message, Err: cause}
}

// AsError finds the Error in err's chain. Any other error becomes CodeInternal with a text that says nothing about its cause.
// It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal, Message: "Internal Server Error", Err: err}
}
