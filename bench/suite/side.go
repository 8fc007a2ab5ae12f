package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"kafkarest/bench/load"
)

// callLimit bounds every call that is not itself the load.
const callLimit = 30 * time.Second

// Side is one column: something that answers the v2 API (or, as the floor does, what is left of it) in a process of its own.
type Side struct {
	Name string
	Addr string // host:port
	PID  int    // whose processor time and memory are read

	isFloor bool
	program *program // nil for a peer, which cannot be started anew
	run     *process // nil for a peer
}

// ParsePeers reads "name=URL@PID name2=URL@PID".
func ParsePeers(text string) ([]*Side, error) {
	var sides []*Side
	for field := range strings.FieldsSeq(text) {
		name, rest, ok := strings.Cut(field, "=")
		at := strings.LastIndexByte(rest, '@')
		if !ok || name == "" || at < 0 {
			return nil, fmt.Errorf("peer %q: want name=URL@PID", field)
		}
		u, err := url.Parse(rest[:at])
		if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("peer %q: want a URL like http://127.0.0.1:8082", field)
		}
		pid, err := strconv.Atoi(rest[at+1:])
		if err != nil || pid <= 0 {
			return nil, fmt.Errorf("peer %q: want a process id after the @", field)
		}
		sides = append(sides, &Side{Name: name, Addr: u.Host, PID: pid})
	}
	return sides, nil
}

// fresh starts another process of the side's program, under the same name.
func (s *Side) fresh(ctx context.Context, dir string) (*Side, error) {
	if s.program == nil {
		return nil, errors.New("a peer is not started anew")
	}
	run, err := s.program.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &Side{Name: s.Name, Addr: run.addr, PID: run.pid(), isFloor: s.isFloor, program: s.program, run: run}, nil
}

// hasMessages reports whether the side serves POST /messages: the proxy and the floor do, peers do not.
func (s *Side) hasMessages() bool { return s.program != nil }

// isProxy reports whether the side is the proxy of this module.
func (s *Side) isProxy() bool { return s.program != nil && !s.isFloor }

// stop ends the side's process if this bench started it.
func (s *Side) stop() {
	if s.run != nil {
		s.run.stop()
	}
}

// kind is what a reader reads.
type kind struct {
	format, media string
	schema        string // for the floor, which has no registry; "" for none
	batch         int    // records in a read of the floor: about as many as 1,000,000 bytes have
}

var jsonOf100 = kind{format: "json", media: load.TypeJSON, batch: 10_000}

// reader is one consumer of a side: a v2 instance, or the floor's client. Close it.
type reader struct {
	side *Side
	kind kind
	path string // of the instance, or of the floor's consume endpoint with its query
}

// openReader makes a consumer of the topic in a group of its own, from the beginning, without auto-commit. Its reads wait up to
// wait for data.
func (s *Side) openReader(ctx context.Context, topic, id string, wait time.Duration, of kind) (*reader, error) {
	if s.isFloor {
		query := url.Values{"id": {id}, "topic": {topic}, "group": {id}}
		if of.schema != "" {
			query.Set("schema", of.schema)
		}
		return &reader{side: s, kind: of, path: "/consume?" + query.Encode()}, nil
	}
	r := &reader{side: s, kind: of, path: "/consumers/" + id + "/instances/" + id}
	if err := s.createInstance(ctx, id, of.format, wait); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string][]string{"topics": {topic}})
	if err != nil {
		return nil, err
	}
	subscribe := load.Request("POST", s.Addr, r.path+"/subscription", load.TypeV2, load.TypeV2, string(body))
	if _, err := load.Call(ctx, s.Addr, subscribe, load.OK, callLimit); err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	return r, nil
}

// createInstance tries the spelling of Confluent's API first and then Strimzi's, which refuses the other's member.
func (s *Side) createInstance(ctx context.Context, id, format string, wait time.Duration) error {
	const common = `{"name":%q,"format":%q,"auto.offset.reset":"earliest","consumer.request.timeout.ms":%d,`
	var errs []error
	for _, commit := range []string{`"auto.commit.enable":"false"}`, `"enable.auto.commit":false}`} {
		body := fmt.Sprintf(common, id, format, wait.Milliseconds()) + commit
		create := load.Request("POST", s.Addr, "/consumers/"+id, load.TypeV2, load.TypeV2, body)
		_, err := load.Call(ctx, s.Addr, create, load.OK, callLimit)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// request is one read of about 1,000,000 bytes.
func (r *reader) request(wait time.Duration) []byte {
	ms := wait.Milliseconds()
	if r.side.isFloor {
		return load.Request("GET", r.side.Addr, fmt.Sprintf("%s&max=%d&wait=%d", r.path, r.kind.batch, ms), "", "", "")
	}
	path := fmt.Sprintf("%s/records?timeout=%d&max_bytes=1000000", r.path, ms)
	return load.Request("GET", r.side.Addr, path, "", r.kind.media, "")
}

// read asks once and throws the records away.
func (r *reader) read(ctx context.Context, wait time.Duration) error {
	_, err := load.Call(ctx, r.side.Addr, r.request(wait), load.OK, wait+callLimit)
	return err
}

// close deletes the consumer.
func (r *reader) close(ctx context.Context) error {
	request := load.Request("DELETE", r.side.Addr, r.path, load.TypeV2, load.TypeV2, "")
	_, err := load.Call(ctx, r.side.Addr, request, load.OK, callLimit)
	return err
}

// unsafeName is what does not belong in a topic's or a group's name.
var unsafeName = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

func safeName(parts ...string) string {
	return unsafeName.ReplaceAllString(strings.Join(parts, "-"), "-")
}
