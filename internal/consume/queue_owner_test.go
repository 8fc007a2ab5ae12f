package consume

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestReachIsReadAsWritten(t *testing.T) {
	for _, r := range []Reach{{"http", 8082}, {"https", 1}, {"http", math.MaxUint16}} {
		for _, own := range []string{"", "orders", "a.b;c", "kafka-rest-queue.http.1"} {
			id := r.clientID(own)
			if got, ok := parseReach(id); !ok || got != r || !strings.HasPrefix(id, own) {
				t.Errorf("%+v for %q is %q, and read %+v %v", r, own, id, got, ok)
			}
		}
	}
	if id := (Reach{}).clientID("mine"); id != "mine" {
		t.Errorf("a node that cannot be reached calls itself %q", id)
	}
}

func TestReachOfOthers(t *testing.T) {
	for _, id := range []string{
		"", "consumer-workers-1", "kafka-rest", "kafka-rest-queue", "kafka-rest-queue.", "kafka-rest-queue.http", "kafka-rest-queue.http.",
		"kafka-rest-queue.http.0", "kafka-rest-queue.http.00080", "kafka-rest-queue.http.080", "kafka-rest-queue.http.+80", "kafka-rest-queue.http.-1",
		"kafka-rest-queue.http.65536", "kafka-rest-queue.http.99999999999999999999", "kafka-rest-queue.http.8082/..", "kafka-rest-queue.http.8082?x",
		"kafka-rest-queue.http.8082@10.0.0.1", "kafka-rest-queue.http.10.0.0.1:80", "kafka-rest-queue.http.80 ", "kafka-rest-queue.http.80\n",
		"kafka-rest-queue.http.80.", "kafka-rest-queue.ftp.21", "kafka-rest-queue.HTTP.80", "kafka-rest-queue..80", "xkafka-rest-queue.http.80",
		"kafka-rest-queue.http.٨٠", strings.Repeat("x", 2000) + ".kafka-rest-queue.http.80",
	} {
		if r, ok := parseReach(id); ok {
			t.Errorf("%q is read as %+v", id, r)
		}
	}
}

func TestMemberAddr(t *testing.T) {
	for _, test := range []struct {
		host       string
		brokerHere bool
		want       string // "" is refused
	}{
		{"/10.0.0.5", false, "10.0.0.5"},
		{"10.0.0.5", false, "10.0.0.5"},
		{"10.0.0.5:49152", false, "10.0.0.5"},
		{"/2001:db8:0:0:0:0:0:7", false, "2001:db8::7"},
		{"[2001:db8::7]:49152", false, "2001:db8::7"},
		{"/0:0:0:0:0:ffff:a00:5", false, "10.0.0.5"},
		{"/127.0.0.1", true, "127.0.0.1"},
		{"/127.0.0.1", false, ""},
		{"/0:0:0:0:0:0:0:1", true, "::1"},
		{"/0:0:0:0:0:0:0:1", false, ""},
		{"/::ffff:127.0.0.1", false, ""},
		{"/169.254.169.254", true, ""},
		{"/fe80:0:0:0:0:0:0:1%eth0", true, ""},
		{"/10.0.0.5%eth0", true, ""},
		{"/0.0.0.0", true, ""},
		{"/0:0:0:0:0:0:0:0", true, ""},
		{"/224.0.0.1", true, ""},
		{"/255.255.255.255", true, ""},
		{"evil.example/10.0.0.5", true, ""},
		{"/evil.example", true, ""},
		{"//10.0.0.5", true, ""},
		{"/10.0.0.5/x", true, ""},
		{"pipe", true, ""},
		{"", true, ""},
	} {
		addr, ok := memberAddr(test.host, test.brokerHere)
		if got := addr.String(); ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%q with the broker here %v: %s %v, want %q", test.host, test.brokerHere, got, ok, test.want)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "10.0.0.1": false, "localhost.example": false, "": false} {
		if isLoopback(host) != want {
			t.Errorf("isLoopback(%q) is %v", host, !want)
		}
	}
}

// describedMember is a member as a broker describes it: its topics, and the partitions of "t".
func describedMember(id, clientID, host string, topics []string, partitions ...int32) kmsg.DescribeGroupsResponseGroupMember {
	m := kmsg.NewDescribeGroupsResponseGroupMember()
	m.MemberID, m.ClientID, m.ClientHost = id, clientID, host
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = topics
	m.ProtocolMetadata = metadata.AppendTo(nil)
	assignment := kmsg.NewConsumerMemberAssignment()
	if len(partitions) > 0 {
		topic := kmsg.NewConsumerMemberAssignmentTopic()
		topic.Topic, topic.Partitions = "t", partitions
		assignment.Topics = append(assignment.Topics, topic)
	}
	m.MemberAssignment = assignment.AppendTo(nil)
	return m
}

