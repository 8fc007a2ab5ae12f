package checker

// reader is one group on one partition.
type reader struct {
	group string
	place
}

// progress is what a reader has got so far, in the order of the history.
type progress struct {
	times     map[int64]int // how often each offset was delivered
	low, high int64         // the first and the last offset delivered
	committed int64         // the newest confirmed commit, or -1
}

// checkConsumers judges what the groups received against the log and against their own commits.
func checkConsumers(h History, log Log, r *Report, o Options) {
	content := make(map[place][]Entry)
	for _, e := range log.Entries {
		at := place{e.Topic, e.Partition}
		content[at] = append(content[at], e)
	}
	readers := make(map[reader]*progress)
	for _, e := range h.Events {
		if e.Op != Delivered && e.Op != Committed {
			continue
		}
		who := reader{e.Group, place{e.Topic, e.Partition}}
		p := readers[who]
		if p == nil {
			p = &progress{times: make(map[int64]int), low: -1, high: -1, committed: -1}
			readers[who] = p
		}
		if e.Op == Delivered {
			r.deliver(p, e, content[who.place], o)
		} else {
			r.commit(p, e, content[who.place], o)
		}
	}
	if o.Complete {
		addSilent(readers, content)
	}
	for who, p := range readers {
		r.checkGaps(who, p, content[who.place], o)
	}
}

func (r *Report) deliver(p *progress, e Event, content []Entry, o Options) {
	r.Deliveries++
	r.checkDelivered(e, content)
	if p.times[e.Offset]++; p.times[e.Offset] > 1 && (!o.AtLeastOnce || e.Offset < p.committed) {
		r.add(Redelivered, e.ID, "%s[%d]@%d to group %s, which has committed %d", e.Topic, e.Partition, e.Offset, e.Group, p.committed)
	}
	if p.low < 0 || e.Offset < p.low {
		p.low = e.Offset
	}
	p.high = max(p.high, e.Offset)
}

// checkDelivered finds out whether the record that was received is the one that is stored.
func (r *Report) checkDelivered(e Event, content []Entry) {
	i, found := find(content, e.Offset)
	if !found {
		r.add(Phantom, e.ID, "was delivered to group %s as %s[%d]@%d, which the log does not have", e.Group, e.Topic, e.Partition, e.Offset)
		return
	}
	if s, ok := content[i].decode(); e.ID != "" && (!ok || s.ID != e.ID) {
		r.add(Corrupt, e.ID, "was delivered to group %s as %s, which is %q", e.Group, content[i].where(), s.ID)
	}
}

func (r *Report) commit(p *progress, e Event, content []Entry, o Options) {
	r.Commits++
	if e.Offset < p.committed {
		r.add(CommitRegression, "", "group %s went from %d back to %d in %s[%d]", e.Group, p.committed, e.Offset, e.Topic, e.Partition)
	}
	p.committed = e.Offset
	if p.high < 0 && !o.Complete {
		return // the group may have begun at the end
	}
	if i, _ := find(content, p.high+1); i < len(content) && content[i].Offset < e.Offset {
		r.add(Overcommitted, "", "group %s committed %d in %s[%d] and had got nothing behind %d", e.Group, e.Offset, e.Topic, e.Partition, p.high)
	}
}

// addSilent adds the partitions of which a group got nothing although it got something of their topic.
func addSilent(readers map[reader]*progress, content map[place][]Entry) {
	type subscription struct{ group, topic string }
	subscribed := make(map[subscription]bool)
	for who := range readers {
		subscribed[subscription{who.group, who.topic}] = true
	}
	for s := range subscribed {
		for at := range content {
			who := reader{s.group, at}
			if at.topic == s.topic && readers[who] == nil {
				readers[who] = &progress{times: make(map[int64]int), low: -1, high: -1, committed: -1}
			}
		}
	}
}

// checkGaps finds the stored records that the reader never got.
func (r *Report) checkGaps(who reader, p *progress, content []Entry, o Options) {
	for _, e := range content {
		due := o.Complete || (p.low >= 0 && e.Offset > p.low && e.Offset < p.high)
		if due && p.times[e.Offset] == 0 {
			s, _ := e.decode()
			r.add(Skipped, s.ID, "%s was never delivered to group %s", e.where(), who.group)
		}
	}
}
