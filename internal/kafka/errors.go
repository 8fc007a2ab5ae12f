package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The messages that Kafka's own exceptions have, which clients of the REST Proxy see and match on.
const (
	msgUnknownTopic = "This server does not host this topic-partition."
	msgInvalidTopic = "The request attempted to perform an operation on an invalid topic."
	msgUnavailable  = "No broker can be reached: the proxy cannot connect to Kafka (bootstrap.servers)."
	msgDeadline     = "Kafka did not answer within the deadline."
)

// Error turns an error of a metadata, admin or consumer operation into the published one (contract §4.3). It keeps a *kafkarest.Error as it
// is, and returns nil for nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	if e := (*kafkarest.Error)(nil); errors.As(err, &e) {
		return e
	}
	wrap := func(code kafkarest.Code, message string) error { return kafkarest.Wrap(code, err, message) }
	if e := (*kerr.Error)(nil); errors.As(err, &e) {
		return wrap(codeOf(e), text(e))
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return wrap(kafkarest.CodeTimeout, msgDeadline)
	case errors.Is(err, context.Canceled):
		return wrap(kafkarest.CodeDraining, "The request was given up: the client went away or the proxy is shutting down.")
	case errors.Is(err, kgo.ErrClientClosed):
		return wrap(kafkarest.CodeDraining, "The proxy is shutting down, or the consumer instance was closed.")
	case errors.As(err, new(*kgo.ErrFirstReadEOF)):
		return wrap(kafkarest.CodeUnavailable, "Kafka closed the connection: the security.protocol or the credentials of the proxy may not fit the listener.")
	case errors.As(err, &netErr), kgo.IsRetryableBrokerErr(err):
		return wrap(kafkarest.CodeUnavailable, msgUnavailable)
	}
	return wrap(kafkarest.CodeKafka, "Kafka refused the operation.")
}

// codeOf is the table of contract §4.3.
func codeOf(e *kerr.Error) kafkarest.Code {
	switch e {
	case kerr.SaslAuthenticationFailed, kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism:
		return kafkarest.CodeUnauthenticated
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.DelegationTokenAuthorizationFailed:
		return kafkarest.CodeForbidden
	case kerr.BrokerNotAvailable:
		return kafkarest.CodeUnavailable
	case kerr.InvalidReplicationFactor, kerr.SecurityDisabled, kerr.UnsupportedVersion, kerr.InvalidPartitions, kerr.InvalidRequest,
		kerr.UnknownServerError, kerr.PolicyViolation, kerr.TopicAlreadyExists, kerr.InvalidConfig, kerr.TopicDeletionDisabled,
		kerr.InvalidTopicException:
		return kafkarest.CodeInvalidArgument
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		return kafkarest.CodeTooLarge
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		return kafkarest.CodeUnknownTopic
	case kerr.ThrottlingQuotaExceeded:
		return kafkarest.CodeThrottled
	case kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.StaleMemberEpoch,
		kerr.FencedMemberEpoch:
		return kafkarest.CodeStaleMember
	}
	if e.Retriable {
		return kafkarest.CodeKafkaRetriable
	}
	return kafkarest.CodeKafka
}

func text(e *kerr.Error) string {
	switch e {
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		return msgUnknownTopic
	case kerr.InvalidTopicException:
		return msgInvalidTopic
	case kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch, kerr.FencedMemberEpoch:
		return "The group has rebalanced and other members own its partitions now: read again, then commit what that read returned."
	}
	return fmt.Sprintf("%s: %s", e.Message, e.Description)
}

// ForTopic is Error with the topic in the text where Kafka's own exception names it.
func ForTopic(topic string, err error) error {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return kafkarest.Wrap(kafkarest.CodeForbidden, err, fmt.Sprintf("Not authorized to access topics: [%s]", topic))
	case errors.Is(err, kerr.InvalidTopicException):
		return kafkarest.Wrap(kafkarest.CodeInvalidArgument, err, msgInvalidTopic)
	}
	return Error(err)
}

// ProduceError classifies why a record was not stored (contract §1.3, per-record failures). A record that may yet be stored, or may have
// been, is CodeInDoubt; every other code is definite: the record is not in the log.
func ProduceError(topic string, idempotent bool, err error) *kafkarest.Error {
	if e := (*kafkarest.Error)(nil); errors.As(err, &e) {
		return e
	}
	wrap := func(code kafkarest.Code, message string) *kafkarest.Error { return kafkarest.Wrap(code, err, message) }
	switch {
	case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return InDoubt(err)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		if !idempotent {
			return InDoubt(err)
		}
		return wrap(kafkarest.CodeKafkaRetriable, fmt.Sprintf("Topic %s: the record was not taken by the broker within delivery.timeout.ms.", topic))
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return wrap(kafkarest.CodeForbidden, fmt.Sprintf("Not authorized to access topics: [%s]", topic))
	case errors.Is(err, kerr.InvalidTopicException):
		return wrap(kafkarest.CodeKafka, fmt.Sprintf("Invalid topics: [%s]", topic))
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return wrap(kafkarest.CodeKafka,
			"The record is larger than what the producer (max.request.size) or the topic (max.message.bytes) takes: send a smaller record or raise both.")
	}
	if e := (*kerr.Error)(nil); errors.As(err, &e) {
		switch code := codeOf(e); {
		case code == kafkarest.CodeForbidden, code == kafkarest.CodeUnauthenticated:
			return wrap(code, text(e))
		case e.Retriable:
			return wrap(kafkarest.CodeKafkaRetriable, text(e))
		}
		return wrap(kafkarest.CodeKafka, text(e))
	}
	return InDoubt(err) // an error that is none of Kafka's answers says nothing of what the broker did
}

// InDoubt is the outcome of a record that was under way when its deadline passed.
func InDoubt(cause error) *kafkarest.Error {
	return kafkarest.Wrap(kafkarest.CodeInDoubt, cause,
		"The outcome is unknown: the deadline passed while the record was under way, and it may or may not be stored. Reading the topic tells.")
}

// IsUnknownTopic reports whether an error says that a topic or partition does not exist.
func IsUnknownTopic(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID)
}
