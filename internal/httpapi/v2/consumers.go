package v2

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"
)

// CreateRequest is the body of POST /consumers/{group}. Every member is optional.
type CreateRequest struct {
	ID              *httpapi.Text `json:"id"` // deprecated; wins over name
	Name            *httpapi.Text `json:"name"`
	Format          *httpapi.Text `json:"format"`
	AutoOffsetReset *httpapi.Text `json:"auto.offset.reset"`
	AutoCommit      *httpapi.Text `json:"auto.commit.enable"`
	EnableAuto      *httpapi.Text `json:"enable.auto.commit"` // ours: Kafka's own spelling
	FetchMinBytes   *httpapi.Text `json:"fetch.min.bytes"`
	ResponseMin     *httpapi.Text `json:"responseMinBytes"` // an alias of the reference's
	RequestTimeout  *httpapi.Text `json:"consumer.request.timeout.ms"`
	RequestWait     *httpapi.Text `json:"requestWaitMs"`   // an alias of the reference's
	OnDecodeError   *httpapi.Text `json:"on_decode_error"` // ours
	KeyFormat       *httpapi.Text `json:"key.format"`      // ours: format is the default of both
	ValueFormat     *httpapi.Text `json:"value.format"`    // ours
	JSONEncoding    *httpapi.Text `json:"json_encoding"`   // ours, of the schema formats: exact or plain
	Int64           *httpapi.Text `json:"int64"`           // ours, of the schema formats: number or string
}

// CreateReply is its answer.
type CreateReply struct {
	InstanceID string `json:"instance_id"`
	BaseURI    string `json:"base_uri"`
}

func (a *API) createInstance(c *httpapi.Call) error {
	var req CreateRequest
	body, err := c.Body()
	if err != nil {
		return err
	}
	if _, err := httpapi.DecodeJSON(body, &req); err != nil {
		return err
	}
	opts, err := a.options(&req)
	if err != nil {
		return err
	}
	i, err := a.consumers.Create(c.Param("group"), opts)
	if err != nil {
		return err
	}
	return reply(c, CreateReply{i.Name(), c.RootURL() + "/consumers/" + i.Group() + "/instances/" + i.Name()})
}

// options checks the settings of an instance before it exists.
func (a *API) options(req *CreateRequest) (consume.Options, error) {
	var opts consume.Options
	name := first(req.ID, req.Name)
	if name != nil && strings.TrimSpace(*name) == "" {
		return opts, unprocessable("createGroup.<return value>.instanceId must not be blank (was %s)", *name)
	}
	opts.Name = or(name, "")
	if err := a.instanceFormats(req, &opts); err != nil {
		return opts, err
	}
	var err error
	if opts.Reset, err = resetPolicy(first(req.AutoOffsetReset)); err != nil {
		return opts, err
	}
	if opts.AutoCommit, err = boolSetting("auto.commit.enable", first(req.AutoCommit, req.EnableAuto)); err != nil {
		return opts, err
	}
	if opts.MinBytes, err = intSetting("fetch.min.bytes", first(req.FetchMinBytes, req.ResponseMin), -1, 10_000_000); err != nil {
		return opts, err
	}
	ms, err := intSetting("consumer.request.timeout.ms", first(req.RequestTimeout, req.RequestWait), 0, 24*3600*1000)
	if err != nil {
		return opts, err
	}
	opts.RequestTimeout = time.Duration(ms) * time.Millisecond
	opts.OnDecodeError, err = decodePolicy(or(first(req.OnDecodeError), ""))
	return opts, err
}

// instanceFormats chooses the formats of both sides.
func (a *API) instanceFormats(req *CreateRequest, opts *consume.Options) error {
	both := or(first(req.Format), "binary")
	var err error
	if opts.Key, err = a.formatNamed(or(first(req.KeyFormat), both)); err != nil {
		return err
	}
	if opts.Value, err = a.formatNamed(or(first(req.ValueFormat), both)); err != nil {
		return err
	}
	change, err := encoding(url.Values{"json_encoding": {or(first(req.JSONEncoding), "")}, "int64": {or(first(req.Int64), "")}})
	if change != nil {
		opts.Key, opts.Value = format.With(opts.Key, change), format.With(opts.Value, change)
	}
	return err
}

