package testkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// startDeadline bounds the start of a cluster once its jars are there.
const startDeadline = 60 * time.Second

// Config says what to start. The zero value is one node that creates no topic by itself.
type Config struct {
	Nodes      int               // 0 means 1; from 3 nodes on topics have 3 replicas and min.insync.replicas is 2
	AutoCreate bool              // topics come into being at first use, with one partition
	Authorizer bool              // ACLs are enforced; ANONYMOUS, which is everybody on these listeners, is a super user
	Throughput bool              // for runs of minutes under load: lets the JVM compile fully, at the price of a slower first half minute
	Port       int               // brokers listen on Port, Port+1, …; 0 means any free ports
	Properties map[string]string // further broker properties for every node; they win over this package's own
}

// Cluster is a running Kafka. Its methods may be called from several goroutines.
type Cluster struct {
	id    string
	dir   string
	nodes []*Node
}

// Start runs a cluster and returns when every node answers and knows all the others, or with an error that shows the end of the nodes'
// logs. The first call on a machine downloads Kafka, for which only ctx sets a limit; the start itself is bounded at 60 s.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	j, err := newJVM(ctx)
	if err != nil {
		return nil, err
	}
	j.throughput = cfg.Throughput
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	return startOnFreePorts(ctx, j, cfg)
}

// errPortTaken marks the one failure that other ports can cure.
var errPortTaken = errors.New("a port was taken by another process")

// startOnFreePorts tries again with other ports when somebody else was faster. extra are further options of the brokers' JVM.
func startOnFreePorts(ctx context.Context, j jvm, cfg Config, extra ...string) (*Cluster, error) {
	const tries = 4
	for try := 1; ; try++ {
		c, err := start(ctx, j, cfg, extra)
		if err == nil || !errors.Is(err, errPortTaken) || cfg.Port != 0 || try == tries {
			return c, err
		}
	}
}

func start(ctx context.Context, j jvm, cfg Config, extra []string) (*Cluster, error) {
	c, err := prepare(ctx, j, cfg, extra)
	if err != nil {
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare lays out the folders of all nodes and formats them. Its result is a cluster with no node running.
func prepare(ctx context.Context, j jvm, cfg Config, extra []string) (*Cluster, error) {
	addresses, err := chooseAddresses(max(1, cfg.Nodes), cfg.Port)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("testkafka-%d-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	c := &Cluster{id: kafkaID(), dir: dir}
	for _, a := range addresses {
		c.nodes = append(c.nodes, newNode(j, c, a, extra))
	}
	if err := c.format(ctx, j, cfg, addresses); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

func chooseAddresses(nodes, port int) ([]nodeAddresses, error) {
	ports, err := freePorts(2 * nodes)
	if err != nil {
		return nil, err
	}
	var out []nodeAddresses
	for i := range nodes {
		a := nodeAddresses{id: int32(i + 1), broker: ports[2*i], controller: ports[2*i+1]}
		if port != 0 {
			a.broker = port + i
		}
		out = append(out, a)
	}
	return out, nil
}

// format writes each node's configuration and formats its data folder, all at once since each takes a JVM.
func (c *Cluster) format(ctx context.Context, j jvm, cfg Config, addresses []nodeAddresses) error {
	quorum := quorumOption(addresses)
	group, ctx := errgroup.WithContext(ctx)
	for i, n := range c.nodes {
		group.Go(func() error {
			if err := os.Mkdir(n.dir, 0o755); err != nil {
				return err
			}
			p := serverProperties(cfg, addresses[i], addresses, filepath.Join(n.dir, "data"))
			if err := os.WriteFile(n.propertiesFile(), encodeProperties(p), 0o644); err != nil {
				return err
			}
			return j.format(ctx, c.id, n.propertiesFile(), quorum...)
		})
	}
	return group.Wait()
}

// quorumOption names the first controllers. For several of them the format tool wants each one's folder id, the same list on every node.
func quorumOption(addresses []nodeAddresses) []string {
	if len(addresses) == 1 {
		return []string{"--standalone"}
	}
	var voters []string
	for _, a := range addresses {
		voters = append(voters, fmt.Sprintf("%d@%s:%s", a.id, loopback(a.controller), kafkaID()))
	}
	return []string{"--initial-controllers", strings.Join(voters, ",")}
}

// kafkaID is a random id in Kafka's notation: 16 bytes in URL-safe base64. One that begins with a dash would be read as an option.
func kafkaID() string {
	for {
		var b [16]byte
		rand.Read(b[:]) // never fails, by its contract
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// launch starts all nodes and waits until they are of one mind.
func (c *Cluster) launch(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.run(); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error { return n.await(ctx, len(c.nodes)) })
	}
	return group.Wait()
}

// Bootstrap is the list of all brokers' addresses, as bootstrap.servers wants it.
func (c *Cluster) Bootstrap() string { return strings.Join(c.Addrs(), ",") }

// Addrs are the brokers' addresses in the order of their ids, as kgo.SeedBrokers wants them.
func (c *Cluster) Addrs() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.Addr)
	}
	return out
}

// Nodes are all nodes in the order of their ids, which count from 1.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// Version is the version of Kafka that runs.
func (c *Cluster) Version() string { return Version() }

// Close kills every node, stopped ones too, waits until they have gone, and removes their data. It may be called again.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
