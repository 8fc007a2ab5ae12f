package httpapi

// pieces is a body of unknown length while it is read. One buffer that grows would be copied each time, with the old one beside the new one
// and then left to the collector: three times what the body is, of which the budget would know once. Pieces are counted before they are
// made, and copied once, in the end.
type pieces struct {
	of   *requestBody
	full [][]byte
	last []byte // its length is what it holds
	size int64  // of all that is held
	held int64  // of the pieces: what the budget counts
}

const (
	firstPiece   = 4 << 10 // most bodies need no more
	smallPiece   = 64 << 10
	largestPiece = 1 << 20 // large ones leave no gaps in the heap that a whole body does not fit into
)

// room gives the memory for what comes next, at least a byte. Errors: CodeTooManyRequests when the budget is spent.
func (p *pieces) room() ([]byte, error) {
	if len(p.last) < cap(p.last) {
		return p.last[len(p.last):cap(p.last)], nil
	}
	next := int64(firstPiece)
	if p.size > 0 {
		next = min(max(p.size/4, smallPiece), largestPiece)
		p.full = append(p.full, p.last)
	}
	if err := p.of.grow(next); err != nil {
		return nil, err
	}
	p.held += next
	p.last = make([]byte, 0, next)
	return p.last[:next], nil
}

// took notes that n bytes of the room were filled.
func (p *pieces) took(n int) {
	p.last = p.last[:len(p.last)+n]
	p.size += int64(n)
}

// join gives the body in one, which is the caller's to keep. What it takes beside its pieces for a moment counts too; if there is no room for
// that, one body is put together at a time, since one that is as large as the budget must still go through.
func (p *pieces) join() []byte {
	if len(p.full) == 0 {
		return p.last
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
