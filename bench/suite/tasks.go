package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kafkarest/bench/load"
	"kafkarest/bench/proc"
)

// tasksLoad is very many tasks that are accepted and cannot be stored yet. Only the proxy has tasks; it is started for nothing else, so that
// its memory is theirs.
//
// Its broker is the embedded one, in the bench's own process: it refuses the records with NOT_ENOUGH_REPLICAS for as long as it is told to.
// One broker of Kafka 4 cannot be made to do so, since it does not ask for more replicas in sync than a topic has.
type tasksLoad struct {
	tasks int

	rounds rounds
}

// tasksSettings keeps records under way for longer than a slow machine needs for a round. The limits are the defaults.
const tasksSettings = "producer.delivery.timeout.ms=600000\n"

// calm waits until the proxy has given back the memory of a load that is over, and a quick run does not.
func (l *tasksLoad) calm(ctx context.Context, s *Suite) {
	if !s.opts.Quick {
		s.pause(ctx, 20*time.Second)
	}
}

// Name implements Load.
func (l *tasksLoad) Name() string {
	return thousands(l.tasks) + " pending tasks of 100 B, fresh process"
}

// Begin implements Load.
func (l *tasksLoad) Begin(context.Context, *Suite) error {
	l.rounds = rounds{}
	return nil
}

// Round starts a broker that refuses, and the proxy on it.
func (l *tasksLoad) Round(ctx context.Context, s *Suite, side *Side) ([]Figure, error) {
	if !side.isProxy() || l.rounds.enough(side, 2) {
		return nil, nil
	}
	r, err := startRefusing(ctx, s.name("tasks"))
	if err != nil {
		return nil, err
	}
	defer r.close()
	kind := Side{Name: side.Name, program: s.configured(side.program.path, strings.Join(r.cluster.ListenAddrs(), ","), tasksSettings)}
	fresh, err := kind.fresh(ctx, s.opts.Dir)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	return l.drive(ctx, s, fresh, r)
}

// refusing is a broker that takes no record of one topic until it is told to.
type refusing struct {
	cluster *kfake.Cluster
	broker  *broker
	topic   string
	fault   *kfake.FaultHandle
}

func startRefusing(ctx context.Context, topic string) (*refusing, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		return nil, err
	}
	b, err := newBroker(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		cluster.Close()
		return nil, err
	}
	r := &refusing{cluster: cluster, broker: b, topic: topic}
	if err := b.create(ctx, topic); err != nil {
		r.close()
		return nil, err
	}
	r.fault = cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotEnoughReplicas, Count: -1})
	return r, nil
}

func (r *refusing) close() {
	r.broker.close()
	r.cluster.Close()
}

func (l *tasksLoad) drive(ctx context.Context, s *Suite, side *Side, r *refusing) ([]Figure, error) {
	n := s.scaled(l.tasks)
	s.pause(ctx, time.Second) // the process has started and is idle
	rest, err := proc.MemoryOf(side.PID)
	if err != nil {
		return nil, err
	}
	accepting, ids, err := accept(ctx, side, r.topic, n)
	if err != nil {
		return nil, err
	}
	if err := pendingNow(ctx, side, n); err != nil {
		return nil, err
	}
	l.calm(ctx, s)
	pending, err := watch(ctx, s, side)
	if err != nil {
		return nil, err
	}
	r.fault.Remove()
	final, err := l.settle(ctx, s, side)
	if err != nil {
		return nil, err
	}
	return []Figure{
		{Name: "RSS MB at rest", Value: megabytes(rest.RSS)},
		{Name: "RSS MB with all pending", Value: megabytes(pending.memory.RSS)},
		{Name: "RSS MB at most, while they come", Value: megabytes(accepting.memory.Peak)},
		{Name: "RSS MB when all are final", Value: megabytes(final.RSS)},
		{Name: "accepted/s", Value: float64(n) / accepting.took.Seconds()},
		{Name: "CPU ms per s with all pending", Value: cpuShare(pending).Value, Digits: 1},
	}, errors.Join(r.holds(ctx, n), allDelivered(ctx, side, ids))
}