func TestGroupView(t *testing.T) {
	ours, foreign := Reach{"http", 8082}.clientID("x"), "consumer-1"
	node := func(ip string) Owner {
		return Owner{OwnedByNode, "http", netip.AddrPortFrom(netip.MustParseAddr(ip), 8082)}
	}
	none := Owner{}
	garbage := describedMember("g", ours, "/10.0.0.9", []string{"t"}, 3)
	garbage.MemberAssignment, garbage.ProtocolMetadata = []byte{0, 0, 255, 255, 255}, []byte{7}
	type members = []kmsg.DescribeGroupsResponseGroupMember
	for name, test := range map[string]struct {
		state, kind string
		members     members
		rest        Standing
		owners      []Owner // of partitions 0, 1, …; the zero one for nobody
	}{
		"dead":                      {"Dead", "", nil, OwnedByNobody, nil},
		"empty":                     {"Empty", "consumer", nil, OwnedByNobody, nil},
		"rebalancing":               {"PreparingRebalance", "consumer", members{describedMember("a", ours, "/10.0.0.1", []string{"t"}, 0)}, Unsettled, nil},
		"completing":                {"CompletingRebalance", "consumer", members{describedMember("a", ours, "/10.0.0.1", nil)}, Unsettled, nil},
		"a state of later":          {"Reconciling", "consumer", nil, Unsettled, nil},
		"connect":                   {"Stable", "connect", members{describedMember("a", ours, "/10.0.0.1", []string{"t"}, 0)}, OwnedByForeign, nil},
		"two nodes":                 {"Stable", "consumer", members{describedMember("a", ours, "/10.0.0.1", []string{"t"}, 0, 2), describedMember("b", ours, "/10.0.0.2", []string{"t"}, 1)}, Unsettled, []Owner{node("10.0.0.1"), node("10.0.0.2"), node("10.0.0.1"), none}},
		"a foreign one":             {"Stable", "consumer", members{describedMember("a", foreign, "/10.0.0.1", []string{"t"}, 0)}, Unsettled, []Owner{{Standing: OwnedByForeign}, none}},
		"at an address of its own":  {"Stable", "consumer", members{describedMember("a", ours, "/127.0.0.1", []string{"t"}, 0)}, Unsettled, []Owner{{Standing: OwnedByForeign}}},
		"subscribed, with nothing":  {"Stable", "consumer", members{describedMember("a", ours, "/10.0.0.1", []string{"u", "t"})}, Unsettled, []Owner{none}},
		"readers of another topic":  {"Stable", "consumer", members{describedMember("a", ours, "/10.0.0.1", []string{"u"})}, OwnedByNobody, []Owner{none}},
		"bytes that make no sense":  {"Stable", "consumer", members{garbage, describedMember("a", ours, "/10.0.0.1", []string{"t"}, 0)}, Unsettled, []Owner{node("10.0.0.1"), none, none, none}},
		"only such":                 {"Stable", "consumer", members{garbage}, OwnedByNobody, []Owner{none}},
		"a partition claimed twice": {"Stable", "consumer", members{describedMember("a", ours, "/10.0.0.1", []string{"t"}, 0), describedMember("b", ours, "/10.0.0.2", []string{"t"}, 0)}, Unsettled, []Owner{node("10.0.0.1")}},
	} {
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.State, g.ProtocolType, g.Members = test.state, test.kind, test.members
		view := classicView(&g, "t", false)
		if view.rest != test.rest {
			t.Errorf("%s: the rest is %v, want %v", name, view.rest, test.rest)
		}
		for p, want := range test.owners {
			got := none
			if m := view.owners[int32(p)]; m != nil {
				got = m.owner
			}
			if got != want {
				t.Errorf("%s: partition %d is with %+v, want %+v", name, p, got, want)
			}
		}
	}
}

func TestGroupViewNewer(t *testing.T) {
	member := func(clientID string, topics []string, topic string, partitions ...int32) kmsg.ConsumerGroupDescribeResponseGroupMember {
		m := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		m.ClientID, m.ClientHost, m.SubscribedTopics = clientID, "/10.0.0.1", topics
		a := kmsg.NewAssignmentTopicPartition()
		a.Topic, a.Partitions = topic, partitions
		m.Assignment.TopicPartitions = append(m.Assignment.TopicPartitions, a)
		return m
	}
	g := kmsg.NewConsumerGroupDescribeResponseGroup()
	g.State = "Reconciling"
	g.Members = append(g.Members, member("java", []string{"t"}, "t", 0), member(Reach{"http", 80}.clientID(""), nil, "t", 1), member("java", []string{"u"}, "u", 2))
	view := newerView(&g, "t", false)
	if view.rest != Unsettled || len(view.owners) != 2 || view.owners[0].owner.Standing != OwnedByForeign || view.owners[1].owner.Addr.String() != "10.0.0.1:80" {
		t.Errorf("%+v", view)
	}
	if view = newerView(&g, "v", false); view.rest != OwnedByNobody || len(view.owners) != 0 {
		t.Errorf("of a topic that nobody reads: %+v", view)
	}
}

