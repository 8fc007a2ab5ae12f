package v2

import (
	"fmt"
	"math"
	"time"

	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"

	"github.com/go-json-experiment/json/jsontext"
)

// Offset is one entry of a seek or a commit.
type Offset struct {
	Topic     *httpapi.Text `json:"topic"`
	Partition *httpapi.Int  `json:"partition"`
	Offset    *httpapi.Int  `json:"offset"`
	Metadata  *httpapi.Text `json:"metadata"`
}

// Timestamp is one entry of a seek to a time: ISO 8601, or a number of seconds.
type Timestamp struct {
	Topic     *httpapi.Text  `json:"topic"`
	Partition *httpapi.Int   `json:"partition"`
	Timestamp jsontext.Value `json:"timestamp"`
	Metadata  *httpapi.Text  `json:"metadata"`
}

// Positions is the body of POST …/positions.
type Positions struct {
	Offsets    *[]*Offset    `json:"offsets"`
	Timestamps *[]*Timestamp `json:"timestamps"`
}

var zero httpapi.Int

// seek moves to offsets and to times, all or none. Partition and offset default to 0, as in the reference.
func (a *API) seek(c *httpapi.Call, i *consume.Instance) error {
	var req Positions
	if err := decode(c, &req, "seekToOffset.arg3"); err != nil {
		return err
	}
	var positions []consume.Position
	if req.Offsets != nil {
		for n, o := range *req.Offsets {
			p, err := position(o, &zero, fmt.Sprintf("seekToOffset.arg3.offsets[%d]", n))
			if err != nil {
				return err
			}
			positions = append(positions, p)
		}
	}
	times, err := req.times()
	if err != nil {
		return err
	}
	if len(times) > 0 {
		found, err := i.PositionsAt(c.R.Context(), times)
		if err != nil {
			return err
		}
		positions = append(positions, found...)
	}
	if err := i.Seek(positions); err != nil {
		return err
	}
	return c.NoContent()
}

// position checks one offset entry; otherwise stands for an offset or a partition that is not given, nil where one must be.
func position(o *Offset, otherwise *httpapi.Int, where string) (consume.Position, error) {
	var p consume.Position
	if o == nil {
		return p, unprocessable("%s must not be null (was null)", where)
	}
	tp, err := topicPartition(o.Topic, o.Partition, otherwise, where)
	if err != nil {
		return p, err
	}
	offset := o.Offset
	if offset == nil {
		offset = otherwise
	}
	switch {
	case offset == nil:
		return p, unprocessable("%s.offset must not be null (was null)", where)
	case *offset < 0 || *offset == math.MaxInt64:
		return p, unprocessable("%s.offset must be greater than or equal to 0 (was %d)", where, *offset)
	}
	return consume.Position{TopicPartition: tp, Offset: int64(*offset)}, nil
}

func (req *Positions) times() ([]consume.PositionAt, error) {
	if req.Timestamps == nil {
		return nil, nil
	}
	var times []consume.PositionAt
	for n, t := range *req.Timestamps {
		where := fmt.Sprintf("seekToOffset.arg3.timestamps[%d]", n)
		if t == nil {
			return nil, unprocessable("%s must not be null (was null)", where)
		}
		tp, err := topicPartition(t.Topic, t.Partition, &zero, where)
		if err != nil {
			return nil, err
		}
		at, err := parseTime(t.Timestamp, where)
		if err != nil {
			return nil, err
		}
		times = append(times, consume.PositionAt{TopicPartition: tp, At: at})
	}
	return times, nil
}

// parseTime reads ISO 8601, or seconds with an optional fraction.
func parseTime(v jsontext.Value, where string) (time.Time, error) {
	bad := unprocessable("%s.timestamp must be an ISO 8601 time such as 2026-01-31T12:00:00Z, or a number of seconds since 1970", where)
	switch v.Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return time.Time{}, err
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
			if t, err := time.Parse(layout, string(s)); err == nil {
				return nonNegative(t, bad)
			}
		}
	case '0':
		d, err := time.ParseDuration(string(v) + "s")
		if err == nil {
			return nonNegative(time.UnixMilli(d.Milliseconds()), bad)
		}
		if n, err := httpapi.ParseInt(v); err == nil && n < math.MaxInt64/1000 {
			return nonNegative(time.Unix(n, 0), bad)
		}
	}
	return time.Time{}, bad
}

func nonNegative(t time.Time, bad error) (time.Time, error) {
	if t.UnixMilli() < 0 {
		return t, bad
	}
	return t, nil
}

func (a *API) seekBeginning(c *httpapi.Call, i *consume.Instance) error {
	return a.seekEnds(c, i, "seekToBeginning.arg3", consume.Earliest)
}

func (a *API) seekEnd(c *httpapi.Call, i *consume.Instance) error {
	return a.seekEnds(c, i, "seekToEnd.arg3", consume.Latest)
}

func (a *API) seekEnds(c *httpapi.Call, i *consume.Instance, arg string, at consume.Reset) error {
	partitions, err := decodePartitions(c, arg)
	if err != nil {
		return err
	}
	if err := i.SeekEnds(c.R.Context(), partitions, at); err != nil {
		return err
	}
	return c.NoContent()
}

// Offsets is the body of a commit.
type Offsets struct {
	Offsets *[]*Offset `json:"offsets"`
}

// commit stores offset+1 of each entry, as the reference does: what is given is the last record that was processed. Without a body it
// stores what the client has received.
func (a *API) commit(c *httpapi.Call, i *consume.Instance) error {
	var req Offsets
	present, err := decodeOptional(c, &req)
	if err != nil {
		return err
	}
	if !present {
		err = i.CommitReceived(c.R.Context())
	} else {
		var offsets []consume.Committed
		if offsets, err = req.list(); err == nil {
			err = i.Commit(c.R.Context(), offsets)
		}
	}
	if err != nil {
		return err
	}
	return c.Reply(200, []byte("[]"))
}

func (req *Offsets) list() ([]consume.Committed, error) {
	if req.Offsets == nil {
		return nil, unprocessable("commitOffsets.arg3.offsets must not be null (was null): leave the body out to commit what was received")
	}
	var list []consume.Committed
	for n, o := range *req.Offsets {
		p, err := position(o, nil, fmt.Sprintf("commitOffsets.arg3.offsets[%d]", n))
		if err != nil {
			return nil, err
		}
		list = append(list, consume.Committed{TopicPartition: p.TopicPartition, Offset: p.Offset + 1, Metadata: or((*string)(o.Metadata), "")})
	}
	return list, nil
}

// committedReply is one element of the answer to GET …/offsets.
type committedReply struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"` // as stored: the next record
	Metadata  string `json:"metadata"`
}

func (a *API) committed(c *httpapi.Call, i *consume.Instance) error {
	var req Partitions
	present, err := decodeOptional(c, &req)
	if err != nil {
		return err
	}
	if !present {
		return errPartitionNotFound()
	}
	partitions, err := req.list("committedOffsets.arg3")
	if err != nil {
		return err
	}
	stored, err := i.Committed(c.R.Context(), partitions)
	if err != nil {
		return err
	}
	list := []committedReply{}
	for _, s := range stored {
		list = append(list, committedReply{s.Topic, s.Partition, s.Offset, s.Metadata})
	}
	return reply(c, struct {
		Offsets []committedReply `json:"offsets"`
	}{list})
}
