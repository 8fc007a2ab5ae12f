package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testkafka/checker"
	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Row 11: the proxy is killed (kill -9) with requests under way, at random times. What it has acknowledged is stored, once; what it has
// not may be, once.
func TestRow11ProxyKilledWhileProducing(t *testing.T) {
	t.Parallel()
	proxyKilledWhileProducing(t, harness.FakeBroker(t, 2), 6)
}

func proxyKilledWhileProducing(t *testing.T, b harness.Broker, kills int) {
	topic := harness.CreateTopic(t, b, 3)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, nil)
	r.use(p)
	stop := r.load(8, time.Millisecond, topic)
	defer stop()
	for range kills {
		time.Sleep(time.Duration(200+r.random.IntN(600)) * time.Millisecond)
		p.Kill()
		p = harness.StartProcess(t, b, nil)
		r.use(p)
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	end(t, p)
	if report := r.check(checker.Options{Deadline: 30*time.Second + 500*time.Millisecond}); report.OK < 100 || report.Failed > 0 {
		t.Errorf("%d were ok and %d failed", report.OK, report.Failed)
	}
}

// quickGroup has a dead member leave its group soon, which a killed proxy cannot say itself.
var quickGroup = map[string]string{"consumer.session.timeout.ms": "1000", "consumer.heartbeat.interval.ms": "200"}

// Row 12: the proxy is killed while a client reads and commits. A new instance goes on at the last commit that the client was told of, or
// behind it: everything is delivered, and nothing again that was committed.
func TestRow12ProxyKilledWhileConsuming(t *testing.T) {
	t.Parallel()
	proxyKilledWhileConsuming(t, harness.FakeBroker(t, 1), 5)
}

func proxyKilledWhileConsuming(t *testing.T, b harness.Broker, kills int) {
	topic := harness.CreateTopic(t, b, 2)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, quickGroup)
	r.use(p)
	stop := r.load(2, 5*time.Millisecond, topic)
	defer stop()
	group := harness.FreshName("g")
	c := &consumer{run: r, group: group, topic: topic, commit: true}
	for n := range kills + 1 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(2000+r.random.IntN(800))*time.Millisecond)
		if n == kills {
			stop() // the last round reads to the end
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), 20*time.Second)
			c.until = ends(t, b, topic)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.read(ctx, p)
		}()
		if n == kills {
			<-done
			cancel()
			break
		}
		<-ctx.Done()
		p.Kill()
		<-done
		cancel()
		p = harness.StartProcess(t, b, quickGroup)
		r.use(p)
	}
	end(t, p)
	if report := r.check(checker.Options{AtLeastOnce: true, Complete: true}); report.Deliveries < report.OK || report.Commits == 0 {
		t.Errorf("%d of %d were delivered, with %d commits", report.Deliveries, report.OK, report.Commits)
	}
}

// consumer reads a topic through one instance after the other and notes what it gets and commits.
type consumer struct {
	*run
	group, topic string
	commit       bool
	most         int             // bytes of one read; 0 is 5,000
	until        map[int32]int64 // read returns when it has come so far in each partition; nil reads until its context ends
	stop         func() bool     // ends read when it says so; nil leaves that to until
	next         map[int32]int64 // the offset after the last one delivered
}

// read makes an instance and reads with it.
func (c *consumer) read(ctx context.Context, p *harness.Process) {
	e := p.Endpoint
	name := harness.FreshName("i")
	path := "/consumers/" + c.group + "/instances/" + name
	settings := fmt.Sprintf(`{"name":%q,"format":"binary","auto.offset.reset":"earliest","auto.commit.enable":"false"}`, name)
	if r, err := e.Try(ctx, "POST", "/consumers/"+c.group, settings, "Content-Type", harness.V2); err != nil || r.Status != 200 {
		return
	}
	if r, err := e.Try(ctx, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, c.topic), "Content-Type", harness.V2); err != nil || r.Status != 204 {
		return
	}
	if c.stop == nil {
		c.stop = func() bool { return c.until != nil && c.complete() }
	}
	for ctx.Err() == nil && !c.stop() {
		if !c.step(ctx, e, path) {
			return
		}
	}
}

