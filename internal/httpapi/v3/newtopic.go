package v3

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"kafkarest"
	"kafkarest/internal/httpapi"
	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopicRequest is the body of POST. null is the same as absent for each member.
type CreateTopicRequest struct {
	TopicName         *httpapi.Text             `json:"topic_name"`
	PartitionsCount   *httpapi.Int              `json:"partitions_count"`     // -1 is the broker's default
	ReplicationFactor *httpapi.Int              `json:"replication_factor"`   // -1 is the broker's default
	Assignments       map[string][]*httpapi.Int `json:"replicas_assignments"` // partition to brokers; overrides both counts
	Configs           []*TopicConfig            `json:"configs"`
	ValidateOnly      *httpapi.Text             `json:"validate_only"`
}

// TopicConfig is one setting of a topic to create.
type TopicConfig struct {
	Name  *httpapi.Text `json:"name"`
	Value *httpapi.Text `json:"value"`
}

// newTopic is what a CreateTopicRequest asks for, checked as far as can be without Kafka.
type newTopic struct {
	name         string
	partitions   int32
	replicas     int16
	assignments  map[int32][]int32
	configs      map[string]*string
	validateOnly bool
}

// readNewTopic reads the body of POST, with the errors that the reference finds before it looks at the cluster.
func readNewTopic(c *httpapi.Call) (newTopic, error) {
	var req CreateTopicRequest
	body, err := c.Body()
	if err != nil {
		return newTopic{}, err
	}
	present, err := httpapi.DecodeJSON(body, &req)
	switch {
	case err != nil:
		return newTopic{}, err
	case !present:
		return newTopic{}, errPayload("Request body is empty. Data is required.")
	case req.TopicName == nil:
		return newTopic{}, errNull("CreateTopicRequest", "topicName")
	}
	t := newTopic{name: string(*req.TopicName)}
	if err := t.take(&req); err != nil {
		return newTopic{}, err
	}
	if !kafka.ValidName(t.name) {
		return newTopic{}, errPayload("Invalid topic name.")
	}
	return t, nil
}

// take reads what is optional.
func (t *newTopic) take(req *CreateTopicRequest) error {
	partitions, err := inRange("partitions_count", req.PartitionsCount, math.MaxInt32)
	if err != nil {
		return err
	}
	replicas, err := inRange("replication_factor", req.ReplicationFactor, math.MaxInt16)
	if err != nil {
		return err
	}
	t.partitions, t.replicas = int32(partitions), int16(replicas)
	if t.validateOnly, err = isTrue("validate_only", req.ValidateOnly); err != nil {
		return err
	}
	if t.assignments, err = readAssignments(req.Assignments); err != nil {
		return err
	}
	t.configs, err = readConfigs(req.Configs)
	return err
}

// errNull is the reference's text for a member that must be there.
func errNull(class, field string) error {
	return kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot construct instance of `%s`, problem: Null %s", class, field)
}

// inRange gives -1 for an absent number.
func inRange(field string, n *httpapi.Int, limit int64) (int64, error) {
	if n == nil {
		return -1, nil
	}
	if v := int64(*n); v <= limit && v >= -limit-1 {
		return v, nil
	}
	return 0, kafkarest.Errorf(kafkarest.CodeBadRequest, "Numeric value (%d) out of range: %s must be between %d and %d",
		int64(*n), field, -limit-1, limit)
}

// isTrue reads a boolean that may come as a string or number, as the reference does.
func isTrue(field string, v *httpapi.Text) (bool, error) {
	if v == nil {
		return false, nil
	}
	switch text := strings.TrimSpace(string(*v)); text {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return false, kafkarest.Errorf(kafkarest.CodeBadRequest, "Cannot deserialize value of type `boolean`: %s must be true or false", field)
		}
		return n != 0, nil
	}
}

func readAssignments(given map[string][]*httpapi.Int) (map[int32][]int32, error) {
	out := make(map[int32][]int32, len(given))
	for key, brokers := range given {
		partition, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return nil, kafkarest.Errorf(kafkarest.CodeBadRequest,
				"Cannot deserialize Map key of type `java.lang.Integer` from String %q: replicas_assignments wants partition numbers", key)
		}
		ids := make([]int32, 0, len(brokers))
		for _, b := range brokers {
			if b == nil {
				return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "A broker of partition %d in replicas_assignments is null.", partition)
			}
			id, err := inRange("a broker in replicas_assignments", b, math.MaxInt32)
			if err != nil {
				return nil, err
			}
			ids = append(ids, int32(id))
		}
		if _, twice := out[int32(partition)]; twice { // "1" and "01"
			return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Partition %d comes twice in replicas_assignments.", partition)
		}
		out[int32(partition)] = ids
	}
	return out, nil
}

func readConfigs(given []*TopicConfig) (map[string]*string, error) {
	out := make(map[string]*string, len(given))
	for _, config := range given {
		if config == nil || config.Name == nil {
			return nil, errNull("ConfigEntry", "name")
		}
		name := string(*config.Name)
		if _, twice := out[name]; twice {
			return nil, kafkarest.Errorf(kafkarest.CodeBadRequest, "Config %s comes twice in configs.", name)
		}
		out[name] = (*string)(config.Value)
	}
	return out, nil
}

// check refuses what every Kafka refuses, so that brokers that are lenient about it are held to the contract too.
func (t *newTopic) check() error {
	refuse := func(format string, args ...any) error {
		return kafkarest.Errorf(kafkarest.CodeInvalidArgument, format, args...)
	}
	var null []string
	for name, value := range t.configs {
		if value == nil {
			null = append(null, name)
		}
	}
	switch {
	case len(null) > 0:
		slices.Sort(null)
		return refuse("Null value not supported for topic configs: %s", strings.Join(null, ","))
	case len(t.assignments) > 0: // the counts are ignored
		return nil
	case t.partitions == 0 || t.partitions < -1:
		return refuse("Number of partitions was set to an invalid non-positive value: partitions_count is %d.", t.partitions)
	case t.replicas == 0 || t.replicas < -1:
		return refuse("Replication factor was set to an invalid non-positive value: replication_factor is %d.", t.replicas)
	}
	return nil
}

func (t *newTopic) request() *kmsg.CreateTopicsRequest {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = t.name, -1, -1
	for partition, brokers := range t.assignments {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: partition, Replicas: brokers})
	}
	for name, value := range t.configs {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: value})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.ValidateOnly, req.TimeoutMillis = append(req.Topics, topic), t.validateOnly, 15_000
	return req
}
