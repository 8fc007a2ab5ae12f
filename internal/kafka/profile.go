package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Profile is what of a producer one request may choose. Each profile has a shared producer of its own, made on first use. The zero value is
// what the configuration says.
type Profile struct {
	Acks        string // "all" or "1"; "" for the configured
	Compression string // one of Compressions; "" for the configured
}

// Compressions are the codecs that a profile may name.
var Compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// options go over those of the configuration.
func (p Profile) options() ([]kgo.Opt, error) {
	var opts []kgo.Opt
	switch p.Acks {
	case "":
	case "all":
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("acks %q is neither all nor 1", p.Acks)
	}
	codec, ok := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[p.Compression]
	if ok {
		opts = append(opts, kgo.ProducerBatchCompression(codec))
	} else if p.Compression != "" {
		return nil, fmt.Errorf("compression %q is not known", p.Compression)
	}
	return opts, nil
}

// ProducerFor gives the shared producer of a profile. It lives until the cluster is closed.
func (c *Cluster) ProducerFor(profile Profile) (*Producer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, kgo.ErrClientClosed
	}
	if p := c.producers[profile]; p != nil {
		return p, nil
	}
	own, err := profile.options()
	if err != nil {
		return nil, err
	}
	opts := append(c.cfg.options(producerDefaults()), c.cfg.Producer...)
	opts = append(append(opts, own...), kgo.RecordDeliveryTimeout(0)) // see Producer.lifetime
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("producer client: %w", err)
	}
	p := &Producer{client: client, topics: c.topics, idempotent: c.cfg.Idempotent && profile.Acks != "1", delivery: c.cfg.DeliveryTimeout}
	c.producers[profile] = p
	return p, nil
}
