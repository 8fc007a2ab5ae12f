package registry

import (
	"fmt"
	"strings"

	"kafkarest"
)

// Strategy says how the subject of a schema is called.
type Strategy int

// The strategies. TopicName gives "topic-key" and "topic-value", RecordName the full name of the schema's record, TopicRecordName
// "topic-" and the name of the record.
const (
	TopicName Strategy = iota
	RecordName
	TopicRecordName
)

// String is the name that requests use.
func (s Strategy) String() string {
	switch s {
	case RecordName:
		return "RECORD_NAME"
	case TopicRecordName:
		return "TOPIC_RECORD_NAME"
	}
	return "TOPIC_NAME"
}

// ParseStrategy takes the names that requests use, and the Java classes that configurations name, with or without their package.
func ParseStrategy(s string) (Strategy, error) {
	switch s[strings.LastIndexByte(s, '.')+1:] {
	case "TOPIC_NAME", "TopicNameStrategy":
		return TopicName, nil
	case "RECORD_NAME", "RecordNameStrategy":
		return RecordName, nil
	case "TOPIC_RECORD_NAME", "TopicRecordNameStrategy":
		return TopicRecordName, nil
	}
	return 0, fmt.Errorf("registry: %q is no subject name strategy: use TOPIC_NAME, RECORD_NAME or TOPIC_RECORD_NAME", s)
}

// Subject applies a strategy, the configured one of the side for "". record is the full name of the schema's record, and "" when no
// schema is known or it has no name. Errors: CodeBadRequest.
func (c *Client) Subject(strategy, topic string, key bool, record string) (string, error) {
	s, side := c.config.ValueStrategy, "-value"
	if key {
		s, side = c.config.KeyStrategy, "-key"
	}
	if strategy != "" {
		var err error
		if s, err = ParseStrategy(strategy); err != nil {
			return "", kafkarest.Wrap(kafkarest.CodeBadRequest, err, "Bad Request: the subject name strategy is unknown.")
		}
	}
	if s == TopicName {
		return topic + side, nil
	}
	if record == "" {
		return "", kafkarest.Errorf(kafkarest.CodeBadRequest,
			"Bad Request: the subject name strategy %s needs a schema that names a record.", s)
	}
	if s == RecordName {
		return record, nil
	}
	return topic + "-" + record, nil
}
