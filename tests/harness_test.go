package tests

import (
	"os"
	"testing"

	"kafkarest/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

type broker = harness.Broker

// proxy is the program in this process.
type proxy struct{ *harness.Proxy }

func (p *proxy) stop() error { return p.Stop() }

func eachBroker(t *testing.T, body func(t *testing.T, b broker)) {
	t.Helper()
	harness.EachBroker(t, body)
}

func startProxy(t testing.TB, b broker, settings map[string]string) *proxy {
	t.Helper()
	return &proxy{harness.StartProxy(t, b, settings)}
}

func newProxy(b broker, settings map[string]string) (*proxy, error) {
	p, err := harness.NewProxy(b, settings)
	return &proxy{p}, err
}
