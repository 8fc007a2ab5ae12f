package embedded

import (
	"fmt"
	"net/http"
)

// apiError is an error of the API. The first three digits of the code are the status.
type apiError struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.Message }

func (e *apiError) status() int {
	n := e.Code
	for n > 999 {
		n /= 10
	}
	return n
}

func errorf(code int, format string, args ...any) error {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...)}
}

var (
	errNoEndpoint = &apiError{http.StatusNotFound, "HTTP 404 Not Found"}
	errInternal   = &apiError{http.StatusInternalServerError, "Internal Server Error"}
	errStore      = &apiError{50001, "Error in the backend data store"}
	errTooLarge   = &apiError{42209, "The schema is too large"}
	errCompat     = &apiError{42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, " +
		"forward_transitive, and full_transitive"}
	errMode         = &apiError{42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT."}
	errImportExists = &apiError{42205, "Cannot import since found existing subjects"}
	errNoSchema     = &apiError{40403, "Schema not found"}
)

func errSubject(subject string) error {
	return errorf(40401, "Subject '%s' not found.", subject)
}

func errVersion(version int) error {
	return errorf(40402, "Version %d not found.", version)
}

func errSchemaID(id int) error {
	return errorf(40403, "Schema %d not found", id)
}

func errVersionText(text string) error {
	return errorf(42202, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
		clip(text))
}

// clip keeps an error text that quotes a request within reason.
func clip(s string) string {
	const limit = 4 << 10
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
