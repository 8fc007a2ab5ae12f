package messages

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/httpapi"
)

// readParams is the query of a request of the reading half.
type readParams struct {
	partitions []int32
	limits     consume.Limits
	render     renderer

	// of a queue
	ackTimeout    time.Duration
	auto          bool
	maxDeliveries int
	deadLetter    string
	from          consume.Reset
	lease         uint64
	upTo          bool
	delay         time.Duration
}

// The parameters that each kind of request takes. Any other is refused: a typing error must not be passed over.
var (
	readTakes        = []string{"partition", "limit", "max_bytes", "wait", "key_format", "value_format"}
	receiveTakes     = []string{"limit", "max_bytes", "wait", "key_format", "value_format", "ack_timeout", "ack", "max_deliveries", "dead_letter_topic", "from"}
	acknowledgeTakes = []string{"partition", "lease", "upto"}
	releaseTakes     = []string{"partition", "lease", "delay"}
	renewTakes       = []string{"partition", "lease", "ack_timeout"}
)

func (a *API) readParams(c *httpapi.Call, takes []string) (*readParams, error) {
	p := &readParams{limits: consume.Limits{Wait: consume.AnyWait}}
	query, err := url.ParseQuery(c.R.URL.RawQuery)
	if err != nil {
		return nil, kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the query cannot be read.")
	}
	for name, list := range query {
		if !slices.Contains(takes, name) {
			return nil, unprocessable("Unrecognized parameter: %s. This request takes %s.", name, strings.Join(takes, ", "))
		}
		if len(list) > 1 && (name != "partition" || len(takes) != len(readTakes)) {
			return nil, unprocessable("%s is given twice.", name)
		}
		for _, value := range list {
			if err := a.readParam(p, name, value); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(p.partitions)
	p.partitions = slices.Compact(p.partitions)
	return p, nil
}

func (a *API) readParam(p *readParams, name, value string) (err error) {
	cfg := &a.cfg.Read
	switch name {
	case "partition":
		n, err := wholeNumber(name, value, 0, math.MaxInt32)
		p.partitions = append(p.partitions, int32(n))
		return err
	case "limit":
		n, err := wholeNumber(name, value, 1, int64(cfg.MaxLimit))
		p.limits.Records = int(n)
		return err
	case "max_bytes":
		p.limits.Bytes, err = wholeNumber(name, value, 1, math.MaxInt64)
		p.limits.Bytes = min(p.limits.Bytes, cfg.MaxBytes)
	case "wait":
		p.limits.Wait, err = seconds(name, value, 0, cfg.MaxWait)
	case "key_format":
		p.render.key, err = a.readFormat(name, value)
	case "value_format":
		p.render.value, err = a.readFormat(name, value)
	default:
		return a.queueParam(p, name, value)
	}
	return err
}

// queueParam takes what only reading as a group has.
func (a *API) queueParam(p *readParams, name, value string) (err error) {
	cfg := &a.cfg.Read
	switch name {
	case "ack_timeout":
		p.ackTimeout, err = seconds(name, value, time.Second/10, cfg.MaxAckTimeout)
	case "ack":
		if value != "auto" && value != "explicit" {
			return unprocessable("ack must be auto or explicit.")
		}
		p.auto = value == "auto"
	case "max_deliveries":
		n, err := wholeNumber(name, value, 1, 1_000_000)
		p.maxDeliveries = int(n)
		return err
	case "dead_letter_topic":
		p.deadLetter = value
	case "from":
		p.from = consume.Reset(value)
		if p.from != consume.Earliest && p.from != consume.Latest {
			return unprocessable("from must be earliest or latest.")
		}
	case "lease":
		p.lease, err = parseLease(value)
	case "upto":
		p.upTo, err = parseBool(field{name, value})
	case "delay":
		p.delay, err = seconds(name, value, 0, cfg.MaxAckTimeout)
	}
	return err
}

func wholeNumber(name, value string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		if most >= math.MaxInt32 {
			return 0, unprocessable("%s must be a whole number, %d or more.", name, least)
		}
		return 0, unprocessable("%s must be a whole number from %d to %d.", name, least, most)
	}
	return n, nil
}

// seconds reads a duration in seconds, decimals allowed. More than the most is the most.
func seconds(name, value string, least, most time.Duration) (time.Duration, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || f < least.Seconds() {
		return 0, unprocessable("%s must be a number of seconds, %v or more.", name, least.Seconds())
	}
	return time.Duration(min(f, most.Seconds()) * float64(time.Second)), nil
}

// startOf reads the place of a path: a number, earliest, latest, -N, an RFC 3339 time or a cursor.
func startOf(text string) (from consume.From, err error) {
	switch {
	case text == "earliest":
		return consume.From{Earliest: true}, nil
	case text == "latest":
		return from, nil
	case strings.HasPrefix(text, "-"):
		from.Last, err = strconv.ParseInt(text[1:], 10, 64)
		if err != nil || from.Last < 1 || from.Last > consume.MostLast {
			return from, unprocessable("-N asks for the last N messages, 1 to %d of them.", consume.MostLast)
		}
		return from, nil
	case text != "" && text[0] >= '0' && text[0] <= '9':
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return consume.From{Offset: &n}, nil
		}
		if from.Time, err = time.Parse(time.RFC3339Nano, text); err == nil && from.Time.UnixMilli() >= 0 {
			return from, nil
		}
	case strings.HasPrefix(text, "A"): // see consume.Cursor
		return consume.From{Cursor: text}, nil
	}
	return from, unprocessable("%q is no place in a topic: it must be an offset, earliest, latest, -N, an RFC 3339 time or the next of an earlier reply.", text)
}

// offsetParam reads the offset of a path where only a number has a meaning.
func offsetParam(c *httpapi.Call) (int64, error) {
	return wholeNumber("The offset of the path", c.Param("offset"), 0, math.MaxInt64)
}

// leaseText is how a lease is written in a URL.
func leaseText(lease uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, lease))
}

func parseLease(text string) (uint64, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != 8 || binary.BigEndian.Uint64(b) == 0 {
		return 0, unprocessable("lease is none that was given out: use the ack URL of the message as it is.")
	}
	return binary.BigEndian.Uint64(b), nil
}
