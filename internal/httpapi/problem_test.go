package httpapi

import (
	"encoding/json"
	"testing"

	"kafkarest"
)

// failing is an endpoint whose error tells details.
func failing(path string, e *kafkarest.Error, d Details) Endpoint {
	return Endpoint{Name: "api.messages.failing", Method: "GET", Path: path, Produces: []string{"application/json", ProblemType},
		Handle: func(*Call) error { return e }, Details: func(*Call, *kafkarest.Error) Details { return d }}
}

// An error has its status and a body even when what it tells is not UTF-8, as a path may not be.
func TestProblemThatIsNotUTF8(t *testing.T) {
	s := newTestServer(t, Config{}, failing("/x", kafkarest.Errorf(kafkarest.CodeInvalidArgument, "no topic \xff"), Details{Name: "n", Topic: "\xff"}))
	for _, accept := range []string{"application/json", ProblemType} {
		w := ask(s, "GET", "/x", "", "Accept: "+accept)
		var body struct {
			Code  int    `json:"error_code"`
			Topic string `json:"topic"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 400 || body.Code != 40002 || body.Topic != "\ufffd" || w.Header().Get("Content-Type") != accept {
			t.Errorf("%s: %d %s %v", accept, w.Code, w.Body, err)
		}
	}
}
