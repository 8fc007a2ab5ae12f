package registry

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/sr"
)

const retryAfter = time.Second

// unavailable reports whether the registry could not be asked, as against having refused.
func unavailable(err error) bool {
	var re *sr.ResponseError
	if !errors.As(err, &re) {
		return true
	}
	return re.StatusCode >= http.StatusInternalServerError || re.StatusCode == http.StatusTooManyRequests || re.ErrorCode == 0 && !refused(re)
}

// refused reports whether the registry does not accept our credentials.
func refused(re *sr.ResponseError) bool {
	return re.ErrorCode == 40301 || re.StatusCode == http.StatusUnauthorized || re.StatusCode == http.StatusForbidden
}

// notFound reports whether the registry knows no such subject, version or schema. An address that is no registry's answers 404 too, and
// then without a code.
func notFound(err error) bool {
	var re *sr.ResponseError
	return errors.As(err, &re) && re.StatusCode == http.StatusNotFound && re.ErrorCode != 0
}

// publicError is the error of the contract for a failed look-up. what says what was tried. Addresses of the registry and what it says
// beside its own error form are never part of it.
func publicError(err error, what string) error {
	var re *sr.ResponseError
	answered := errors.As(err, &re)
	if answered && refused(re) {
		return kafkarest.Wrap(kafkarest.CodeForbidden, err, refusal(re))
	}
	detail := "The Schema Registry did not answer"
	switch {
	case answered && re.ErrorCode != 0:
		detail = fmt.Sprintf("%s; error code: %d", clip(re.Message), re.ErrorCode)
	case answered:
		detail = fmt.Sprintf("The Schema Registry answered with status %d", re.StatusCode)
	case errors.Is(err, errAnswerTooLong), errors.Is(err, errAnswerNotJSON), errors.Is(err, errRedirect):
		detail = "The Schema Registry's answer cannot be used"
	}
	out := kafkarest.Wrap(kafkarest.CodeSerialization, err, fmt.Sprintf("Error serializing message. %s\n%s", what, detail))
	if unavailable(err) {
		out.RetryAfter = retryAfter
	}
	return out
}

func refusal(re *sr.ResponseError) string {
	if re.ErrorCode == 0 {
		return "The Schema Registry refuses access"
	}
	return fmt.Sprintf("%s; error code: %d", clip(re.Message), re.ErrorCode)
}

// clip keeps what a registry says, or a schema that an error text quotes, within reason.
func clip(s string) string {
	const limit = 4 << 10
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
