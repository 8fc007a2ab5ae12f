package v2

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// exchange is one request and its reply in a golden file:
//
//	> POST /topics/t
//	> Content-Type: application/vnd.kafka.json.v2+json
//	{"records":[{"value":1}]}
//	< 200 application/vnd.kafka.v2+json
//	{"offsets":…}
//
// Lines before the first ">" are comments. Lines of a body are joined as they are.
type exchange struct {
	comment, request, headers []string
	body, reply               []string
}

func parseGolden(t *testing.T, text string) (list []exchange) {
	t.Helper()
	var e exchange
	where := &e.comment
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "> ") && where != &e.headers:
			if where == &e.reply || where == &e.body {
				list, e = append(list, e), exchange{}
			}
			e.request, where = []string{line}, &e.headers
		case strings.HasPrefix(line, "< "):
			e.reply, where = []string{line}, &e.reply
		case line == "" && where == &e.reply:
			list, e, where = append(list, e), exchange{}, &e.comment
		case !strings.HasPrefix(line, "> ") && where == &e.headers:
			e.body, where = []string{line}, &e.body
		default:
			*where = append(*where, line)
		}
	}
	if e.request != nil {
		list = append(list, e)
	}
	if len(list) == 0 {
		t.Fatal("no exchange in it")
	}
	return list
}

func (e *exchange) String() string {
	var out strings.Builder
	for _, part := range [][]string{e.comment, e.request, e.headers, e.body, e.reply} {
		for _, line := range part {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// run sends the request and gives the reply as a golden file has it.
func (e *exchange) run(h http.Handler) []string {
	method, target, _ := strings.Cut(strings.TrimPrefix(e.request[0], "> "), " ")
	var headers []string
	for _, line := range e.headers {
		headers = append(headers, strings.TrimPrefix(line, "> "))
	}
	w := ask(h, method, target, strings.Join(e.body, "\n"), headers...)
	lines := []string{strings.TrimSpace(fmt.Sprintf("< %d %s", w.Code, w.Header().Get("Content-Type")))}
	if w.Body.Len() > 0 {
		lines = append(lines, strings.Split(steady(w.Body.String()), "\n")...)
	}
	return lines
}

// steady takes out what differs from run to run.
func steady(body string) string {
	for pattern, with := range map[string]string{
		`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`: "UUID",
		`after \d+ ms`:            "after N ms",
		`"timestamp":1[78]\d{11}`: `"timestamp":NOW`,
	} {
		body = regexp.MustCompile(pattern).ReplaceAllString(body, with)
	}
	return body
}

// TestGolden runs each file of testdata on a broker of its own. Another file there is another case; -update writes the replies.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h, _ := onEmbedded(t, Config{})
			var out []string
			for _, e := range parseGolden(t, string(text)) {
				got := e.run(h)
				if !*update {
					if d := cmp.Diff(e.reply, got); d != "" {
						t.Errorf("%s\n%s", e.request[0], d)
					}
				}
				e.reply = got
				out = append(out, e.String())
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
