package task

import "unique"

// receiver is a host that attempts are under way to, and those that wait until there are fewer: in a row of their own, so that a host which
// hangs costs nothing but its own callbacks' time. Store.mu guards it.
type receiver struct {
	host    unique.Handle[string]
	busy    int // attempts under way, and turns that are given
	waiting []expiring
	most    int // that wait, until it is worth a look who still does
}

// turn is an attempt that may be made now; at is since when.
type turn struct {
	expiring
	to *receiver
}

// receiver is that of an entry with a callback. Store.mu is held.
func (o *outbox) receiver(e *entry) *receiver {
	host := e.callback.host
	r := o.hosts[host]
	if r == nil {
		r = &receiver{host: host}
		o.hosts[host] = r
	}
	return r
}

// take gives an attempt its turn, or has it wait for one. Store.mu is held.
func (r *receiver) take(o *outbox, x expiring) bool {
	if r.busy < perHost {
		r.busy++
		x.e.callback.busy = true
		return true
	}
	r.waiting = append(r.waiting, x)
	o.waiting++
	if len(r.waiting) > max(r.most, fewest) {
		r.compact(o)
	}
	return false
}

// leave ends an attempt: the turn is given to the first that still waits for one. Store.mu is held.
func (r *receiver) leave(o *outbox) {
	r.busy--
	for len(r.waiting) > 0 {
		x := r.waiting[0]
		r.waiting[0] = expiring{}
		r.waiting = r.waiting[1:]
		o.waiting--
		if o.waits(x) && o.mine(x.e) {
			r.take(o, x)
			x.at = o.store.clock()
			o.ready = append(o.ready, turn{x, r})
			o.nudge()
			return
		}
	}
	if r.busy == 0 {
		delete(o.hosts, r.host)
	}
}

// compact lets go of those that wait no longer. Store.mu is held.
func (r *receiver) compact(o *outbox) {
	before := len(r.waiting)
	r.waiting = compacted(r.waiting, o.waits)
	o.waiting += len(r.waiting) - before
	r.most = 2 * len(r.waiting)
}
