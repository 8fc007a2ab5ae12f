package format

import (
	"encoding/binary"
	"slices"
)

// This file writes the Avro types that hold others: arrays, maps, records and unions.

func (w *avroWriter) array(n *avroNode) error {
	if !w.in.next('[') {
		return w.expected("array-start")
	}
	start := w.openBlock()
	count := 0
	for ; !w.in.next(']'); count++ {
		if count > 0 && !w.in.next(',') {
			return errMalformed
		}
		if err := w.value(n.elem); err != nil {
			return err
		}
	}
	w.closeBlock(start, count)
	return nil
}

func (w *avroWriter) mapping(n *avroNode) error {
	if !w.in.next('{') {
		return w.expected("map-start")
	}
	start := w.openBlock()
	var seen names
	count := 0
	for ; !w.in.next('}'); count++ {
		if count > 0 && !w.in.next(',') {
			return errMalformed
		}
		key, err := w.in.member(w.scratch)
		if err != nil {
			return err
		}
		if !seen.add(key) {
			return misfitf("The name %s is given twice", clip(key))
		}
		w.out = binary.AppendVarint(w.out, int64(len(key)))
		w.out = append(w.out, key...)
		if err := w.value(n.elem); err != nil {
			return err
		}
	}
	w.closeBlock(start, count)
	return nil
}

// openBlock leaves one byte for the count of the items that follow, which is known only after them.
func (w *avroWriter) openBlock() int {
	w.out = append(w.out, 0)
	return len(w.out) - 1
}

// closeBlock makes one block of the count items written since openBlock gave start, and ends the array or map. A count of 0 is the end.
func (w *avroWriter) closeBlock(start, count int) {
	if count == 0 {
		return
	}
	var head [binary.MaxVarintLen64]byte
	n := binary.PutVarint(head[:], int64(count))
	w.out[start] = head[0]
	if n > 1 {
		w.out = slices.Insert(w.out, start+1, head[1:n]...)
	}
	w.out = append(w.out, 0)
}

// names is a set that costs nothing for the few names that most objects have.
type names struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

// add reports whether the name is new.
func (s *names) add(name []byte) bool {
	if s.many == nil && s.n < len(s.few) {
		if slices.Contains(s.few[:s.n], string(name)) {
			return false
		}
		s.few[s.n] = string(name)
		s.n++
		return true
	}
	if s.many == nil {
		s.many = make(map[string]struct{}, 4*len(s.few))
		for _, have := range s.few {
			s.many[have] = struct{}{}
		}
	}
	if _, dup := s.many[string(name)]; dup {
		return false
	}
	s.many[string(name)] = struct{}{}
	return true
}

// span is where a field's bytes lie in the output.
type span struct {
	start, end int
	met        bool
}

// record writes the fields in the order in which they come and puts them into the schema's order afterwards, if that is another.
// So nothing is read twice, however deep the records nest.
func (w *avroWriter) record(n *avroNode) error {
	if !w.in.next('{') {
		return w.expected("record-start")
	}
	var few [16]span
	spans := append(few[:0], make([]span, len(n.fields))...)
	start := len(w.out)
	inOrder, unknown := true, ""
	for count := 0; !w.in.next('}'); count++ {
		if count > 0 && !w.in.next(',') {
			return errMalformed
		}
		i, err := w.field(n, count)
		if err != nil {
			return err
		}
		if i < 0 {
			if unknown, err = w.unknown(unknown); err != nil {
				return err
			}
			continue
		}
		if spans[i].met {
			return misfitf("The name %s is given twice", n.fields[i].name)
		}
		inOrder = inOrder && i == count
		at := len(w.out)
		if err := w.value(n.fields[i].node); err != nil {
			return err
		}
		spans[i] = span{start: at, end: len(w.out), met: true}
	}
	return w.finish(n, start, spans, inOrder, unknown)
}

// field consumes a member's name and gives the field of that name, with a guess that it is the field number guess. It is -1 for a name
// that the schema has not: w.scratch keeps it.
func (w *avroWriter) field(n *avroNode, guess int) (int, error) {
	key, err := w.in.member(w.scratch)
	if err != nil {
		return 0, err
	}
	if guess < len(n.fields) && n.fields[guess].name == string(key) {
		return guess, nil
	}
	if i, ok := n.fieldIndex[string(key)]; ok {
		return i, nil
	}
	w.scratch = append(w.scratch[:0], key...)
	return -1, nil
}

// unknown skips the value of an unknown member and gives the name of the first of them.
func (w *avroWriter) unknown(first string) (string, error) {
	if first == "" {
		first = clip(w.scratch)
	}
	return first, w.in.skip()
}

