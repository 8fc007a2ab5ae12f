package consume

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"kafkarest/internal/kafka"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupView is who has the partitions of one topic in one group.
type groupView struct {
	rest   Standing // of partitions that nobody has
	owners map[int32]*groupMember
}

// groupMember is a member of a group that has something of the topic.
type groupMember struct {
	id    string
	owner Owner
}

// seenMember is a member as a broker describes it, as far as one topic is concerned.
type seenMember struct {
	id, clientID, clientHost string
	partitions               []int32
	reads                    bool // the topic, whether it has partitions of it now or not
}

// describe asks the group's coordinator who has the partitions of a topic. A group of the protocol of KIP-848 (Java's group.protocol=consumer,
// which members like ours may join) is none to the older request, and is asked for by the newer one.
func (qs *Queues) describe(ctx context.Context, key queueKey) (*groupView, error) {
	view, err := kafka.Await(ctx, func(ctx context.Context) (*groupView, error) { return qs.describeClassic(ctx, key) })
	if err == nil && view.rest == OwnedByNobody || errors.Is(err, kerr.GroupIDNotFound) {
		newer, err := kafka.Await(ctx, func(ctx context.Context) (*groupView, error) { return qs.describeNewer(ctx, key) })
		switch {
		case err == nil:
			return newer, nil
		case ctx.Err() != nil:
			return nil, kafka.Error(err)
		}
		return &groupView{rest: OwnedByNobody}, nil // not that either, or a broker that has no such groups
	}
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return &groupView{rest: Unknowable}, nil
	case errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.CoordinatorLoadInProgress), errors.Is(err, kerr.NotCoordinator):
		return &groupView{rest: Unsettled}, nil
	}
	return view, kafka.Error(err)
}

var errNoDescription = errors.New("the description of a group is missing in the broker's answer")

func (qs *Queues) describeClassic(ctx context.Context, key queueKey) (*groupView, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{key.consumer}
	for _, shard := range qs.cluster.Client().RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		if resp, ok := shard.Resp.(*kmsg.DescribeGroupsResponse); ok && len(resp.Groups) == 1 {
			g := &resp.Groups[0]
			return classicView(g, key.topic, isLoopback(shard.Meta.Host)), kerr.ErrorForCode(g.ErrorCode)
		}
	}
	return nil, errNoDescription
}

func (qs *Queues) describeNewer(ctx context.Context, key queueKey) (*groupView, error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{key.consumer}
	for _, shard := range qs.cluster.Client().RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		if resp, ok := shard.Resp.(*kmsg.ConsumerGroupDescribeResponse); ok && len(resp.Groups) == 1 {
			g := &resp.Groups[0]
			return newerView(g, key.topic, isLoopback(shard.Meta.Host)), kerr.ErrorForCode(g.ErrorCode)
		}
	}
	return nil, errNoDescription
}

// classicView reads a description. A member whose bytes make no sense has nothing.
func classicView(g *kmsg.DescribeGroupsResponseGroup, topic string, brokerHere bool) *groupView {
	switch {
	case len(g.Members) == 0 && (g.State == "Empty" || g.State == "Dead"):
		return &groupView{rest: OwnedByNobody}
	case g.State != "Stable":
		return &groupView{rest: Unsettled}
	case g.ProtocolType != "consumer": // Kafka Connect, or something of its own
		return &groupView{rest: OwnedByForeign}
	}
	members := make([]seenMember, 0, len(g.Members))
	for i := range g.Members {
		m := &g.Members[i]
		members = append(members, seenMember{m.MemberID, m.ClientID, m.ClientHost, assignedOf(m.MemberAssignment, topic), subscribes(m.ProtocolMetadata, topic)})
	}
	return viewOf(members, brokerHere)
}

// newerView reads a description of the newer kind. What a member has is what it says that it has taken, be the group settled or not.
func newerView(g *kmsg.ConsumerGroupDescribeResponseGroup, topic string, brokerHere bool) *groupView {
	members := make([]seenMember, 0, len(g.Members))
	for i := range g.Members {
		m := &g.Members[i]
		seen := seenMember{id: m.MemberID, clientID: m.ClientID, clientHost: m.ClientHost, reads: slices.Contains(m.SubscribedTopics, topic)}
		for _, t := range m.Assignment.TopicPartitions {
			if t.Topic == topic {
				seen.partitions = append(seen.partitions, t.Partitions...)
			}
		}
		members = append(members, seen)
	}
	return viewOf(members, brokerHere)
}

func viewOf(members []seenMember, brokerHere bool) *groupView {
	view := &groupView{rest: OwnedByNobody, owners: map[int32]*groupMember{}}
	for _, m := range members {
		if !m.reads && len(m.partitions) == 0 {
			continue
		}
		view.rest = Unsettled // a partition that none of the topic's readers has is on its way from one to another
		member := &groupMember{m.id, ownerOf(m.clientID, m.clientHost, brokerHere)}
		for _, p := range m.partitions {
			if view.owners[p] == nil {
				view.owners[p] = member
			}
		}
	}
	return view
}

// ownerOf tells a node of ours from other members by its client id.
func ownerOf(clientID, clientHost string, brokerHere bool) Owner {
	reach, ours := parseReach(clientID)
	addr, ok := memberAddr(clientHost, brokerHere)
	if !ours || !ok {
		return Owner{Standing: OwnedByForeign}
	}
	return Owner{OwnedByNode, reach.Scheme, netip.AddrPortFrom(addr, reach.Port)}
}

// assignedOf reads which partitions of a topic an assignment has.
func assignedOf(assignment []byte, topic string) (partitions []int32) {
	var a kmsg.ConsumerMemberAssignment
	if a.ReadFrom(assignment) != nil {
		return nil
	}
	for _, t := range a.Topics {
		if t.Topic == topic {
			partitions = append(partitions, t.Partitions...)
		}
	}
	return partitions
}

func subscribes(metadata []byte, topic string) bool {
	var m kmsg.ConsumerMemberMetadata
	return m.ReadFrom(metadata) == nil && slices.Contains(m.Topics, topic)
}
