package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadOptions are what one read asks for.
type ReadOptions struct {
	Wait          time.Duration // how long to wait for data; 0 or less is the instance's
	MaxBytes      int64         // of keys and values; 0 or less is the configuration's. One record always fits
	OnDecodeError OnDecodeError // "" is the instance's
}

// Delivered is one record as the client gets it.
type Delivered struct {
	*kgo.Record
	Key, Value jsontext.Value // decoded; JSON null for a Kafka null and, with Err set, for the side that cannot be decoded
	Err        *kafkarest.Error
}

// Delivery is what one read returned. Its records count as received when the next read or commit of the instance says so, unless the
// reply could not be written: then the next read returns them again.
type Delivery struct {
	Records []Delivered

	i       *Instance
	taken   []fetched // all records it covers, with those that were passed over
	writing bool
	lost    bool
}

// Written says that the whole reply was handed to the connection.
func (d *Delivery) Written() {
	d.i.mu.Lock()
	defer d.i.mu.Unlock()
	d.writing = false
}

// Lost says that the reply did not reach the client, which may be found out later.
func (d *Delivery) Lost() {
	d.i.mu.Lock()
	defer d.i.mu.Unlock()
	d.writing, d.lost = false, true
}

// Read returns the next records as soon as there are any, or none when the wait is over.
// Errors: CodeInstanceBusy when another read is under way, CodeIllegalState without subscription or assignment, CodeUndecodable at a
// record that cannot be decoded when nothing good is before it, CodeForbidden, CodeInstanceNotFound when it is closed meanwhile.
func (i *Instance) Read(ctx context.Context, opts ReadOptions) (*Delivery, error) {
	if !i.reading.CompareAndSwap(false, true) {
		return nil, &kafkarest.Error{Code: kafkarest.CodeInstanceBusy, RetryAfter: time.Second,
			Message: "Another read of this consumer instance is under way: wait for its reply, or use an instance for each reader."}
	}
	defer func() {
		i.touch()
		i.reading.Store(false)
	}()
	if err := i.startRead(); err != nil {
		return nil, err
	}
	b := i.newBatch(opts)
	deadline := time.Now().Add(i.wait(opts.Wait))
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		if i.gather(ctx, b); b.full || i.m.draining.Load() {
			break
		}
		if err := i.poll(ctx); err != nil {
			if len(b.records) > 0 {
				break
			}
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				i.giveBack(b)
				return nil, err
			}
			break
		}
	}
	return i.deliver(ctx, b)
}

// wait is how long a read waits: the instance's own setting is the most where it has one, else the configuration's MaxWait.
func (i *Instance) wait(asked time.Duration) time.Duration {
	most, otherwise := i.m.cfg.MaxWait, i.m.cfg.RequestTimeout
	if own := i.opts.RequestTimeout; own > 0 {
		most, otherwise = own, own
	}
	if asked <= 0 {
		return otherwise
	}
	return min(asked, max(most, otherwise))
}

// startRead checks the state, settles the delivery before this one, and lets fetching go on where it was stopped.
func (i *Instance) startRead() error {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return errNotFound()
	}
	if i.mode == unsubscribed {
		i.mu.Unlock()
		return illegalState("Consumer is not subscribed to any topics or assigned any partitions")
	}
	i.settleLast()
	paused, client := i.paused, i.client
	i.paused = false
	i.mu.Unlock()
	if paused && client != nil {
		client.ResumeFetchPartitions(client.PauseFetchPartitions(nil))
	}
	return nil
}

// settleLast takes the last delivery as received, or puts it back in front when its reply was lost. i.mu is held.
func (i *Instance) settleLast() {
	d := i.last
	i.last = nil
	if d == nil {
		return
	}
	if !d.lost {
		i.prove(d)
		return
	}
	var again []fetched
	for _, r := range d.taken {
		if i.assigned[r.of.topicPartition] != r.of {
			continue // taken away or sought since
		}
		if r.of.next > r.Offset {
			r.of.next = r.Offset
		}
		again = append(again, r)
	}
	i.pending = append(again, i.pending...)
}

// prove notes that the client has what d holds. i.mu is held.
func (i *Instance) prove(d *Delivery) {
	for _, r := range d.taken {
		r.of.proven = r.Offset + 1
	}
}

// batch is what a read has gathered so far.
type batch struct {
	limit, min int64
	onError    OnDecodeError
	records    []Delivered
	taken      []fetched
	size       int64
	full       bool
	err        error // of the record after the last one taken
}