// step is one read and the commit of what it got; false when the proxy is gone.
func (c *consumer) step(ctx context.Context, e harness.Endpoint, path string) bool {
	r, err := e.Try(ctx, "GET", path+fmt.Sprintf("/records?timeout=300&max_bytes=%d", cmp.Or(c.most, 5000)), "", "Accept", harness.Binary)
	if err != nil {
		return false
	}
	if r.Code() == 40904 {
		return true // the read of a client that has gone is not over yet
	}
	list, err := r.Records()
	if r.Status != 200 || err != nil {
		c.t.Errorf("read: %d %.200s %v", r.Status, r.Body, err)
		return false
	}
	next := map[int32]int64{}
	for _, rec := range list {
		c.Delivered(c.group, c.topic, rec.Partition, rec.Offset, checker.PayloadID(decode(rec.Value)))
		next[rec.Partition] = rec.Offset + 1
	}
	if c.next == nil {
		c.next = map[int32]int64{}
	}
	maps.Copy(c.next, next)
	if !c.commit || len(list) == 0 {
		return true
	}
	r, err = e.Try(ctx, "POST", path+"/offsets", "", "Content-Type", harness.V2)
	if err != nil {
		return false
	}
	if r.Status == 200 {
		for partition, offset := range next {
			c.Committed(c.group, c.topic, partition, offset)
		}
	} else if r.Code() != 40905 {
		c.t.Errorf("commit: %d %s", r.Status, r.Body)
	}
	return true
}

func (c *consumer) complete() bool {
	for partition, end := range c.until {
		if c.next[partition] < end {
			return false
		}
	}
	return true
}

// ends are the end offsets of a topic's partitions.
func ends(t *testing.T, b harness.Broker, topic string) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	listed, err := harness.Admin(t, b).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out
}

// Row 13: clients hang up. One that does so before its whole body is sent has produced nothing; one that does so later may have. One that
// does so while it reads gets the same records again.
func TestRow13ClientsHangUp(t *testing.T) {
	t.Parallel()
	b := harness.FakeBroker(t, 1)
	topic := harness.CreateTopic(t, b, 1)
	r := newRun(t, b, topic)
	p := harness.StartProcess(t, b, nil)
	r.use(p)
	w := r.worker()
	for n := range 300 {
		if n%2 == 0 {
			r.produce(t.Context(), w, topic, n)
			continue
		}
		rec := w.Next(topic, checker.AnyPartition, key(1, n), 100)
		r.Invoke(rec)
		payload := string(body(rec))
		request := fmt.Sprintf("POST /topics/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", topic, harness.JSON, len(payload), payload)
		cut := min(r.random.IntN(len(request)*3/2), len(request))
		hangUp(t, p, request[:cut], nil)
		if cut < len(request) {
			r.Failed(rec.ID, "hung up early")
		} else {
			r.Unknown(rec.ID, "hung up late")
		}
	}
	group := harness.FreshName("g")
	c := &consumer{run: r, group: group, topic: topic, commit: true, most: 1000, until: ends(t, b, topic)}
	path := p.Instance(group, `{"format":"binary","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	p.Subscribe(path, topic)
	lost := 0
	for deadline := time.Now().Add(30 * time.Second); !c.complete() && time.Now().Before(deadline); {
		take := r.random.IntN(1500)
		hangUp(t, p, fmt.Sprintf("GET %s/records?timeout=100&max_bytes=1000 HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", path, harness.Binary), &take)
		lost++
		if !c.step(t.Context(), p.Endpoint, path) {
			t.Fatal("the proxy is gone")
		}
	}
	end(t, p)
	t.Logf("%d responses were lost", lost)
	r.check(checker.Options{AtLeastOnce: true, Complete: true})
}

// hangUp sends something, takes up to so many bytes of the answer, none at all for nil, and resets the connection.
func hangUp(t *testing.T, p *harness.Process, request string, take *int) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if take != nil {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := io.ReadFull(c, make([]byte, *take)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !isTimeout(err) {
			t.Fatal(err)
		}
	}
	_ = c.(*net.TCPConn).SetLinger(0) // a reset, as when the process is killed with unread data
	_ = c.Close()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
