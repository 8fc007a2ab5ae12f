// Package embedded is the in-process Kafka broker of `kafka-rest dev` and of tests: kfake over its in-memory network, with topics,
// records and committed offsets in a data folder. It opens no TCP port; a client reaches it with the options that Broker.Options
// gives and with nothing else. It has no replication and is not meant for production.
//
// What it adds to kfake: Kafka's rules for topic names, auto-created topics that survive a crash, a bound on the bytes of the whole
// broker (kfake keeps everything for ever unless told), a lock on the data folder, and no time limit for records by default.
package embedded

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Defaults of Config.
const (
	DefaultRetentionBytes = 256 << 20
	DefaultMaxBytes       = 1 << 30
	DefaultSegmentBytes   = 8 << 20
)

// firstPort is the first broker's port on the in-memory network. It is what a client sees in metadata; nothing listens on it.
const firstPort = 9092

// minSessionTimeout lets tests lose a group member quickly; Kafka's own minimum is 6 s.
const minSessionTimeout = 100 * time.Millisecond

// Config describes a broker. Its zero value is usable: one node that forgets everything at Close and creates no topic by itself.
type Config struct {
	// DataDir keeps topics, records, committed offsets and the cluster id across restarts; it is made if it is absent, and a second
	// broker on the same folder is refused. Empty means a temporary folder that Close removes: records are kept in files in any
	// case, because in memory twelve million small ones take 5 GiB.
	DataDir string
	// RetentionBytes bounds one partition of a topic that is not compacted. 0 means DefaultRetentionBytes. A topic's own
	// retention.bytes and retention.ms apply too, if they are stricter.
	RetentionBytes int64
	// MaxBytes bounds all partitions together: the largest are trimmed first, compacted ones never. 0 means DefaultMaxBytes.
	// Bounds are applied each second, and a file is removed when its last record goes, so the folder can be larger than this by one
	// segment for each partition and by what is produced within a second.
	MaxBytes int64
	// SegmentBytes is the size at which a partition's file is closed and the next one begun. 0 means DefaultSegmentBytes.
	SegmentBytes int64
	// Partitions is the number of partitions of a topic that is created without one. 0 means 1.
	Partitions int
	// AutoCreate makes a topic when a client that asks for it (kgo.AllowAutoTopicCreation) names an unknown one.
	AutoCreate bool
	// Nodes is the number of brokers. 0 means 1. Their node ids begin at 0.
	Nodes int
	// Settings are broker configurations on top of those that this package chooses.
	Settings map[string]string
	// Log takes the broker's warnings and errors. nil discards them.
	Log *slog.Logger
}

func (c *Config) setDefaults() {
	setDefault(&c.RetentionBytes, DefaultRetentionBytes)
	setDefault(&c.MaxBytes, DefaultMaxBytes)
	setDefault(&c.SegmentBytes, DefaultSegmentBytes)
	setDefault(&c.Partitions, 1)
	setDefault(&c.Nodes, 1)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) validate() error {
	switch {
	case c.RetentionBytes < 0, c.MaxBytes < 0, c.SegmentBytes < 0:
		return errors.New("embedded broker: a byte limit is negative")
	case c.Partitions < 0:
		return errors.New("embedded broker: the number of partitions is negative")
	case c.Nodes < 0 || c.Nodes > 100:
		return fmt.Errorf("embedded broker: %d nodes, want 1 to 100", c.Nodes)
	}
	return nil
}

// Broker is a running broker.
type Broker struct {
	cfg     Config
	network kfake.VirtualNetwork
	cluster *kfake.Cluster
	dir     *dataDir
	log     *logger
	addrs   []string

	stop      chan struct{} // closed by Close
	done      chan struct{} // closed when the retention goroutine has ended
	closeOnce sync.Once
	closeErr  error
}

// Start starts a broker. The caller owns it and must Close it.
func Start(cfg Config) (*Broker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, dir: dir, log: &logger{log: cfg.Log}, stop: make(chan struct{}), done: make(chan struct{})}
	if b.cluster, err = kfake.NewCluster(b.clusterOptions()...); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker in %s: %w", dir.path, err), dir.close())
	}
	b.addrs = b.cluster.ListenAddrs()
	b.watchTopics()
	go b.keepBounds()
	return b, nil
}

func (b *Broker) clusterOptions() []kfake.Opt {
	ports := make([]int, b.cfg.Nodes)
	for i := range ports {
		ports[i] = firstPort + i
	}
	// AllowAutoTopicCreation of kfake is not used: see watchTopics.
	return []kfake.Opt{
		kfake.ListenFn(b.network.Listen),
		kfake.Ports(ports...),
		kfake.ClusterID(newClusterID()),
		kfake.DataDir(b.dir.path),
		kfake.DefaultNumPartitions(b.cfg.Partitions),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.BrokerConfigs(b.settings()),
		kfake.WithLogger(b.log),
	}
}

// settings are the broker configurations. The time limit is off because kfake looks at each record's own timestamp whenever
// retention is applied, and that is each second here: a record that carries a timestamp of last year would be gone at once, and
// compacted topics would lose what is older than a week. There is no initial rebalance delay to switch off.
func (b *Broker) settings() map[string]string {
	s := map[string]string{
		"log.retention.ms":                     "-1",
		"log.segment.bytes":                    strconv.FormatInt(b.cfg.SegmentBytes, 10),
		"group.consumer.heartbeat.interval.ms": "500",
	}
	maps.Copy(s, b.cfg.Settings)
	return s
}

// newClusterID makes an id as Kafka does: 16 random bytes in URL-safe base64 that do not begin with a dash. kfake prefers the id
// that a data folder already has.
func newClusterID() string {
	for {
		var raw [16]byte
		_, _ = rand.Read(raw[:]) // never fails: it crashes the program instead
		if id := base64.RawURLEncoding.EncodeToString(raw[:]); id[0] != '-' {
			return id
		}
	}
}

// Options are the client options that reach the broker: its seeds and the dialer of its in-memory network.
func (b *Broker) Options() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(b.addrs...), kgo.Dialer(b.network.DialContext)}
}

// Addrs are the brokers' addresses as metadata shows them. They exist on the in-memory network only.
func (b *Broker) Addrs() []string { return append([]string(nil), b.addrs...) }

// Cluster is the broker underneath, for fault injection in tests. Only Broker.Close may close it.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close stops the broker, writes its state to the data folder and removes the folder if it is a temporary one. Clients should be
// closed before. It is safe to call more than once.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		close(b.stop)
		<-b.done // kfake answers no administrative call after its Close, so the goroutine must have ended
		b.log.watch()
		b.cluster.Close()
		b.closeErr = errors.Join(b.log.failure(), b.dir.close())
	})
	return b.closeErr
}

// partitionsDir is where kfake keeps a folder for each partition that has been written to.
func (b *Broker) partitionsDir() string { return filepath.Join(b.dir.path, "partitions") }

// removeAll is os.RemoveAll with the folder's name in the error.
func removeAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("embedded broker: removing %s: %w", path, err)
	}
	return nil
}
