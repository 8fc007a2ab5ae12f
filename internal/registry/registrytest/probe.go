package registrytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const mediaType = "application/vnd.schemaregistry.v1+json"

// probe asks one registry on behalf of one check, and gathers what is wrong.
type probe struct {
	ctx      context.Context
	url      string
	prefix   string // of the subjects of this check
	client   *http.Client
	closers  []func()
	problems []string
}

var serial atomic.Int64

func newProbe(ctx context.Context, url string) *probe {
	transport := &http.Transport{}
	return &probe{
		ctx: ctx, url: url, prefix: fmt.Sprintf("s%d-%d-", time.Now().UnixNano(), serial.Add(1)),
		client: &http.Client{Transport: transport}, closers: []func(){transport.CloseIdleConnections},
	}
}

func (p *probe) close() {
	for _, closer := range slices.Backward(p.closers) {
		closer()
	}
}

func (p *probe) problem(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// subject is a subject's name that only this check uses.
func (p *probe) subject(name string) string { return p.prefix + name }

// reply is what a request got. Its body is a value of encoding/json; text is what came.
type reply struct {
	status int
	media  string
	text   string
	body   any
}

func (p *probe) do(method, path, body string) reply {
	req, err := http.NewRequestWithContext(p.ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.problem("%v", err)
		return reply{}
	}
	if body != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.problem("%v", err)
		return reply{}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.problem("%s %s: %v", method, path, err)
	}
	out := reply{status: resp.StatusCode, media: resp.Header.Get("Content-Type"), text: string(data)}
	_ = json.Unmarshal(data, &out.body) // what is no JSON stays nil
	return out
}

// want holds a reply's status and the members that want, JSON, names. An array must be the same.
func (p *probe) want(method, path, body string, status int, want string) reply {
	got := p.do(method, path, body)
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		p.problem("the check itself: %s: %v", want, err)
	}
	if got.status != status || !covers(got.body, w) {
		p.problem("%s %s %s\n got %d %s\nwant %d %s", method, path, body, got.status, got.text, status, want)
	}
	return got
}

// refuses holds the status and the code of an error.
func (p *probe) refuses(method, path, body string, status, code int) {
	p.want(method, path, body, status, fmt.Sprintf(`{"error_code":%d}`, code))
}

// covers says whether got has everything that want names.
func covers(got, want any) bool {
	w, isObject := want.(map[string]any)
	if !isObject {
		return reflect.DeepEqual(got, want)
	}
	g, _ := got.(map[string]any)
	for name, value := range w {
		if !covers(g[name], value) {
			return false
		}
	}
	return true
}

// schema is the body that brings a schema. typ is "" for Avro.
func schema(typ, text string, references ...string) string {
	b := map[string]any{"schema": text}
	if typ != "" {
		b["schemaType"] = typ
	}
	if len(references) > 0 {
		b["references"] = json.RawMessage("[" + strings.Join(references, ",") + "]")
	}
	return encoded(b)
}

// reference is to a subject's first version.
func reference(name, subject string) string {
	return fmt.Sprintf(`{"name":%q,"subject":%q,"version":1}`, name, subject)
}

func quote(s string) string {
	return encoded(s)
}

// encoded is for strings and maps of them, which always have a JSON form.
func encoded(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// register gives the id of a schema that must be taken.
func (p *probe) register(subject, body string) int {
	got := p.want("POST", "/subjects/"+subject+"/versions", body, 200, `{}`)
	b, _ := got.body.(map[string]any)
	id, _ := b["id"].(float64)
	if id < 1 {
		p.problem("register %s: no id in %s", body, got.text)
	}
	return int(id)
}
