package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// refusal is what a dial to a port that nobody listens on gives.
var refusal = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// TestError is the table of contract §4.3.
func TestError(t *testing.T) {
	for _, test := range []struct {
		err  error
		code kafkarest.Code
	}{
		{kerr.SaslAuthenticationFailed, 40101}, {kerr.IllegalSaslState, 40101}, {kerr.UnsupportedSaslMechanism, 40101},
		{kerr.TopicAuthorizationFailed, 40301}, {kerr.GroupAuthorizationFailed, 40301}, {kerr.ClusterAuthorizationFailed, 40301},
		{kerr.TransactionalIDAuthorizationFailed, 40301}, {kerr.DelegationTokenAuthorizationFailed, 40301},
		{kerr.BrokerNotAvailable, 50302},
		{kerr.InvalidReplicationFactor, 40002}, {kerr.SecurityDisabled, 40002}, {kerr.UnsupportedVersion, 40002}, {kerr.InvalidPartitions, 40002},
		{kerr.InvalidRequest, 40002}, {kerr.UnknownServerError, 40002}, {kerr.PolicyViolation, 40002}, {kerr.TopicAlreadyExists, 40002},
		{kerr.InvalidConfig, 40002}, {kerr.TopicDeletionDisabled, 40002}, {kerr.InvalidTopicException, 40002},
		{kerr.MessageTooLarge, 413}, {kerr.RecordListTooLarge, 413},
		{kerr.UnknownTopicOrPartition, 40403}, {kerr.UnknownTopicID, 40403},
		{kerr.ThrottlingQuotaExceeded, 42901},
		{kerr.RebalanceInProgress, 40905}, {kerr.IllegalGeneration, 40905}, {kerr.UnknownMemberID, 40905}, {kerr.StaleMemberEpoch, 40905},
		{kerr.LeaderNotAvailable, 50003}, {kerr.NotLeaderForPartition, 50003}, {kerr.RequestTimedOut, 50003}, {kerr.CoordinatorNotAvailable, 50003},
		{kerr.NotEnoughReplicas, 50003},
		{kerr.OffsetOutOfRange, 50002}, {kerr.InvalidTimestamp, 50002}, {kerr.InvalidGroupID, 50002},
		{context.DeadlineExceeded, 50402}, {context.Canceled, 50303}, {kgo.ErrClientClosed, 50303},
		{refusal, 50302}, {io.EOF, 50302}, {new(kgo.ErrFirstReadEOF), 50302},
		{errors.New("a secret"), 50002},
		{kafkarest.Errorf(42201, "as it is"), 42201},
	} {
		for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err), errors.Join(errors.New("another"), test.err)} {
			got := kafkarest.AsError(Error(err))
			if got.Code != test.code || !errors.Is(got, test.err) {
				t.Errorf("%v: %v, want %d", err, got, test.code)
			}
			if strings.Contains(got.Message, "secret") || got.Message == "" {
				t.Errorf("%v: the message %q", err, got.Message)
			}
		}
	}
	if Error(nil) != nil {
		t.Error("nil is an error")
	}
}

// TestMessages are texts that clients match on.
func TestMessages(t *testing.T) {
	for err, want := range map[error]string{
		Error(kerr.UnknownTopicOrPartition):                    "This server does not host this topic-partition.",
		Error(kerr.InvalidTopicException):                      "The request attempted to perform an operation on an invalid topic.",
		ForTopic("t", kerr.TopicAuthorizationFailed):           "Not authorized to access topics: [t]",
		ForTopic("t", kerr.InvalidTopicException):              "The request attempted to perform an operation on an invalid topic.",
		ForTopic("t", kerr.UnknownTopicID):                     "This server does not host this topic-partition.",
		ProduceError("t", true, kerr.TopicAuthorizationFailed): "Not authorized to access topics: [t]",
		ProduceError("t", true, kerr.InvalidTopicException):    "Invalid topics: [t]",
	} {
		if got := kafkarest.AsError(err).Message; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestProduceError: what may be stored is in doubt, everything else is definite.
func TestProduceError(t *testing.T) {
	for _, test := range []struct {
		err        error
		idempotent bool
		code       kafkarest.Code
	}{
		{kgo.ErrClientClosed, true, 50401}, {context.Canceled, true, 50401}, {context.DeadlineExceeded, true, 50401},
		{kgo.ErrRecordTimeout, true, 50003}, {kgo.ErrRecordRetries, true, 50003},
		{kgo.ErrRecordTimeout, false, 50401}, {kgo.ErrRecordRetries, false, 50401},
		{errors.New("something new"), true, 50401}, {refusal, true, 50401}, {io.EOF, true, 50401},
		{kerr.TopicAuthorizationFailed, true, 40301}, {kerr.ClusterAuthorizationFailed, true, 40301}, {kerr.SaslAuthenticationFailed, true, 40101},
		{kerr.InvalidTopicException, true, 50002}, {kerr.MessageTooLarge, true, 50002}, {kerr.RecordListTooLarge, true, 50002},
		{kerr.InvalidRecord, true, 50002}, {kerr.PolicyViolation, true, 50002}, {kerr.InvalidTimestamp, true, 50002},
		{kerr.UnknownTopicOrPartition, true, 50003}, {kerr.NotEnoughReplicas, true, 50003}, {kerr.NotLeaderForPartition, true, 50003},
		{kafkarest.Errorf(42201, "as it is"), true, 42201},
	} {
		if got := ProduceError("t", test.idempotent, fmt.Errorf("wrapped: %w", test.err)); got.Code != test.code || !errors.Is(got, test.err) {
			t.Errorf("%v (idempotent %v): %v, want %d", test.err, test.idempotent, got, test.code)
		}
	}
}

func TestIsUnknownTopic(t *testing.T) {
	for _, err := range []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID} {
		if !IsUnknownTopic(kafkarest.Wrap(50003, err, "m")) {
			t.Errorf("%v", err)
		}
	}
	if IsUnknownTopic(nil) || IsUnknownTopic(kerr.LeaderNotAvailable) {
		t.Error("what is there is not unknown")
	}
}

func TestAwait(t *testing.T) {
	failure := errors.New("failed")
	if v, err := Await(t.Context(), func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Error(v, err)
	}
	if err := AwaitError(t.Context(), func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		<-begun
		cancel()
	}()
	v, err := Await(ctx, func(context.Context) (int, error) { // a client that looks at no context
		close(begun)
		<-release
		close(ended)
		return 7, nil
	})
	if v != 0 || !errors.Is(err, context.Canceled) {
		t.Error(v, err)
	}
	close(release)
	<-ended // what is not awaited any more can end
}