// TestQueueOwnerHere asks of a group that this node is in, and of one that nobody is in.
func TestQueueOwnerHere(t *testing.T) {
	b := newReaderBench(t)
	topic := b.topic(2)
	b.store(topic, 2, 0, 2)
	qs := b.queues(QueueConfig{ClientID: "mine"})
	ask := func(consumer string, partition int32) Owner {
		t.Helper()
		o, err := qs.Owner(t.Context(), topic, consumer, partition)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := ask("me", 0); o.Standing != OwnedByNobody {
		t.Errorf("a group that is not there: %+v", o)
	}
	if _, ok := qs.Find(topic, "me"); ok {
		t.Error("asking has opened the queue")
	}
	q, err := qs.Open(t.Context(), topic, "me", OpenOptions{Reach: Reach{"http", 8082}})
	if err != nil {
		t.Fatal(err)
	}
	b.receive(q, 1, AnyWait)
	if id := q.client.OptValue(kgo.ClientID); id != "mine.kafka-rest-queue.http.8082" {
		t.Errorf("its client id is %v", id)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if view, err := qs.view(t.Context(), queueKey{topic, "me"}, 0); err == nil && len(view.owners) == 2 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the group has %+v, %v", view, err)
		}
	}
	if o := ask("me", 1); o.Standing != Unsettled {
		t.Errorf("what this node has itself: %+v", o)
	}
	_, err = qs.Owner(t.Context(), topic, "me", 2)
	wantCode(t, "a partition too many", err, kafkarest.CodePartitionNotFound)
	_, err = qs.Owner(t.Context(), "nosuch", "me", 0)
	wantCode(t, "no such topic", err, kafkarest.CodeTopicNotFound)
	b.close(qs)
	_, err = qs.Owner(t.Context(), topic, "me", 0)
	wantCode(t, "after the end", err, kafkarest.CodeDraining)
}

// TestQueueOwnerViews keeps views for their time, for as many groups as there may be, and drops the one that misled.
func TestQueueOwnerViews(t *testing.T) {
	b := newReaderBench(t)
	qs := b.queues(QueueConfig{})
	key := queueKey{"t", "g"}
	owner := Owner{OwnedByNode, "http", netip.MustParseAddrPort("10.0.0.1:80")}
	put := func(age time.Duration) {
		done := make(chan struct{})
		close(done)
		qs.mu.Lock()
		defer qs.mu.Unlock()
		qs.views[key] = &lookup{done: done, at: time.Now().Add(-age), view: &groupView{rest: Unsettled, owners: map[int32]*groupMember{0: {"m", owner}}}}
	}
	has := func() bool {
		view, err := qs.view(t.Context(), key, viewFresh)
		if err != nil {
			t.Fatal(err)
		}
		return len(view.owners) == 1
	}
	put(0)
	if !has() {
		t.Error("a fresh view is not used")
	}
	qs.Misled(key.topic, key.consumer, 1, owner)
	qs.Misled(key.topic, key.consumer, 0, Owner{})
	if !has() {
		t.Error("a view was dropped that misled nobody")
	}
	qs.Misled(key.topic, key.consumer, 0, owner)
	if has() {
		t.Error("a view that misled is used again")
	}
	put(2 * viewFresh)
	if has() {
		t.Error("an old view is used")
	}
	qs.mu.Lock()
	for n := range viewsMost {
		qs.views[queueKey{"t", strings.Repeat("g", n+2)}] = &lookup{done: make(chan struct{})}
	}
	delete(qs.views, key)
	qs.mu.Unlock()
	has()
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if len(qs.views) > viewsMost {
		t.Errorf("%d views are kept", len(qs.views))
	}
}

// FuzzGroupView reads what any member of a group can have a broker say of it.
func FuzzGroupView(f *testing.F) {
	m := describedMember("a", Reach{"http", 8082}.clientID("x"), "/10.0.0.1", []string{"t"}, 0, 1)
	f.Add(m.ClientID, m.ClientHost, m.ProtocolMetadata, m.MemberAssignment)
	f.Add("kafka-rest-queue.http.0", "/127.0.0.1", []byte{0, 1}, []byte{0, 0, 127, 255, 255, 255})
	f.Add("kafka-rest-queue.http.80/..", "fe80::1%x", []byte(nil), bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, clientID, host string, metadata, assignment []byte) {
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.State, g.ProtocolType = "Stable", "consumer"
		g.Members = []kmsg.DescribeGroupsResponseGroupMember{{ClientID: clientID, ClientHost: host, ProtocolMetadata: metadata, MemberAssignment: assignment}}
		view := classicView(&g, "t", false)
		for _, member := range view.owners {
			o := member.owner
			if o.Standing == OwnedByForeign {
				continue
			}
			addr := o.Addr.Addr()
			if !addr.IsValid() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.Zone() != "" || o.Addr.Port() == 0 {
				t.Fatalf("%q at %q is dialled at %v", clientID, host, o.Addr)
			}
			if !slices.Contains([]string{"http", "https"}, o.Scheme) || !strings.HasSuffix(clientID, Reach{o.Scheme, o.Addr.Port()}.clientID("")) {
				t.Fatalf("%q is read as %+v", clientID, o)
			}
		}
	})
}