func (w *avroWriter) finish(n *avroNode, start int, spans []span, inOrder bool, unknown string) error {
	for i := range spans {
		if spans[i].met {
			continue
		}
		f := &n.fields[i]
		if !w.o.Plain || f.fill == nil {
			return misfitf("Expected field name not found: %s", f.name)
		}
		def, err := f.fill()
		if err != nil {
			return misfitf("Expected field name not found: %s", f.name)
		}
		spans[i] = span{start: len(w.out), end: len(w.out) + len(def), met: true}
		w.out = append(w.out, def...)
		inOrder = false
	}
	// Java's decoder ignores what follows the last field of the outermost record, and clients have come to rely on it.
	if unknown != "" && (w.depth > 1 || w.o.Plain) {
		return misfitf("Unknown fields: [%s]", unknown)
	}
	if !inOrder {
		w.reorder(start, spans)
	}
	return nil
}

// reorder puts the bytes written since start into the order of spans.
func (w *avroWriter) reorder(start int, spans []span) {
	ordered := make([]byte, 0, len(w.out)-start)
	for _, s := range spans {
		ordered = append(ordered, w.out[s.start:s.end]...)
	}
	w.out = append(w.out[:start], ordered...)
}

// union takes null, a tagged value {"string": "x"}, and an untagged one where the kind of JSON value leaves one branch only. An object
// whose first name is a branch's is tagged: that decides it, so that nothing need be tried twice.
func (w *avroWriter) union(n *avroNode) error {
	switch w.in.peek() {
	case 'n':
		if n.nullBranch < 0 {
			return misfit("Unknown union branch null")
		}
		w.out = binary.AppendVarint(w.out, int64(n.nullBranch))
		return w.null()
	case '{':
		at := w.in.i
		if i, ok := w.tag(n); ok {
			return w.tagged(n, i)
		}
		w.in.i = at
	}
	return w.untagged(n)
}

// tag consumes the start of a tagged value and gives its branch.
func (w *avroWriter) tag(n *avroNode) (int, bool) {
	w.in.i++
	key, err := w.in.member(w.scratch)
	if err != nil {
		return 0, false
	}
	i, ok := n.branchIndex[string(key)]
	return i, ok
}

func (w *avroWriter) tagged(n *avroNode, i int) error {
	w.out = binary.AppendVarint(w.out, int64(i))
	if err := w.value(n.branches[i]); err != nil {
		return err
	}
	if !w.in.next('}') {
		return misfit("Expected union-end. Got FIELD_NAME")
	}
	return nil
}

func (w *avroWriter) untagged(n *avroNode) error {
	kind := w.in.peek()
	var fit []int
	for i, b := range n.branches {
		if b.takes(kind, w.o) {
			fit = append(fit, i)
		}
	}
	if len(fit) > 1 && kind != '{' && kind != '[' {
		fit = w.tryAll(n, fit)
	}
	switch len(fit) {
	case 0:
		return w.noBranch()
	case 1:
		w.out = binary.AppendVarint(w.out, int64(fit[0]))
		return w.value(n.branches[fit[0]])
	}
	return misfitf("Ambiguous union value: it fits %s and %s; name the branch, as in {%q: …}",
		n.branches[fit[0]].label, n.branches[fit[1]].label, n.branches[fit[0]].label)
}

// noBranch is the error for a value that fits no branch.
func (w *avroWriter) noBranch() error {
	if w.in.peek() != '{' {
		return w.expected("start-union")
	}
	w.in.i++
	key, err := w.in.member(w.scratch)
	if err != nil {
		return misfit("Expected start-union. Got END_OBJECT")
	}
	return misfitf("Unknown union branch %s", clip(key))
}

// tryAll keeps the branches that take a string or a number not only by its kind. Nothing is written.
func (w *avroWriter) tryAll(n *avroNode, candidates []int) []int {
	at, end := w.in.i, len(w.out)
	fit := candidates[:0]
	for _, i := range candidates {
		if w.value(n.branches[i]) == nil {
			fit = append(fit, i)
		}
		w.in.i, w.out = at, w.out[:end]
	}
	return fit
}

// takes reports whether an untagged JSON value that starts with c could be of type n.
func (n *avroNode) takes(c byte, o Options) bool {
	switch {
	case c == '{':
		return n.kind == avroRecord || n.kind == avroMap
	case c == '[':
		return n.kind == avroArray
	case c == 't' || c == 'f':
		return n.kind == avroBoolean
	case c == '"':
		return n.takesString(o)
	case startsNumber(c):
		return n.kind >= avroInt && n.kind <= avroDouble || o.Plain && n.logical == "decimal"
	}
	return false
}

func (n *avroNode) takesString(o Options) bool {
	switch n.kind {
	case avroString, avroBytes, avroFixed, avroEnum, avroFloat, avroDouble:
		return true
	case avroLong:
		return o.Int64AsString || o.Plain && n.logical != ""
	case avroInt:
		return o.Plain && n.logical != ""
	}
	return false
}
