package task

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A node that may not use the group of callbacks sends none: it says so, once, with the group's name, until the permission is there.
func TestGroupIsForbidden(t *testing.T) {
	for _, request := range []kmsg.Key{kmsg.FindCoordinator, kmsg.JoinGroup} {
		t.Run(request.Name(), func(t *testing.T) { groupIsForbidden(t, request) })
	}
}

func groupIsForbidden(t *testing.T, request kmsg.Key) {
	t.Helper()
	cluster, b := brokerFor(t)
	var refused atomic.Int64
	var allowed atomic.Bool
	b.Cluster().ControlKey(int16(request), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		if allowed.Load() {
			return nil, nil, false
		}
		refused.Add(1)
		return forbiddenGroup(req), nil, true
	})
	var log lines
	callbacks := toLoopback()
	callbacks.Group = "hooks"
	s := open(t, cluster, Config{Node: "n", Callbacks: callbacks, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	begin(t, s, Beginning{})
	within(t, "said", func() bool { return strings.Contains(s.Info().NoSends, "hooks") && refused.Load() > 1 })
	if text := log.String(); strings.Count(text, "group=hooks") != 1 {
		t.Errorf("logged: %s", text)
	}
	allowed.Store(true)
	within(t, "over", func() bool { return s.Info().NoSends == "" })
}

// forbiddenGroup is what a broker says whose authorizer lets nobody use a group.
func forbiddenGroup(req kmsg.Request) kmsg.Response {
	if find, ok := req.(*kmsg.FindCoordinatorRequest); ok {
		resp := find.ResponseKind().(*kmsg.FindCoordinatorResponse)
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		for _, key := range find.CoordinatorKeys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.ErrorCode = key, kerr.GroupAuthorizationFailed.Code
			resp.Coordinators = append(resp.Coordinators, c)
		}
		return resp
	}
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
	return resp
}

func within(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}
