package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/kafka/embedded"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startBroker starts a broker of one node; the test's end stops it.
func startBroker(t *testing.T, settings map[string]string) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// openCluster opens what the rooms above see of a broker; the test's end closes it.
func openCluster(t *testing.T, b *embedded.Broker, cfg Config) *Cluster {
	t.Helper()
	cfg.Common, cfg.Idempotent = b.Options(), true
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

func createTopic(t *testing.T, b *embedded.Broker, name string, partitions int32) {
	t.Helper()
	if err := b.Cluster().CreateTopic(name, partitions, nil); err != nil {
		t.Fatal(err)
	}
}

// counted counts the requests of a kind from now on.
func counted(b *embedded.Broker, key kmsg.Key) *kfake.FaultHandle {
	return b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{key}, Observe: true, Count: -1})
}

// freeze has requests of a kind unanswered until thaw is called, which the test's end does too.
func freeze(t *testing.T, b *embedded.Broker, key kmsg.Key) (thaw func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.Cluster().ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		if ctx.Err() != nil {
			b.Cluster().DropControl()
			return nil, nil, false
		}
		b.Cluster().KeepControl()
		b.Cluster().SleepControl(func() { <-ctx.Done() })
		return nil, errors.New("thawed"), true // what was frozen is not done after all: its client may be gone
	})
	t.Cleanup(cancel)
	return cancel
}

func codeOfError(err error) kafkarest.Code {
	if e := kafkarest.AsError(err); e != nil {
		return e.Code
	}
	return 0
}
