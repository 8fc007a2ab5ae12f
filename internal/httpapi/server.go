package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"kafkarest"
)

// Config is what an operator can set of the kit. The zero value serves without CORS, compression, limits or logs; see each field.
type Config struct {
	Log        *slog.Logger // nil discards
	RequestLog io.Writer    // takes a JSON object and a newline for each request; nil for none
	Debug      bool         // error replies of the HTTP layer show their cause

	Compression bool // gzip replies of 1 KiB and more when the client accepts it

	MaxBody      int64         // bytes of a request body, after decompression; 0 is 16 MiB
	BodyBudget   int64         // bytes that all request bodies in memory may have at once; 0 is 256 MiB
	BodyTimeout  time.Duration // how long a request body may take, besides a second for each MinRate bytes; 0 is 10 s
	BodyMinRate  int64         // bytes a second; 0 is 1,024
	PreferTypes  []string      // media types in which errors before negotiation are answered, if Accept lists them literally
	DefaultType  string        // and the one for all other requests; "" is application/json
	AllowNames   []string      // endpoint names, or "class.*"; empty allows all
	BlockNames   []string
	CORS         CORS
	Headers      []HeaderRule // added to every reply
	HSTS         bool         // on https listeners only
	RejectOPTION bool         // OPTIONS answers 403

	DoSFilter DoSFilter
	Permits   Permits
	Root      RootURL
	NoSniff   bool // X-Content-Type-Options on every reply

	RequestTimeout time.Duration // deadline of a whole request; 0 is none

	TrustedForwarders []netip.Prefix // peers whose Forwarded and X-Forwarded-* headers are believed; empty believes nobody
}

// Server is the http.Handler of every API together.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	limiter  *limiter
	bodies   *budget
	details  map[string]func(*Call, *kafkarest.Error) Details // by the first segment of a path: of errors before an endpoint is chosen
	ids      requestIDs
	draining atomic.Bool
	drain    chan struct{} // closed when draining begins
}

// route is what is mounted at one path: its endpoints by method, in the order given.
type route struct {
	methods map[string][]*Endpoint
	allow   string // the Allow header, and the body of the answer to OPTIONS
}

// New mounts the endpoints. Errors: a path given with two spellings of a wildcard, an allow or block list that names nothing.
func New(cfg Config, apis ...[]Endpoint) (*Server, error) {
	s := &Server{cfg: withDefaults(cfg), mux: http.NewServeMux(), ids: newRequestIDs(), drain: make(chan struct{}),
		details: map[string]func(*Call, *kafkarest.Error) Details{}}
	s.bodies = &budget{limit: s.cfg.BodyBudget}
	s.limiter = newLimiter(s.cfg.DoSFilter, s.cfg.Permits)
	routes := map[string]*route{}
	var names []string
	for _, endpoints := range apis {
		for i := range endpoints {
			e := &endpoints[i]
			r := routes[e.Path]
			if r == nil {
				r = &route{methods: map[string][]*Endpoint{}}
				routes[e.Path] = r
			}
			r.methods[e.Method] = append(r.methods[e.Method], e)
			names = append(names, e.Name)
			if e.Details != nil {
				s.details[firstSegment(e.Path)] = e.Details
			}
		}
	}
	if err := errors.Join(checkNames("api.endpoints.allowlist", s.cfg.AllowNames, names),
		checkNames("api.endpoints.blocklist", s.cfg.BlockNames, names)); err != nil {
		return nil, err
	}
	for path, r := range routes {
		r.allow = allowHeader(r.methods)
		s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			c := w.(*Call)
			c.finish(s.dispatch(c, r))
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.(*Call).finish(errNotFound(nil)) })
	return s, nil
}

func withDefaults(cfg Config) Config {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.MaxBody = orDefault(cfg.MaxBody, 16<<20)
	cfg.BodyBudget = orDefault(cfg.BodyBudget, 256<<20)
	cfg.BodyMinRate = orDefault(cfg.BodyMinRate, 1024)
	cfg.BodyTimeout = orDefault(cfg.BodyTimeout, 10*time.Second)
	cfg.DefaultType = orDefault(cfg.DefaultType, "application/json")
	return cfg
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// allowHeader lists the methods as the reference does: HEAD beside GET, OPTIONS always.
func allowHeader(methods map[string][]*Endpoint) string {
	allow := []string{http.MethodOptions}
	for m := range methods {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	return strings.Join(allow, ", ")
}

// checkNames reports names of an allow or block list that no endpoint has: a typing error there opens or closes the wrong door.
// Names of other API versions than those mounted are let through.
func checkNames(key string, list, names []string) error {
	var errs []error
	for _, want := range list {
		known := slices.ContainsFunc(names, func(n string) bool { return nameMatches(want, n) })
		version, _, _ := strings.Cut(strings.TrimPrefix(want, "api."), ".")
		mounted := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "api."+version+".") })
		if !known && mounted && version != "v3" { // the v3 surface is not complete yet
			errs = append(errs, fmt.Errorf("%s: no endpoint is named %q", key, want))
		}
	}
	return errors.Join(errs...)
}

func nameMatches(pattern, name string) bool {
	if class, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, class)
	}
	return pattern == name
}

// hidden applies the allow and block lists (contract §5.3).
func (s *Server) hidden(e *Endpoint) bool {
	if e.AlwaysOn {
		return false
	}
	match := func(p string) bool { return nameMatches(p, e.Name) }
	if len(s.cfg.AllowNames) > 0 && !slices.ContainsFunc(s.cfg.AllowNames, match) {
		return true
	}
	return slices.ContainsFunc(s.cfg.BlockNames, match)
}

