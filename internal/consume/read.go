package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Key, Value    format.Format // nil is the instance's
}

// Delivered is one record as the client gets it.
type Delivered struct {
	*kgo.Record
	Key, Value jsontext.Value // decoded; JSON null for a Kafka null and, with Err set, for the side that cannot be decoded
	Err        *kafkarest.Error

	of      *partition
	skipped bool
}

// Delivery is what one read returned. Its records count as received when the next read or commit of the instance says so, unless the
// reply could not be written: then the next read returns them again.
type Delivery struct {
	Records []Delivered
	Broken  func() bool // reports whether the client's connection is broken by now; nil when nothing is known. Set before the reply is written

	i       *Instance
	taken   []Delivered // all records it covers, with those that were passed over
	writing bool
	out     chan struct{} // closed when writing has ended
	lost    bool
}

// Written says that the whole reply was handed to the connection.
func (d *Delivery) Written() {
	d.i.mu.Lock()
	defer d.i.mu.Unlock()
	d.end()
}

// Lost says that the reply did not reach the client, which may be found out later.
func (d *Delivery) Lost() {
	d.i.mu.Lock()
	defer d.i.mu.Unlock()
	d.end()
	d.lost = true
}

// end notes that nothing more is written. i.mu is held.
func (d *Delivery) end() {
	if d.writing {
		d.writing = false
		close(d.out)
	}
}

// Read returns the next records as soon as there are any, or none when the wait is over.
// Errors: CodeInstanceBusy when another read is under way, CodeIllegalState without subscription or assignment, CodeUndecodable at a
// record that cannot be decoded when nothing good is before it, CodeForbidden, CodeInstanceNotFound when it is closed meanwhile.
func (i *Instance) Read(ctx context.Context, opts ReadOptions) (*Delivery, error) {
	if !i.reading.CompareAndSwap(false, true) {
		return nil, errBusy()
	}
	defer func() {
		i.touch()
		i.reading.Store(false)
	}()
	if !i.awaitReply(ctx) {
		return nil, errBusy()
	}
	if err := i.startRead(); err != nil {
		return nil, err
	}
	b := i.newBatch(opts)
	deadline := time.Now().Add(i.wait(opts.Wait))
	waiting, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var moment *time.Timer
	for {
		if i.gather(ctx, b); b.full || i.m.draining.Load() {
			break
		}
		if b.enough {
			if !i.incomplete() {
				break
			}
			if moment == nil {
				moment = time.AfterFunc(aMoment, cancel)
				defer moment.Stop()
			}
		}
		if err := i.poll(waiting); err != nil {
			if len(b.taken) > b.skipped {
				break
			}
			if waiting.Err() == nil || !errors.Is(err, waiting.Err()) {
				i.giveBack(b)
				return nil, err
			}
			break
		}
	}
	return i.deliver(ctx, b)
}

// aMoment is how long the first read after an assignment that has something already waits for what else there is.
const aMoment = 50 * time.Millisecond

// incomplete reports whether nothing was delivered since partitions were assigned, and some have brought nothing yet. kgo makes those of an
// assignment fetchable one after another, and its first fetch may be of the first alone; who reads expects what is there in all of them.
func (i *Instance) incomplete() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.anew {
		return false
	}
	for _, p := range i.assigned {
		if !p.seen {
			return true
		}
	}
	return false
}

func errBusy() error {
	return &kafkarest.Error{Code: kafkarest.CodeInstanceBusy, RetryAfter: time.Second,
		Message: "Another read of this consumer instance is under way: wait for its reply, or use an instance for each reader."}
}

