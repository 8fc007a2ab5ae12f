package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Check judges one reply; nil means that the request did what it asked for.
type Check func(status int, body []byte) error

// Stored is a Check that wants status 200, an offset for each of n records, and no error for any.
func Stored(n int) Check {
	return func(status int, body []byte) error {
		if err := OK(status, body); err != nil {
			return err
		}
		if got := bytes.Count(body, []byte(`"offset"`)); got != n {
			return fmt.Errorf("%d offsets for %d records: %s", got, n, clip(body))
		}
		return refused(body)
	}
}

// OK is a Check that wants a status of 200 or 204.
func OK(status int, body []byte) error {
	if status != 200 && status != 204 {
		return fmt.Errorf("status %d: %s", status, clip(body))
	}
	return nil
}

// refused finds an error_code or an offset that says that a record was not stored.
func refused(body []byte) error {
	for rest := body; ; {
		value, after := member(rest, `"error_code"`)
		if after == nil {
			break
		}
		if !bytes.HasPrefix(value, []byte("null")) {
			return fmt.Errorf("a record was refused: %s", clip(body))
		}
		rest = after
	}
	for rest := body; ; {
		value, after := member(rest, `"offset"`)
		if after == nil {
			return nil
		}
		if len(value) == 0 || value[0] < '0' || value[0] > '9' {
			return fmt.Errorf("a record has no offset: %s", clip(body))
		}
		rest = after
	}
}

// member finds the next place where name (with its quotes) is a member's name. It gives the bytes from the member's value on, and
// the same again to search on from; after is nil if there is none.
func member(body []byte, name string) (value, after []byte) {
	for {
		at := bytes.Index(body, []byte(name))
		if at < 0 {
			return nil, nil
		}
		body = body[at+len(name):]
		rest := trimSpace(body)
		if len(rest) > 0 && rest[0] == ':' {
			rest = trimSpace(rest[1:])
			return rest, rest
		}
	}
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\r' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func clip(body []byte) []byte { return body[:min(len(body), 200)] }

// Records finds the partition and offset of every record in the reply of a read, in order, whatever the order of the members is.
// The records' own values must not hold members of these names.
func Records(body []byte, each func(partition int, offset int64)) error {
	for {
		partition, afterPartition := member(body, `"partition"`)
		offset, afterOffset := member(body, `"offset"`)
		if afterPartition == nil && afterOffset == nil {
			return nil
		}
		if afterPartition == nil || afterOffset == nil {
			return errors.New("a record without its partition or offset")
		}
		p, err := leadingInt(partition)
		if err != nil {
			return err
		}
		o, err := leadingInt(offset)
		if err != nil {
			return err
		}
		each(int(p), o)
		body = afterOffset
		if len(afterPartition) < len(afterOffset) {
			body = afterPartition
		}
	}
}

func leadingInt(b []byte) (int64, error) {
	end := 0
	for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] == '-') {
		end++
	}
	n, err := strconv.ParseInt(string(b[:end]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a number at %q: %w", clip(b[:min(len(b), 20)]), err)
	}
	return n, nil
}
