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

// Errors before an endpoint is chosen are as promised by the API to which the path belongs; those of others stay as they are.
func TestProblemWithoutEndpoint(t *testing.T) {
	s := newTestServer(t, Config{}, text("GET", "/topics", "topics"),
		failing("/messages/{topic}", kafkarest.Errorf(kafkarest.CodeBadRequest, "no"), Details{Name: "n", Retriable: true}))
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/messages/a/b/c", 404}, {"POST", "/messages/a", 405}, {"GET", "/messages//a", 400}, {"GET", "/messages/../a", 400}, {"GET", "/messages/a", 400},
	} {
		w := ask(s, test.method, test.path, "", "Accept: application/problem+json")
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || w.Header().Get("Content-Type") != ProblemType ||
			body["status"] != float64(test.status) || body["retriable"] != true || body["name"] != "n" || body["request_id"] == "" {
			t.Errorf("%s %s: %d %s %s", test.method, test.path, w.Code, w.Header(), w.Body)
		}
		w = ask(s, test.method, test.path, "", "Accept: application/json")
		if body = nil; json.Unmarshal(w.Body.Bytes(), &body) != nil || w.Code != test.status || body["error_code"] != float64(test.status) || body["name"] != "n" {
			t.Errorf("%s %s: %d %s", test.method, test.path, w.Code, w.Body)
		}
	}
	for _, accept := range []string{"application/json", ProblemType} {
		for path, want := range map[string]string{
			"/topics/none/such": `{"error_code":404,"message":"HTTP 404 Not Found"}`,
			"/messagesx":        `{"error_code":404,"message":"HTTP 404 Not Found"}`,
			"//messages":        `{"error_code":400,"message":"Bad Request: ambiguous path: it has an empty segment."}`,
		} {
			if w := ask(s, "GET", path, "", "Accept: "+accept); w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %s %s", path, w.Code, w.Header(), w.Body)
			}
		}
	}
}