func (i *Instance) newBatch(opts ReadOptions) *batch {
	b := &batch{limit: i.m.cfg.MaxBytes, min: max(1, i.opts.MinBytes), onError: i.opts.OnDecodeError}
	if opts.MaxBytes > 0 {
		b.limit = min(b.limit, opts.MaxBytes)
	}
	if opts.OnDecodeError != "" {
		b.onError = opts.OnDecodeError
	}
	return b
}

// gather takes pending records until the limit, the minimum with nothing more at hand, or one that cannot be decoded.
func (i *Instance) gather(ctx context.Context, b *batch) {
	for {
		i.mu.Lock()
		if len(i.pending) == 0 {
			b.full = b.full || b.size >= b.min || len(b.records) > 0 && b.min <= 1
			i.mu.Unlock()
			return
		}
		r := i.pending[0]
		size := int64(len(r.Key) + len(r.Value))
		if len(b.records) > 0 && b.size+size >= b.limit { // strictly below the limit, as the reference counts; one always fits
			b.full = true
			i.mu.Unlock()
			return
		}
		i.pending = i.pending[1:]
		i.mu.Unlock()
		if !i.take(ctx, b, r) {
			return
		}
		b.size += size
	}
}

// take decodes one record into the batch; false when the read must stop before it.
func (i *Instance) take(ctx context.Context, b *batch, r fetched) bool {
	d := Delivered{Record: r.Record}
	var keyErr, valueErr error
	d.Key, keyErr = decode(ctx, i.opts.Key, r.Record.Key)
	d.Value, valueErr = decode(ctx, i.opts.Value, r.Record.Value)
	if keyErr != nil || valueErr != nil {
		d.Err = undecodable(r.Record, i.opts, keyErr, valueErr)
		switch b.onError {
		case Skip:
			b.taken = append(b.taken, r)
			return true
		case Fail:
			i.mu.Lock()
			i.pending = append([]fetched{r}, i.pending...)
			i.mu.Unlock()
			b.full, b.err = true, d.Err
			return false
		}
	}
	b.records = append(b.records, d)
	b.taken = append(b.taken, r)
	return true
}

var jsonNull = jsontext.Value("null")

func decode(ctx context.Context, f format.Format, data []byte) (jsontext.Value, error) {
	if data == nil {
		return jsonNull, nil
	}
	v, err := f.Decode(ctx, data)
	if err != nil {
		return jsonNull, err
	}
	return v, nil
}

func undecodable(r *kgo.Record, opts Options, keyErr, valueErr error) *kafkarest.Error {
	side, f, cause := "value", opts.Value, valueErr
	if keyErr != nil {
		side, f, cause = "key", opts.Key, keyErr
	}
	return kafkarest.Wrap(kafkarest.CodeUndecodable, cause, fmt.Sprintf(
		"The %s of the record at topic %s, partition %d, offset %d cannot be decoded as %s: %v. "+
			"Read with on_decode_error=report or skip, or seek past it.", side, r.Topic, r.Partition, r.Offset, f.Name(), cause))
}

// giveBack puts what was gathered back in front.
func (i *Instance) giveBack(b *batch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending = append(b.taken, i.pending...)
	i.dropForeign()
}

// deliver hands the batch out, or gives it back when nobody is left to take it. What was sought or taken away meanwhile is left out.
func (i *Instance) deliver(ctx context.Context, b *batch) (*Delivery, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		i.giveBack(b)
		return nil, kafka.Error(ctx.Err())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, errNotFound()
	}
	d := &Delivery{i: i, writing: true, Records: make([]Delivered, 0, len(b.records))}
	k := 0
	for _, r := range b.taken {
		delivered := k < len(b.records) && b.records[k].Record == r.Record
		if i.assigned[r.of.topicPartition] == r.of {
			d.taken = append(d.taken, r)
			r.of.next = r.Offset + 1
			if delivered {
				d.Records = append(d.Records, b.records[k])
			}
		}
		if delivered {
			k++
		}
	}
	i.last = d
	if len(d.Records) == 0 && b.err != nil {
		return nil, b.err
	}
	return d, nil
}

