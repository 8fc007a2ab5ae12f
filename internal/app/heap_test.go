package app

import "testing"

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, roots uint64
		want        int
	}{
		{4 * mib, 0, 500},
		{20 * mib, 0, 100},
		{20 * mib, 20 * mib, 50},
		{40 * mib, 0, 50},
		{400 * mib, 0, 50},
		{0, 0, 2000},
	} {
		if got := gcPercent(c.live, c.roots); got != c.want {
			t.Errorf("%d MiB alive, %d MiB of roots: %d", c.live/mib, c.roots/mib, got)
		}
	}
}
