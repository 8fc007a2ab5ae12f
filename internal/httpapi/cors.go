package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// CORS is cross-origin resource sharing as the reference's filter does it (contract §4.5). An empty Origins switches it off.
type CORS struct {
	Origins []string // "*" is any
	Methods []string // empty is GET, POST, HEAD
	Headers []string // empty is X-Requested-With, Content-Type, Accept, Origin
	Expose  []string
}

var (
	corsMethods = []string{"GET", "POST", "HEAD"}
	corsHeaders = []string{"X-Requested-With", "Content-Type", "Accept", "Origin"}
)

// cors adds the headers for an allowed origin, and reports whether it has answered a preflight.
func (s *Server) cors(c *Call) (answered bool) {
	if len(s.cfg.CORS.Origins) == 0 {
		return false
	}
	origin := c.R.Header.Get("Origin")
	preflight := c.R.Method == http.MethodOptions && origin != "" && c.R.Header.Get("Access-Control-Request-Method") != ""
	allowed := origin != "" && (slices.Contains(s.cfg.CORS.Origins, origin) || slices.Contains(s.cfg.CORS.Origins, "*"))
	if origin != "" {
		c.Header().Add("Vary", "Origin")
	}
	if preflight {
		if allowed && s.preflightAllowed(c.R) {
			s.grant(c, origin)
			c.Header().Set("Access-Control-Max-Age", "1800")
			c.Header().Set("Access-Control-Allow-Methods", strings.Join(nonEmpty(s.cfg.CORS.Methods, corsMethods), ","))
			c.Header().Set("Access-Control-Allow-Headers", strings.Join(nonEmpty(s.cfg.CORS.Headers, corsHeaders), ","))
		}
		c.Header().Set("Content-Length", "0")
		c.WriteHeader(http.StatusOK)
		return true
	}
	if allowed {
		s.grant(c, origin)
		if len(s.cfg.CORS.Expose) > 0 {
			c.Header().Set("Access-Control-Expose-Headers", strings.Join(s.cfg.CORS.Expose, ","))
		}
	}
	return false
}

func (s *Server) grant(c *Call, origin string) {
	c.Header().Set("Access-Control-Allow-Origin", origin)
	c.Header().Set("Access-Control-Allow-Credentials", "true")
}

func (s *Server) preflightAllowed(r *http.Request) bool {
	if !slices.Contains(nonEmpty(s.cfg.CORS.Methods, corsMethods), r.Header.Get("Access-Control-Request-Method")) {
		return false
	}
	allowed := nonEmpty(s.cfg.CORS.Headers, corsHeaders)
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, name) }) {
			return false
		}
	}
	return true
}

func nonEmpty(list, otherwise []string) []string {
	if len(list) > 0 {
		return list
	}
	return otherwise
}

// HeaderRule is one entry of response.http.headers.config: set or add a header, or the same with a date some milliseconds ahead.
type HeaderRule struct {
	Action string // set, add, setDate, addDate
	Name   string
	Value  string
}

// commonHeaders are on every reply, errors too.
func (s *Server) commonHeaders(c *Call) {
	h := c.Header()
	c.idHeader[0] = c.RequestID
	h["X-Request-Id"] = c.idHeader[:]
	h["Vary"] = varyEncoding
	if s.draining.Load() && c.R.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	if s.cfg.NoSniff {
		h.Set("X-Content-Type-Options", "nosniff")
	}
	for _, rule := range s.cfg.Headers {
		value := rule.Value
		if strings.HasSuffix(rule.Action, "Date") {
			ahead, _ := time.ParseDuration(value + "ms")
			value = time.Now().Add(ahead).UTC().Format(http.TimeFormat)
		}
		if strings.HasPrefix(rule.Action, "set") {
			h.Set(rule.Name, value)
		} else {
			h.Add(rule.Name, value)
		}
	}
	if s.cfg.HSTS && c.R.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// varyEncoding is shared by all replies: its capacity is its length, so that Header.Add copies it.
var varyEncoding = slices.Clip([]string{"Accept-Encoding"})