// poll waits for the client to fetch something and takes it over. The error is ctx's when the wait is over; a poll that a seek or the like
// has ended returns nil, and is to be tried again.
func (i *Instance) poll(ctx context.Context) error {
	if err := i.resolve(ctx); err != nil {
		return kafka.Error(err)
	}
	i.polling.Lock()
	defer i.polling.Unlock()
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return errNotFound()
	}
	mode, bare := i.mode, len(i.assigned) == 0
	pollCtx, cancel := context.WithTimeout(ctx, time.Second) // so that what is not there yet is looked for again
	i.cancelPoll = cancel
	i.mu.Unlock()
	defer cancel()
	client, err := i.reader()
	if err != nil {
		return err
	}
	if client == nil { // nothing that exists is assigned
		<-pollCtx.Done()
		return ctx.Err()
	}
	fetches := client.PollRecords(pollCtx, 0)
	err = i.takeOver(fetches)
	if mode != manual {
		client.AllowRebalance()
	}
	if err == nil && bare && fetches.NumRecords() == 0 && ctx.Err() == nil {
		client.ForceMetadataRefresh() // a topic may exist by now
	}
	if err != nil {
		return err
	}
	return ctx.Err()
}

// takeOver moves fetched records to pending. Errors that pass by themselves are the client's business.
func (i *Instance) takeOver(fetches kgo.Fetches) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancelPoll = nil
	var failure error
	fetches.EachError(func(topic string, p int32, err error) {
		if failure == nil {
			failure = i.fetchError(topic, p, err)
		}
	})
	fetches.EachPartition(func(ftp kgo.FetchTopicPartition) {
		of := i.assigned[topicPartition{ftp.Topic, ftp.Partition}]
		if of == nil {
			return
		}
		for _, r := range ftp.Records {
			i.pending = append(i.pending, fetched{r, of})
			of.fetch, of.seen = r.Offset+1, true
		}
	})
	if len(i.pending) > 0 {
		return nil // the error comes again if it stays
	}
	return failure
}

// fetchError decides which errors of a fetch a read reports.
func (i *Instance) fetchError(topic string, p int32, err error) error {
	var loss *kgo.ErrDataLoss
	var session *kgo.ErrGroupSession
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return nil
	case kafka.IsUnknownTopic(err):
		return nil // it may come to exist
	case errors.As(err, &loss):
		i.m.cfg.Log.Error("records were lost on the broker", "group", i.group, "instance", i.name, "err", err)
		return nil
	case errors.Is(err, kerr.OffsetOutOfRange):
		return illegalState(fmt.Sprintf("Offset out of range with no reset policy for partition %s-%d: seek it", topic, p))
	case errors.As(err, &session) && !errors.Is(err, kerr.GroupAuthorizationFailed):
		i.m.cfg.Log.Warn("group session ended; the client joins again", "group", i.group, "instance", i.name, "err", err)
		return nil
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return kafkarest.Wrap(kafkarest.CodeForbidden, err, "Not authorized to access group: "+i.group)
	}
	return kafka.ForTopic(topic, err)
}

// buffered is how many bytes the instance holds that nobody has read.
func (i *Instance) buffered() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	var n int64
	for _, r := range i.pending {
		n += int64(len(r.Key) + len(r.Value))
	}
	if i.client != nil {
		n += i.client.BufferedFetchBytes()
	}
	return n
}

// drop gives up what an idle instance fetched ahead, and stops fetching until it is read; the next read fetches it again.
func (i *Instance) drop() (freed int64) {
	if i.reading.Load() || !i.polling.TryLock() {
		return 0
	}
	defer i.polling.Unlock()
	freed = i.buffered()
	i.mu.Lock()
	client, group := i.client, i.mode != manual
	i.mu.Unlock()
	if client == nil || freed == 0 {
		return 0
	}
	if group {
		i.dropAsMember(client)
		return freed
	}
	client.Close() // the next read makes another
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client, i.pending, i.stale = nil, nil, true
	for _, p := range i.assigned {
		p.fetch = p.next
	}
	return freed
}

// dropAsMember keeps the membership. polling is held.
func (i *Instance) dropAsMember(client *kgo.Client) {
	client.PollRecords(nil, 0) //nolint:staticcheck // a nil context drains what is buffered, by kgo's own contract
	client.AllowRebalance()
	i.mu.Lock()
	defer i.mu.Unlock()
	all := map[string][]int32{}
	for tp := range i.assigned {
		all[tp.topic] = append(all[tp.topic], tp.partition)
	}
	client.PauseFetchPartitions(all)
	i.pending, i.paused = nil, true
	for _, p := range i.assigned {
		if p.next >= 0 {
			i.fetchFrom(p, p.next)
		}
	}
}