// ServeHTTP takes one request through everything: recovery, request id, limits, CORS, dispatch, the log line.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.cfg.RequestTimeout > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.RequestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	c := &Call{ResponseWriter: w, R: r, server: s, start: time.Now(), RequestID: s.ids.of(r)}
	if r.ProtoMajor == 1 {
		c.conn, _ = r.Context().Value(connKey{}).(*conn)
	}
	defer c.end()
	if r.ContentLength != 0 {
		c.beginBody()
	}
	s.commonHeaders(c)
	if bad := checkPath(r); bad != nil {
		c.finish(bad)
		return
	}
	if err := s.limiter.admit(c); err != nil {
		c.finish(err)
		return
	}
	if s.cors(c) {
		return
	}
	if p := r.URL.Path; len(p) > 1 && p[len(p)-1] == '/' && strings.HasSuffix(r.URL.EscapedPath(), "/") { // a %2F at the end is part of a name
		r.URL.Path = p[:len(p)-1]
		r.URL.RawPath = strings.TrimSuffix(r.URL.RawPath, "/")
	}
	s.mux.ServeHTTP(c, r)
}

// Drain has every reply from now on ask its client to close the connection, so that clients move to another proxy before this one's
// listeners close.
func (s *Server) Drain() {
	if !s.draining.Swap(true) {
		close(s.drain)
	}
}

// checkPath refuses paths that servers read in different ways: ServeMux would answer a redirect, Jetty answers 400.
func checkPath(r *http.Request) error {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: the request target must be a path that starts with a slash.")
	}
	if strings.Contains(path, "//") {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: ambiguous path: it has an empty segment.")
	}
	if strings.Contains(path, "/.") && slices.ContainsFunc(strings.Split(path, "/"), func(seg string) bool { return seg == "." || seg == ".." }) {
		return kafkarest.Errorf(kafkarest.CodeBadRequest, "Bad Request: ambiguous path: it has a dot segment.")
	}
	return nil
}

// dispatch chooses the endpoint by method, then Content-Type, then Accept, in the order of contract §4.1, and runs it.
func (s *Server) dispatch(c *Call, r *route) error {
	method := c.R.Method
	if method == http.MethodOptions {
		return s.options(c, r)
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	candidates := r.methods[method]
	if len(candidates) == 0 {
		c.Header().Set("Allow", r.allow)
		return errMethod()
	}
	candidates, err := s.visible(candidates, method)
	if err != nil {
		return err
	}
	if err := c.choose(candidates); err != nil {
		return err
	}
	if err := s.limiter.spend(c); err != nil {
		return err
	}
	return c.Endpoint.Handle(c)
}

// visible leaves out what the allow and block lists hide: a hidden GET answers 404, anything else 405.
func (s *Server) visible(candidates []*Endpoint, method string) ([]*Endpoint, error) {
	if len(s.cfg.AllowNames)+len(s.cfg.BlockNames) == 0 {
		return candidates, nil
	}
	shown := slices.DeleteFunc(slices.Clone(candidates), s.hidden)
	switch {
	case len(shown) > 0:
		return shown, nil
	case method == http.MethodGet:
		return nil, errNotFound(nil)
	}
	return nil, errMethod()
}

// choose settles the endpoint and both media types: 415 is decided before 406.
func (c *Call) choose(candidates []*Endpoint) error {
	if candidates[0].Consumes != nil {
		var err error
		if candidates, err = c.byContentType(candidates); err != nil {
			return err
		}
	}
	if len(candidates) == 1 {
		c.Endpoint = candidates[0]
		c.Accept = negotiate(c.R.Header["Accept"], c.Endpoint.Produces)
	} else {
		var offers []string
		for _, e := range candidates {
			offers = append(offers, e.Produces...)
		}
		c.Accept = negotiate(c.R.Header["Accept"], offers)
		for _, e := range candidates {
			if slices.Contains(e.Produces, c.Accept) {
				c.Endpoint = e
				break
			}
		}
	}
	if c.Accept == "" {
		return &kafkarest.Error{Code: kafkarest.CodeNotAcceptable, Message: "HTTP 406 Not Acceptable"}
	}
	return nil
}

func (c *Call) byContentType(candidates []*Endpoint) ([]*Endpoint, error) {
	raw := c.R.Header.Get("Content-Type")
	for _, e := range candidates {
		if raw == "" && e.NoType || slices.Contains(e.Consumes, raw) {
			c.ContentType = raw
			return []*Endpoint{e}, nil
		}
	}
	if mediaType := requestType(raw); mediaType != "" {
		for _, e := range candidates {
			if slices.Contains(e.Consumes, mediaType) {
				c.ContentType = mediaType
				return []*Endpoint{e}, nil
			}
		}
	}
	return nil, &kafkarest.Error{Code: kafkarest.CodeUnsupportedMediaType, Message: "HTTP 415 Unsupported Media Type"}
}

// options answers OPTIONS with the methods, as text.
func (s *Server) options(c *Call, r *route) error {
	if s.cfg.RejectOPTION {
		c.WriteHeader(http.StatusForbidden)
		return nil
	}
	c.Header().Set("Allow", r.allow)
	c.Accept = "text/plain"
	return c.Reply(http.StatusOK, []byte(r.allow))
}

// end recovers from a panic of a handler, frees what the call holds and writes the log line.
func (c *Call) end() {
	c.body.release()
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		c.server.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "panic", slog.String("request_id", c.RequestID),
			slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		if c.status == 0 {
			c.finish(kafkarest.Errorf(kafkarest.CodeInternal, "Internal Server Error"))
		} else {
			defer panic(http.ErrAbortHandler) // the reply is half out: only a broken connection tells the client
		}
	}
	c.log()
}