// awaitReply waits until the reply of the read before is out, for a client may have all of it a moment before that is noted here. A reply
// that somebody is still being sent is neither received nor lost.
func (i *Instance) awaitReply(ctx context.Context) bool {
	i.mu.Lock()
	d := i.last
	writing := d != nil && d.writing
	i.mu.Unlock()
	if !writing {
		return true
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-d.out:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
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
	if !d.wasLost() {
		i.prove(d)
		return
	}
	for _, r := range d.taken {
		if i.has(r.of) && r.of.next > r.Offset { // neither taken away nor sought since
			r.of.next = r.Offset
		}
	}
	i.putBack(d.taken)
}

// wasLost asks once more whether the reply arrived: a client that gave up may call again before its end is noticed. i.mu is held.
func (d *Delivery) wasLost() bool {
	d.lost = d.lost || d.Broken != nil && d.Broken()
	return d.lost
}

// putBack puts records in front again. i.mu is held.
func (i *Instance) putBack(records []Delivered) {
	var again []chunk
	for n := range records {
		r := &records[n]
		if len(again) == 0 || again[len(again)-1].of != r.of {
			again = append(again, chunk{of: r.of})
		}
		last := &again[len(again)-1]
		last.records = append(last.records, r.Record)
	}
	i.pending = append(again, i.pending...)
	i.dropForeign()
}

// prove notes that the client has what d holds. i.mu is held.
func (i *Instance) prove(d *Delivery) {
	for n := range d.taken {
		d.taken[n].of.proven = d.taken[n].Offset + 1
	}
}

// batch is what a read has gathered so far.
type batch struct {
	limit, min int64
	key, value format.Format
	onError    OnDecodeError
	taken      []Delivered
	skipped    int   // how many of them are passed over
	size       int64 // of the others
	full       bool  // nothing more is to be taken
	enough     bool  // no more needs to be waited for
	err        error // of the record after the last one taken
}

func (i *Instance) newBatch(opts ReadOptions) *batch {
	b := &batch{limit: i.m.cfg.MaxBytes, min: max(0, i.opts.MinBytes) + 1, key: i.opts.Key, value: i.opts.Value, onError: i.opts.OnDecodeError}
	if opts.Key != nil {
		b.key = opts.Key
	}
	if opts.Value != nil {
		b.value = opts.Value
	}
	if opts.MaxBytes > 0 {
		b.limit = min(b.limit, opts.MaxBytes)
	}
	if opts.OnDecodeError != "" {
		b.onError = opts.OnDecodeError
	}
	return b
}

// gather takes all pending records, until the limit or one that cannot be decoded. They are decoded without the lock.
func (i *Instance) gather(ctx context.Context, b *batch) {
	i.mu.Lock()
	chunks := i.pending
	i.pending = nil
	i.mu.Unlock()
	if n := count(chunks); cap(b.taken)-len(b.taken) < n && b.limit > 1<<16 {
		b.taken = append(make([]Delivered, 0, len(b.taken)+n), b.taken...)
	}
	for len(chunks) > 0 && !b.full {
		c := &chunks[0]
		n := 0
		for n < len(c.records) && i.take(ctx, b, c.of, c.records[n]) {
			n++
		}
		if c.records = c.records[n:]; len(c.records) == 0 {
			chunks = chunks[1:]
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending = append(chunks, i.pending...)
	i.dropForeign()
	b.enough = len(b.taken) > b.skipped && b.size >= b.min
}

func count(chunks []chunk) (n int) {
	for _, c := range chunks {
		n += len(c.records)
	}
	return n
}

// take decodes one record into the batch; false when the read must stop before it. The limit is strict, as the reference counts, and one
// record always fits.
func (i *Instance) take(ctx context.Context, b *batch, of *partition, r *kgo.Record) bool {
	size := int64(len(r.Key) + len(r.Value))
	if len(b.taken) > b.skipped && b.size+size >= b.limit {
		b.full = true
		return false
	}
	d := Delivered{Record: r, of: of}
	var keyErr, valueErr error
	d.Key, keyErr = decode(ctx, b.key, r.Key)
	d.Value, valueErr = decode(ctx, b.value, r.Value)
	if keyErr != nil || valueErr != nil {
		if ctx.Err() != nil { // the client went away: it is no record's fault
			b.full, b.err = true, kafkarest.AsError(kafka.Error(ctx.Err()))
			return false
		}
		d.Err = undecodable(r, i.opts, keyErr, valueErr)
		policy := b.onError
		if policy == Skip && (errors.Is(keyErr, format.ErrSchemaUnavailable) || errors.Is(valueErr, format.ErrSchemaUnavailable)) {
			policy = Fail // the registry is down, which is not the record's fault either
		}
		switch policy {
		case Fail:
			b.full, b.err = true, d.Err
			return false
		case Skip:
			d.skipped, size = true, 0
			b.skipped++
		}
	}
	b.size += max(size, 1)
	b.taken = append(b.taken, d)
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
	i.putBack(b.taken)
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
	d := &Delivery{i: i, writing: true, out: make(chan struct{}), taken: i.standing(b.taken)}
	for n := range d.taken {
		d.taken[n].of.next = d.taken[n].Offset + 1
	}
	d.Records = d.taken
	if b.skipped > 0 {
		d.Records = slices.DeleteFunc(slices.Clone(d.taken), func(r Delivered) bool { return r.skipped })
	}
	i.last = d
	i.anew = i.anew && len(d.taken) == 0
	if len(d.Records) == 0 && b.err != nil {
		d.end() // there is no reply for what was passed over
		return nil, b.err
	}
	return d, nil
}

// standing are the records whose assignment still stands: nearly always all of them. i.mu is held.
func (i *Instance) standing(records []Delivered) []Delivered {
	var checked *partition
	for n := range records {
		if of := records[n].of; of != checked {
			if !i.has(of) {
				return slices.DeleteFunc(records, func(r Delivered) bool { return !i.has(r.of) })
			}
			checked = of
		}
	}
	return records
}

// poll waits for the client to fetch something and takes it over. The error is ctx's when the wait is over; a poll that a seek or the like
// has ended returns nil, and is to be tried again.
//
// The client looks at no context while a rebalance waits for the group's callbacks, so the poll runs apart: a read ends in time, and what
// such a poll fetches in the end is there for the next one.
func (i *Instance) poll(ctx context.Context) error {
	if err := i.resolve(ctx); err != nil {
		return kafka.Error(err)
	}
	polled := make(chan error, 1)
	go func() { polled <- i.pollOnce(ctx) }() // close waits for it: it holds polling
	select {
	case err := <-polled:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(100 * time.Millisecond)
	defer grace.Stop()
	select {
	case err := <-polled:
		return err
	case <-grace.C:
		return ctx.Err()
	}
}

func (i *Instance) pollOnce(ctx context.Context) error {
	i.polling.Lock()
	defer i.polling.Unlock()
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return errNotFound()
	}
	if i.waiting > 0 {
		i.mu.Unlock()
		return ctx.Err()
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
	if fetches.NumRecords() == 0 {
		client.ResumeFetchPartitions(nil) // it may have missed that it is to fetch when its partitions changed; where it fetches, this does nothing
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
		if n := len(ftp.Records); of != nil && n > 0 && of.next >= 0 {
			i.pending = append(i.pending, chunk{of, ftp.Records})
			of.fetch, of.seen = ftp.Records[n-1].Offset+1, true
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
	for _, c := range i.pending {
		for _, r := range c.records {
			n += int64(len(r.Key) + len(r.Value))
		}
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
	client := i.client
	if client == nil || freed == 0 || i.reading.Load() { // a read that begins after this finds what is left below
		i.mu.Unlock()
		return 0
	}
	if i.mode != manual {
		i.mu.Unlock()
		return i.dropAsMember(client, freed)
	}
	i.client, i.pending, i.stale = nil, nil, true
	for _, p := range i.assigned {
		p.fetch = p.next
	}
	i.mu.Unlock()
	client.Close() // the next read makes another
	return freed
}

// dropAsMember keeps the membership. A read that has begun meanwhile may hold records already, and keeps those drained here. polling is held.
func (i *Instance) dropAsMember(client *kgo.Client, freed int64) int64 {
	_ = i.takeOver(client.PollRecords(nil, 0)) //nolint:staticcheck // a nil context drains what is buffered, by kgo's own contract
	client.AllowRebalance()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.reading.Load() {
		return 0
	}
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
	return freed
}
