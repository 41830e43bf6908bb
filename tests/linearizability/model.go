package main

import (
	"math"

	"github.com/anishathalye/porcupine"
)

// vpc is what is known of one VPC; comparable, as Porcupine wants it.
type vpc struct {
	exists  bool
	version uint64
	members uint64
	changed int64 // index of the entry that changed it last
}

// apply is what a change does, and the answer it deserves.
func (v vpc) apply(r *Record) (vpc, string) {
	bit := uint64(1) << r.Host
	switch {
	case r.Op == "create" && v.exists:
		return v, "exists"
	case r.Op == "create":
		return vpc{exists: true}, "ok"
	case !v.exists:
		return v, "absent"
	case r.Op == "delete":
		return vpc{}, "ok"
	case r.Op == "join" && v.members&bit != 0:
		return v, "exists"
	case r.Op == "leave" && v.members&bit == 0:
		return v, "absent"
	}
	v.version++
	v.members ^= bit
	return v, "ok"
}

func (v vpc) readsAs(r *Record) bool {
	if r.Answer == "absent" {
		return !v.exists
	}
	return v.exists && v.version == r.Version && v.members == r.Members &&
		v.changed <= r.Position
}

// step is the model: one call after the other, each with its right answer, and
// the entries of the log in the same order.
func step(state, input, _ interface{}) (bool, interface{}) {
	before, r := state.(vpc), input.(*Record)
	if r.isRead() {
		return before.readsAs(r), before
	}
	after, answer := before.apply(r)
	after.changed = before.changed
	switch {
	case r.isUnknown() && r.Position == 0:
		// Not done at all is the same as done after everything else.
		return true, after
	case r.isUnknown():
		// Nobody was told, and the log has it.
		if answer != "ok" {
			return false, before
		}
	case answer != r.Answer:
		return false, before
	case answer != "ok":
		return true, before
	case r.Op == "join" && after.version != r.Version:
		return false, before
	}
	after.changed = r.Position
	return before.changed <= r.Position, after
}

var model = porcupine.Model{
	Init: func() interface{} { return vpc{} },
	Step: step,
}

// byKey: VPCs have nothing to do with each other.
func byKey(history []porcupine.Operation) map[string][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	for _, operation := range history {
		key := operation.Input.(*Record).Key
		keys[key] = append(keys[key], operation)
	}
	return keys
}

// inTime has every change, and the reads that promised to be linearizable, as
// long as the clock says they took.
func inTime(history []*Record) []porcupine.Operation {
	var operations []porcupine.Operation
	for _, r := range history {
		if r.isRead() && (!r.Linearizable || r.isUnknown()) {
			continue
		}
		end := r.Return
		if r.isUnknown() {
			end = math.MaxInt64
		}
		operations = append(operations, porcupine.Operation{
			ClientId: r.Client, Input: r, Call: r.Call, Return: end})
	}
	return operations
}

// sight is what a read saw, and where.
type sight struct {
	key              string
	position         int64
	version, members uint64
}

// inLogOrder has every committed change and every read that found something,
// at the entry that it names: changes of one entry at one moment, reads between
// two entries. Of reads that are all alike there is one: while the log stands
// still there are hundreds, and Porcupine would try them in every order.
func inLogOrder(history []*Record) []porcupine.Operation {
	var operations []porcupine.Operation
	seen := map[sight]bool{}
	for _, r := range history {
		begin, end := 2*r.Position, 2*r.Position
		switch {
		case r.isRead() && r.Answer != "ok":
			continue // checkAbsent
		case r.isRead():
			begin, end = begin+1, end+1
		case r.isUnknown() && r.Position == 0:
			begin, end = 0, math.MaxInt64
		case r.isUnknown():
		case !r.isCommitted():
			continue
		}
		if r.isRead() {
			saw := sight{r.Key, r.Position, r.Version, r.Members}
			if seen[saw] {
				continue
			}
			seen[saw] = true
		}
		operations = append(operations, porcupine.Operation{
			ClientId: r.Client, Input: r, Call: begin, Return: end})
	}
	return operations
}
