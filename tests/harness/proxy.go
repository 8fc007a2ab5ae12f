package harness

import (
	"context"
	"maps"
	"os"
	"testing"

	"kafkarest/internal/app"
	"kafkarest/internal/config"
)

// Proxy is the program under test, in this process.
type Proxy struct {
	Endpoint
	app *app.App
}

// StartProxy starts the program on a free port; the test's end stops it.
func StartProxy(t testing.TB, b Broker, settings map[string]string) *Proxy {
	t.Helper()
	p, err := NewProxy(b, settings)
	if err != nil {
		t.Fatal(err)
	}
	p.T = t
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop the proxy: %v", err)
		}
	})
	return p
}

// NewProxy starts the program; the caller stops it.
func NewProxy(b Broker, settings map[string]string) (*Proxy, error) {
	cfg, err := config.Load(config.Source{Set: proxySettings(b, settings)})
	if err != nil {
		return nil, err
	}
	a, err := app.New(app.Options{Config: cfg, Broker: b.Embedded, Registry: b.Embedded != nil && cfg.IsSet("schema.registry.listeners"), LogTo: os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := a.Start(); err != nil {
		return nil, err
	}
	return &Proxy{app: a, Endpoint: Endpoint{URL: "http://" + a.Addr()}}, nil
}

// proxySettings puts the test's settings over those of every test.
func proxySettings(b Broker, settings map[string]string) map[string]string {
	set := map[string]string{"listeners": "http://127.0.0.1:0", "shutdown.settle.ms": "0", "log.level": "error"}
	if b.Embedded == nil {
		set["bootstrap.servers"] = b.Bootstrap
	}
	maps.Copy(set, settings)
	return set
}

// Stop ends the program without a settle time.
func (p *Proxy) Stop() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return p.app.Stop(ctx)
}
