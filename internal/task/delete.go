package task

import (
	"context"
	"time"

	"kafkarest"
)

// Delete forgets a final task, and a callback that is still owed.
//
// The task is gone before its end is written: an attempt of its callback that is under way finds nothing then, and writes nothing behind that
// end. On another node such an attempt may write its record before it hears of the end; whoever notices writes the end again.
// Errors: those of Get, CodeTaskPending.
func (s *Store) Delete(ctx context.Context, id ID, owner string) error {
	if _, err := s.Get(ctx, id, owner); err != nil {
		return err
	}
	e, held, err := s.take(id, owner)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Write)
	defer cancel()
	if err := s.writeNow(ctx, e, nil); err != nil {
		s.putBack(e, held)
		return err
	}
	return nil
}

// take removes a final task that is to be deleted, and gives what it held.
func (s *Store) take(id ID, owner string) (*entry, *rest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find1(id, owner)
	if err != nil {
		return nil, nil, err
	}
	if e.status == Pending {
		return nil, nil, &kafkarest.Error{Code: kafkarest.CodeTaskPending, RetryAfter: time.Second,
			Message: "The task is still pending: it can be deleted when it is final."}
	}
	held := e.rest
	s.remove(e)
	s.gone[0][id] = true
	return e, held, nil
}

// putBack is for a task that could not be deleted.
func (s *Store) putBack(e *entry, held *rest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gone[0], e.id)
	delete(s.gone[1], e.id)
	e.rest = held
	s.insert(e)
	if e.callback != nil && e.callback.state == CallbackWaiting && s.outbox.on() {
		c := *e.callback
		c.busy = false // an attempt that was under way may have ended unseen
		e.callback = &c
		s.outbox.add(e)
		return
	}
	s.keep(e, time.Duration(max(e.expires-s.clock(), 0))*time.Millisecond)
}

// deleted reports whether Delete has removed a task here. s.mu is held.
func (s *Store) deleted(id ID) bool { return s.gone[0][id] || s.gone[1][id] }

// bury writes the end of a task again that was deleted, since something was written behind it, or may have been.
func (s *Store) bury(e *entry) {
	s.write(e, nil, func(err error) {
		if err != nil {
			s.cfg.Log.Debug("the end of a deleted task could not be written again", "task", e.id.String(), "err", err)
		}
	})
}

// tell writes what is known of a final task for which nobody waits.
func (s *Store) tell(e *entry, value []byte) {
	s.write(e, value, func(err error) {
		if err != nil {
			s.cfg.Log.Debug("what became of a task could not be recorded", "task", e.id.String(), "err", err)
		}
		s.mu.Lock()
		over := s.tasks[e.id] != e
		s.mu.Unlock()
		if over { // its end may lie before this
			s.bury(e)
		}
	})
}