// first gives the first value that is there, nil for none.
func first(values ...*httpapi.Text) *string {
	for _, v := range values {
		if v != nil {
			return (*string)(v)
		}
	}
	return nil
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

func (a *API) formatNamed(name string) (format.Format, error) {
	if f := a.formats.Find(name); f != nil {
		if !format.Usable(f) {
			return nil, kafkarest.Errorf(kafkarest.CodeKafka,
				"Failed to construct kafka consumer: the format %s needs a Schema Registry, and none is configured (schema.registry.url)", f.Name())
		}
		return f, nil
	}
	return nil, unprocessable("Invalid format type.")
}

func invalidConsumer(format string, args ...any) error {
	return kafkarest.Errorf(kafkarest.CodeInvalidConsumer, "Invalid consumer configuration: "+format, args...)
}

// resetPolicy also takes the names of the old consumer, as the reference's v1 did.
func resetPolicy(s *string) (consume.Reset, error) {
	if s == nil {
		return "", nil
	}
	switch strings.ToLower(*s) {
	case "earliest", "smallest":
		return consume.Earliest, nil
	case "latest", "largest":
		return consume.Latest, nil
	case "none":
		return consume.None, nil
	}
	return "", invalidConsumer("Invalid value %s for configuration auto.offset.reset: it must be earliest, latest or none", *s)
}

func boolSetting(name string, s *string) (*bool, error) {
	if s == nil {
		return nil, nil
	}
	b, err := strconv.ParseBool(strings.ToLower(*s))
	if err != nil {
		return nil, invalidConsumer("Invalid value %s for configuration %s: it must be true or false", *s, name)
	}
	return &b, nil
}

func intSetting(name string, s *string, low, high int64) (int64, error) {
	if s == nil {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(*s), 10, 64)
	if err != nil || n < low || n > high {
		return 0, kafkarest.Errorf(kafkarest.CodeInvalidConsumer,
			"Invalid consumer configuration. It does not abide by the constraints: %s must be a whole number from %d to %d (was %s)", name, low, high, *s)
	}
	return n, nil
}

func decodePolicy(s string) (consume.OnDecodeError, error) {
	switch p := consume.OnDecodeError(strings.ToLower(s)); p {
	case "", consume.Fail, consume.Report, consume.Skip:
		return p, nil
	}
	return "", unprocessable("on_decode_error must be fail, report or skip (was %s)", s)
}

func (a *API) deleteInstance(c *httpapi.Call) error {
	if err := a.consumers.Delete(c.Param("group"), c.Param("instance")); err != nil {
		return err
	}
	return c.NoContent()
}

// with finds the instance that the path names.
func (a *API) with(handle func(*httpapi.Call, *consume.Instance) error) func(*httpapi.Call) error {
	return func(c *httpapi.Call) error {
		i, err := a.consumers.Get(c.Param("group"), c.Param("instance"))
		if err != nil {
			return err
		}
		return handle(c, i)
	}
}

// decode reads a body that must be there; arg names it in messages.
func decode(c *httpapi.Call, v any, arg string) error {
	present, err := decodeOptional(c, v)
	if err == nil && !present {
		err = unprocessable("%s must not be null (was null)", arg)
	}
	return err
}

func decodeOptional(c *httpapi.Call, v any) (present bool, err error) {
	body, err := c.Body()
	if err != nil {
		return false, err
	}
	return httpapi.DecodeJSON(body, v)
}

// Subscription is the body of subscriptions, both ways.
type Subscription struct {
	Topics  *[]*httpapi.Text `json:"topics"`
	Pattern *httpapi.Text    `json:"topic_pattern"`
}

func (a *API) subscribe(c *httpapi.Call, i *consume.Instance) error {
	var req Subscription
	if err := decode(c, &req, "subscribe.arg3"); err != nil {
		return err
	}
	if err := subscribe(i, &req); err != nil {
		return err
	}
	return c.NoContent()
}

func subscribe(i *consume.Instance, req *Subscription) error {
	if req.Topics != nil {
		topics := make([]string, 0, len(*req.Topics))
		for n, t := range *req.Topics {
			if t == nil {
				return unprocessable("subscribe.arg3.topics[%d] must not be null (was null)", n)
			}
			if strings.TrimSpace(string(*t)) == "" {
				return unprocessable("subscribe.arg3.topics[%d] must not be blank (was %s)", n, *t)
			}
			topics = append(topics, string(*t))
		}
		return i.Subscribe(topics)
	}
	if req.Pattern == nil {
		return nil
	}
	const longest = 1000
	pattern := string(*req.Pattern)
	if len(pattern) > longest {
		return unprocessable("subscribe.arg3.topic_pattern must be at most %d bytes long (was %d)", longest, len(pattern))
	}
	if _, err := regexp.Compile("^(?:" + pattern + ")$"); err != nil || pattern == "" {
		return kafkarest.Wrap(kafkarest.CodeUnprocessable, err, fmt.Sprintf(
			"subscribe.arg3.topic_pattern must be a regular expression in RE2 syntax, without look-around and back-references (was %s)", pattern))
	}
	return i.SubscribePattern(pattern)
}

func (a *API) subscription(c *httpapi.Call, i *consume.Instance) error {
	return reply(c, struct {
		Topics []string `json:"topics"`
	}{i.Subscription()})
}

func (a *API) unsubscribe(c *httpapi.Call, i *consume.Instance) error {
	if err := i.Unsubscribe(); err != nil {
		return err
	}
	return c.NoContent()
}

// TopicPartition names a partition in bodies.
type TopicPartition struct {
	Topic     *httpapi.Text `json:"topic"`
	Partition *httpapi.Int  `json:"partition"`
}

// Partitions is the body of assignments, seeks to an end, and of the question for committed offsets.
type Partitions struct {
	Partitions *[]*TopicPartition `json:"partitions"`
}

// decodePartitions reads a list of partitions that must be there; {} is a client's mistake that the reference answers with 500.
func decodePartitions(c *httpapi.Call, arg string) ([]consume.TopicPartition, error) {
	var req Partitions
	if err := decode(c, &req, arg); err != nil {
		return nil, err
	}
	return req.list(arg)
}

func (req *Partitions) list(arg string) ([]consume.TopicPartition, error) {
	if req.Partitions == nil {
		return nil, unprocessable("%s.partitions must not be null (was null)", arg)
	}
	list := make([]consume.TopicPartition, 0, len(*req.Partitions))
	for n, p := range *req.Partitions {
		if p == nil {
			return nil, unprocessable("%s.partitions[%d] must not be null (was null)", arg, n)
		}
		tp, err := topicPartition(p.Topic, p.Partition, nil, fmt.Sprintf("%s.partitions[%d]", arg, n))
		if err != nil {
			return nil, err
		}
		list = append(list, tp)
	}
	return list, nil
}

// topicPartition checks one; otherwise stands for a partition that is not given, and is nil where one must be.
func topicPartition(topic *httpapi.Text, partition, otherwise *httpapi.Int, where string) (consume.TopicPartition, error) {
	var tp consume.TopicPartition
	if topic == nil {
		return tp, kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot construct instance of `TopicPartition`, problem: Null topic (%s.topic)", where)
	}
	if partition == nil {
		partition = otherwise
	}
	switch {
	case *topic == "":
		return tp, unprocessable("%s.topic must not be blank (was )", where)
	case partition == nil:
		return tp, unprocessable("%s.partition must not be null (was null)", where)
	case *partition < 0 || *partition > 1<<31-1:
		return tp, unprocessable("%s.partition must be greater than or equal to 0 (was %d)", where, *partition)
	}
	return consume.TopicPartition{Topic: string(*topic), Partition: int32(*partition)}, nil
}

func (a *API) assign(c *httpapi.Call, i *consume.Instance) error {
	partitions, err := decodePartitions(c, "assign.arg3")
	if err != nil {
		return err
	}
	if err := i.Assign(partitions); err != nil {
		return err
	}
	return c.NoContent()
}

// partitionReply is one element of a list of partitions.
type partitionReply struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

func (a *API) assignments(c *httpapi.Call, i *consume.Instance) error {
	list := []partitionReply{}
	for _, tp := range i.Assignment() {
		list = append(list, partitionReply{tp.Topic, tp.Partition})
	}
	return reply(c, struct {
		Partitions []partitionReply `json:"partitions"`
	}{list})
}
