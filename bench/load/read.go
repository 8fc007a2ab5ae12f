package load

import (
	"context"
	"fmt"
	"time"
)

// Reading is what ReadAll saw. Offsets that jump ahead are gaps, offsets seen before are repeats; each is counted in records.
type Reading struct {
	Records, Gaps, Repeats int
	Reads                  int
	Took                   time.Duration
	Latency                []time.Duration // of each read
	FirstError             error
}

// ReadAll repeats the read request on one connection until want records have come, each partition from offset 0, or limit is over.
func ReadAll(ctx context.Context, addr string, request []byte, want int, limit time.Duration) (Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := Dial(ctx, addr)
	if err != nil {
		return Reading{}, err
	}
	defer conn.Close() //nolint:errcheck // the replies were read
	deadline, _ := ctx.Deadline()
	seen := sequence{next: map[int]int64{}}
	start := time.Now()
	for seen.Records < want && ctx.Err() == nil {
		if err := seen.read(conn, request, deadline); err != nil {
			seen.FirstError = err
			break
		}
	}
	seen.Took = time.Since(start)
	return seen.Reading, nil
}

// sequence follows the offsets of each partition.
type sequence struct {
	Reading
	next map[int]int64
}

func (s *sequence) read(conn *Conn, request []byte, deadline time.Time) error {
	start := time.Now()
	status, body, err := conn.Do(request, deadline)
	if err != nil {
		return err
	}
	s.Reads++
	s.Latency = append(s.Latency, time.Since(start))
	if status != 200 {
		return fmt.Errorf("read: status %d: %s", status, clip(body))
	}
	return Records(body, s.record)
}

func (s *sequence) record(partition int, offset int64) {
	want := s.next[partition]
	switch {
	case offset < want:
		s.Repeats++
		return
	case offset > want:
		s.Gaps += int(offset - want)
	}
	s.Records++
	s.next[partition] = offset + 1
}