// accept posts n messages as tasks and gives their ids.
func accept(ctx context.Context, side *Side, topic string, n int) (usage, []string, error) {
	var mu sync.Mutex
	ids := make([]string, 0, n)
	check := func(status int, body []byte) error {
		var task struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(body, &task); err != nil || status != 202 || task.ID == "" {
			return fmt.Errorf("status %d: %.300s", status, body)
		}
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, task.ID)
		return nil
	}
	requests := make([][]byte, min(n, 5000)) // no two alike lie near each other: what waits is compressed
	for i := range requests {
		requests[i] = load.Request("POST", side.Addr, "/messages/"+topic+"?async=true", "application/octet-stream", "", load.Varied(i, 100))
	}
	fleet, err := load.Open(ctx, load.Plan{Addr: side.Addr, Conns: 32, Requests: requests, Check: check, Limit: 3 * time.Minute})
	if err != nil {
		return usage{}, nil, err
	}
	defer fleet.Close()
	meter, err := startMeter(side)
	if err != nil {
		return usage{}, nil, err
	}
	out := fleet.Run(ctx, n)
	used, err := meter.stop()
	if out.OK != n {
		err = errors.Join(err, fmt.Errorf("%d of %d tasks accepted", out.OK, n), failures(out))
	}
	return used, ids, err
}

// tasksInfo is what GET /tasks tells.
type tasksInfo struct {
	Tasks   int `json:"tasks"`
	Pending int `json:"pending"`
}

func tasksOf(ctx context.Context, side *Side) (info tasksInfo, err error) {
	body, err := load.Call(ctx, side.Addr, load.Request("GET", side.Addr, "/tasks", "", "", ""), load.OK, callLimit)
	if err == nil {
		err = json.Unmarshal(body, &info)
	}
	return info, err
}

func pendingNow(ctx context.Context, side *Side, n int) error {
	info, err := tasksOf(ctx, side)
	if err == nil && info != (tasksInfo{n, n}) {
		err = fmt.Errorf("%d tasks, %d of them pending, where %d should be: the figure is void", info.Tasks, info.Pending, n)
	}
	return err
}

// settle waits until no task is pending, and then a while longer.
func (l *tasksLoad) settle(ctx context.Context, s *Suite, side *Side) (proc.Memory, error) {
	for deadline := time.Now().Add(2 * time.Minute); ; wait(ctx, 100*time.Millisecond) {
		info, err := tasksOf(ctx, side)
		if err != nil {
			return proc.Memory{}, err
		}
		if info.Pending == 0 {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return proc.Memory{}, fmt.Errorf("%d tasks are pending still", info.Pending)
		}
	}
	l.calm(ctx, s)
	s.pause(ctx, idleWindow)
	return proc.MemoryOf(side.PID)
}

// holds wants each task's record in the log, once.
func (r *refusing) holds(ctx context.Context, n int) error {
	stored, err := r.broker.count(ctx, r.topic)
	if err == nil && stored != int64(n) {
		err = fmt.Errorf("%d records landed of %d tasks", stored, n)
	}
	return err
}

// allDelivered asks for each task.
func allDelivered(ctx context.Context, side *Side, ids []string) error {
	const hands = 8
	var errs [hands]error
	var all sync.WaitGroup
	for hand := range hands {
		share := ids[hand*len(ids)/hands : (hand+1)*len(ids)/hands]
		all.Go(func() { errs[hand] = delivered(ctx, side, share) })
	}
	all.Wait()
	return errors.Join(errs[:]...)
}

func delivered(ctx context.Context, side *Side, ids []string) error {
	conn, err := load.Dial(ctx, side.Addr)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the replies were read
	for _, id := range ids {
		status, body, err := conn.Do(load.Request("GET", side.Addr, "/tasks/"+id, "", "", ""), time.Now().Add(callLimit))
		if err != nil {
			return err
		}
		if status != 200 || !bytes.Contains(body, []byte(`"status":"delivered"`)) {
			return fmt.Errorf("task %s: status %d: %.300s", id, status, body)
		}
	}
	return nil
}

// End implements Load.
func (*tasksLoad) End(context.Context, *Suite) error { return nil }
