package app

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"
)

// health answers /livez (the process serves) and /readyz (a broker answers, and the process is not stopping).
type health struct {
	cluster  *kafka.Cluster
	timeout  time.Duration
	draining atomic.Bool
}

func (h *health) endpoints() []httpapi.Endpoint {
	types := []string{"application/json"}
	return []httpapi.Endpoint{
		{Name: "health.live", Method: "GET", Path: "/livez", Produces: types, Handle: h.live, AlwaysOn: true},
		{Name: "health.ready", Method: "GET", Path: "/readyz", Produces: types, Handle: h.ready, AlwaysOn: true},
	}
}

func (h *health) live(c *httpapi.Call) error {
	return c.Reply(http.StatusOK, []byte(`{"status":"live"}`))
}

func (h *health) ready(c *httpapi.Call) error {
	if h.draining.Load() {
		return &kafkarest.Error{Code: kafkarest.CodeDraining, Message: "The proxy is shutting down.", RetryAfter: time.Second}
	}
	ctx, cancel := context.WithTimeout(c.R.Context(), h.timeout)
	defer cancel()
	if err := h.cluster.Ready(ctx); err != nil {
		return kafkarest.Wrap(kafkarest.CodeUnavailable, err, "No broker answers within ready.timeout.ms.")
	}
	return c.Reply(http.StatusOK, []byte(`{"status":"ready"}`))
}
