package registrytest_test

import (
	"context"
	"testing"
	"time"

	"kafkarest/internal/registry/registrytest"
	"kafkarest/internal/testregistry"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestApicurio runs the suite against a real registry.
func TestApicurio(t *testing.T) {
	testregistry.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // the first run on a machine downloads
	defer cancel()
	r, err := testregistry.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("api", func(t *testing.T) { registrytest.Run(t, r.URL(), registrytest.Apicurio) })
	t.Run("rooms", func(t *testing.T) { registrytest.RunRooms(t, r.URL(), nil) })
}
