package httpapi

import "sync"

// pieces is a body while it is read. One buffer that grows would be copied each time, with the old one beside the new one and then left to the
// collector: three times what the body is, of which the budget would know once. Pieces are counted before they are taken, copied once, in the
// end, and used again for other bodies. That is safe because nothing but the copy leaves here: records point into that.
type pieces struct {
	of    *requestBody
	first int64 // size of the first piece: of more than a body that is no longer would be copied for nothing
	limit int64 // of the body; no more than a byte beyond it is asked for
	full  [][]byte
	last  []byte // its length is what it holds
	size  int64  // of all that is held
	held  int64  // of the pieces: what the budget counts
}

const (
	firstPiece = 4 << 10 // most bodies of unknown length need no more
	piece      = 64 << 10
)

var sparePieces = sync.Pool{New: func() any { return new([piece]byte) }}

// room gives the memory for what comes next, at least a byte. Errors: CodeTooManyRequests when the budget is spent.
func (p *pieces) room() ([]byte, error) {
	left := p.limit + 1 - p.size
	if len(p.last) == cap(p.last) {
		if err := p.add(left); err != nil {
			return nil, err
		}
	}
	return p.last[len(p.last):min(int64(cap(p.last)), int64(len(p.last))+left)], nil
}

// add makes room for no more than so many bytes.
func (p *pieces) add(most int64) error {
	next := min(p.first, most)
	if p.size > 0 {
		next = min(piece, most)
	}
	if err := p.of.grow(next); err != nil {
		return err
	}
	p.held += next
	if p.size == 0 {
		p.last = make([]byte, 0, next)
		return nil
	}
	p.full = append(p.full, p.last)
	p.last = sparePieces.Get().(*[piece]byte)[:0]
	return nil
}

// took notes that n bytes of the room were filled.
func (p *pieces) took(n int) {
	p.last = p.last[:len(p.last)+n]
	p.size += int64(n)
}

// join gives the body in one, which is the caller's to keep. What it takes beside its pieces for a moment counts too; if there is no room for
// that, one body is put together at a time, since one that is as large as the budget must still go through.
func (p *pieces) join() []byte {
	switch {
	case len(p.full) == 0:
		return p.last
	case len(p.full) == 1 && len(p.last) == 0: // the end showed after it was full
		defer p.of.shrink(p.held - p.size)
		return p.full[0]
	}
	if p.of.of.take(p.size) {
		p.of.taken += p.size
		defer p.of.shrink(p.held)
	} else {
		p.of.of.joining.Lock()
		defer p.of.of.joining.Unlock()
		defer p.of.shrink(p.held - p.size)
	}
	body := make([]byte, 0, p.size)
	for _, piece := range p.full {
		body = append(body, piece...)
	}
	return append(body, p.last...)
}

// free gives the pieces to other bodies, but for the first, which may be the whole body.
func (p *pieces) free() {
	for i, used := range append(p.full, p.last) {
		if i > 0 {
			sparePieces.Put((*[piece]byte)(used[:piece]))
		}
	}
}
