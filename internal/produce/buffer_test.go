package produce

import (
	"testing"

	"pgregory.net/rapid"
)

// TestBuffer takes and gives back in any order: the limits hold, except for one request that is larger than a limit by itself, and all
// that was taken can be given back.
func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 100).Draw(t, "limit")
		b := newBuffer(limit, rapid.Int64Range(1, 150).Draw(t, "topic limit"))
		type piece struct {
			topic string
			n     int64
		}
		var flying []piece
		sum := func(topic string) (n int64, pieces int) {
			for _, p := range flying {
				if topic == "" || p.topic == topic {
					n, pieces = n+p.n, pieces+1
				}
			}
			return n, pieces
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				p := piece{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic"), rapid.Int64Range(1, 120).Draw(t, "n")}
				all, _ := sum("")
				own, _ := sum(p.topic)
				fits := (all == 0 || all+p.n <= limit) && (own == 0 || own+p.n <= b.topicLimit)
				if err := b.take(p.topic, p.n); (err == nil) != fits {
					t.Fatalf("%+v with %v in flight: %v", p, flying, err)
				}
				if fits {
					flying = append(flying, p)
				}
			},
			"release": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(flying)-1).Draw(t, "i")
				b.release(flying[i].topic, flying[i].n)
				flying = append(flying[:i:i], flying[i+1:]...)
			},
			"": func(t *rapid.T) {
				all, pieces := sum("")
				if b.used != all || all > limit && pieces > 1 {
					t.Fatalf("%d used, %v in flight, limit %d", b.used, flying, limit)
				}
				for _, topic := range []string{"a", "b", "c"} {
					own, pieces := sum(topic)
					if got, there := b.topics[topic]; got != own || there != (own > 0) || own > b.topicLimit && pieces > 1 {
						t.Fatalf("topic %s: %d, %v in flight, limit %d", topic, got, flying, b.topicLimit)
					}
				}
			},
		})
	})
}
