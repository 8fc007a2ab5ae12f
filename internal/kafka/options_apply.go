package kafka

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const maxDuration = math.MaxInt32 * time.Millisecond // the wire has milliseconds in 32 bits

type applyFunc = func(*builder, property, string) error

// number reads a whole number. One that is out of the Go client's range is moved into it, with a warning: Java's ranges are wider, and a
// file that works there should start here.
func number(least, most int64, use func(*builder, int64)) applyFunc {
	return func(b *builder, p property, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return errors.New("is not a whole number")
		}
		if inside := min(max(n, least), most); inside != n {
			b.warnf("%s=%d is outside of what this client takes: %d is used", p.name, n, inside)
			n = inside
		}
		use(b, n)
		return nil
	}
}

func duration(least, most time.Duration, use func(*builder, time.Duration)) applyFunc {
	return number(least.Milliseconds(), most.Milliseconds(), func(b *builder, n int64) { use(b, time.Duration(n)*time.Millisecond) })
}

func boolean(use func(*builder, bool)) applyFunc {
	return func(b *builder, _ property, value string) error {
		on, err := parseBool(value)
		if err == nil {
			use(b, on)
		}
		return err
	}
}

func parseBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

func oneOf(use func(*builder, string), allowed ...string) applyFunc {
	return func(b *builder, _ property, value string) error {
		for _, a := range allowed {
			if strings.EqualFold(a, value) {
				use(b, a)
				return nil
			}
		}
		return errors.New("is none of " + strings.Join(allowed, ", "))
	}
}

func stringOption[O kgo.Opt](of func(string) O) applyFunc {
	return func(b *builder, _ property, value string) error {
		if value != "" {
			b.add(of(value))
		}
		return nil
	}
}

// option lifts an option of the Go client that takes a duration.
func option[O kgo.Opt](of func(time.Duration) O) func(*builder, time.Duration) {
	return func(b *builder, d time.Duration) { b.add(of(d)) }
}

func option32[O kgo.Opt](of func(int32) O) func(*builder, int64) {
	return func(b *builder, n int64) { b.add(of(int32(n))) }
}

func bootstrap(b *builder, _ property, value string) error {
	brokers, err := ParseBootstrap(value)
	if err != nil {
		b.problems = append(b.problems, err)
		return nil
	}
	b.out.Settings.Brokers = brokers
	b.add(kgo.SeedBrokers(brokers...))
	return nil
}

func clientID(b *builder, _ property, value string) error {
	if len(value) > 256 {
		return errors.New("has more than 256 bytes")
	}
	if value != "" {
		b.out.Settings.ClientID = value
		b.add(kgo.ClientID(value))
	}
	return nil
}

// requestTimeout: a produce request carries its own time limit; every other request has the client's.
func requestTimeout(b *builder, d time.Duration) {
	if b.scope == ScopeProducer {
		b.add(kgo.ProduceRequestTimeout(d))
		return
	}
	b.add(kgo.RequestTimeoutOverhead(d))
}

func setRetries(b *builder, n int64) {
	if b.scope == ScopeProducer {
		b.add(kgo.RecordRetries(int(n)))
		return
	}
	b.add(kgo.RequestRetries(int(n)))
}

// metadataAge lowers the least age as well: the client refuses to start when it is above the most.
func metadataAge(b *builder, d time.Duration) {
	b.add(kgo.MetadataMaxAge(d), kgo.MetadataMinAge(min(d, 500*time.Millisecond)))
}

func metricsPush(b *builder, on bool) {
	if on {
		b.warnf("enable.metrics.push=true has no effect: this proxy pushes no metrics to brokers")
	}
	b.add(kgo.DisableClientMetrics())
}

func linger(b *builder, d time.Duration) { b.add(kgo.ProducerLinger(d)) }

func maxRequestSize(b *builder, n int64) { b.out.Settings.MaxRequestSize = int(n) }

func deliveryTimeout(b *builder, d time.Duration) {
	if d > 0 && d < time.Second {
		b.warnf("delivery.timeout.ms=%d is outside of what this client takes: 1000 is used", d.Milliseconds())
		d = time.Second
	}
	b.out.Settings.DeliveryTimeout = d
}

// fetchMaxBytes raises the largest reply that is read, since a broker goes over the limit for the sake of the first batch.
func fetchMaxBytes(b *builder, n int64) {
	b.add(kgo.FetchMaxBytes(int32(n)), kgo.BrokerMaxReadBytes(int32(max(100<<20, min(2*n, 1<<30)))))
}

var balancers = map[string]func() kgo.GroupBalancer{
	"range": kgo.RangeBalancer, "roundrobin": kgo.RoundRobinBalancer, "sticky": kgo.StickyBalancer, "cooperative-sticky": kgo.CooperativeStickyBalancer,
	"org.apache.kafka.clients.consumer.RangeAssignor":             kgo.RangeBalancer,
	"org.apache.kafka.clients.consumer.RoundRobinAssignor":        kgo.RoundRobinBalancer,
	"org.apache.kafka.clients.consumer.StickyAssignor":            kgo.StickyBalancer,
	"org.apache.kafka.clients.consumer.CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

func assignors(b *builder, _ property, value string) error {
	var out []kgo.GroupBalancer
	for _, name := range commaList(value) {
		of, ok := balancers[name]
		if !ok {
			return fmt.Errorf("has %q, which is none of range, roundrobin, sticky, cooperative-sticky", name)
		}
		out = append(out, of())
	}
	if len(out) == 0 {
		return errors.New("names no assignor")
	}
	b.add(kgo.Balancers(out...))
	return nil
}

func groupProtocol(b *builder, name string) {
	if name == "consumer" {
		b.warnf("group.protocol=consumer wants Kafka 4.3 or newer: before, a commit may fail while the group changes")
		b.add(kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
}

func isolation(b *builder, level string) {
	b.out.Settings.IsolationLevel = level
	if level == "read_committed" {
		b.add(kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
}

func checkCRCs(b *builder, on bool) {
	if !on {
		b.add(kgo.DisableFetchCRCValidation())
	}
}

func autoCreate(b *builder, on bool) {
	b.out.Settings.AllowAutoCreateTopics = on
	if on {
		b.add(kgo.AllowAutoTopicCreation())
	}
}

var isoDuration = regexp.MustCompile(`^P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$`)

func offsetReset(b *builder, _ property, value string) error {
	value = strings.ToLower(value)
	age, byAge := strings.CutPrefix(value, "by_duration:")
	switch {
	case value == "latest" || value == "earliest" || value == "none":
	case byAge && len(age) > 2 && isoDuration.MatchString(strings.ToUpper(age)):
		value = "by_duration:" + strings.ToUpper(age)
	default:
		return errors.New("is none of latest, earliest, none, by_duration:P…")
	}
	b.out.Settings.AutoOffsetReset = value
	return nil
}
