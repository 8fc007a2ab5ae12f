package testkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"kafkarest/internal/testjava"
)

// Node is one process of a cluster: a broker that is a controller as well. Killing two of three nodes therefore also stops the quorum.
type Node struct {
	ID   int32
	Addr string // host and port of the broker's listener; the same after a restart

	jvm       jvm
	extra     []string
	dir       string
	clusterID string

	mu   sync.Mutex
	proc *testjava.Process // nil before the first start
}

func newNode(j jvm, c *Cluster, a nodeAddresses, extra []string) *Node {
	return &Node{
		ID: a.id, Addr: loopback(a.broker), jvm: j, extra: extra, clusterID: c.id,
		dir: filepath.Join(c.dir, fmt.Sprintf("node-%d", a.id)),
	}
}

func (n *Node) propertiesFile() string { return filepath.Join(n.dir, "server.properties") }
func (n *Node) logFile() string        { return filepath.Join(n.dir, "server.log") }

// run starts the process. It does not wait for anything.
func (n *Node) run() error {
	p, err := testjava.Start(n.logFile(), n.jvm.bin, n.jvm.args(n.extra, "kafka.Kafka", n.propertiesFile())...)
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.ID, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proc = p
	return nil
}

func (n *Node) process() *testjava.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// PID is the process id of the node, of its last run when it is not running.
func (n *Node) PID() int { return n.process().PID() }

// Running says whether the process exists, be it paused or not.
func (n *Node) Running() bool {
	p := n.process()
	return p != nil && p.Running()
}

// Kill ends the node as kill -9 does, paused or not, and waits until it has gone. On a node that is not running it does nothing.
func (n *Node) Kill() error {
	p := n.process()
	if p == nil {
		return nil
	}
	return p.Kill()
}

// Pause freezes the node (SIGSTOP): its connections stay open and nothing is answered.
func (n *Node) Pause() error { return n.signal(syscall.SIGSTOP) }

// Resume lets a paused node go on (SIGCONT).
func (n *Node) Resume() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(s os.Signal) error {
	if !n.Running() {
		return fmt.Errorf("node %d is not running", n.ID)
	}
	return n.process().Signal(s)
}

// Terminate asks the node to shut down in order (SIGTERM), handing its partitions to other nodes first, and waits until it has gone. A
// paused node must be resumed before. When ctx ends first the node may still be running.
func (n *Node) Terminate(ctx context.Context) error {
	p := n.process()
	if p == nil || !p.Running() {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node %d did not stop: %w", n.ID, ctx.Err())
	}
}

// Restart starts the node again on the same ports with the same data, after terminating it if it runs, and waits until it serves. It
// needs a majority of nodes: to bring back two of three, restart both at once.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Terminate(ctx); err != nil {
		return err
	}
	if err := n.run(); err != nil {
		return err
	}
	return n.await(ctx, 1)
}

// await polls the node until it serves and knows at least the given number of brokers.
func (n *Node) await(ctx context.Context, brokers int) error {
	p := n.process()
	err := poll(ctx, p.Done(), func(ctx context.Context) error { return n.serves(ctx, brokers) })
	if err == nil {
		return nil
	}
	tail := n.logTail()
	err = fmt.Errorf("node %d is not ready: %w\n--- end of its log ---\n%s", n.ID, err, tail)
	if strings.Contains(tail, "Address already in use") {
		return errors.Join(errPortTaken, err)
	}
	return err
}

// logTail is the end of what the node wrote, for error texts.
func (n *Node) logTail() string {
	log, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	return testjava.LastLines(string(log), 40)
}
