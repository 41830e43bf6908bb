package main

import (
	"fmt"
	"math"
	"sort"
)

// nextEntry says which entry was the next that the log can have had after a
// moment: the first of all changes that were called later.
func nextEntry(history []*Record) func(after int64) int64 {
	var changes []*Record
	for _, r := range history {
		if r.isCommitted() {
			changes = append(changes, r)
		}
	}
	sort.SliceStable(changes, func(i, j int) bool {
		return changes[i].Call < changes[j].Call
	})
	first := make([]int64, len(changes)+1)
	first[len(changes)] = math.MaxInt64 / 2
	for i := len(changes) - 1; i >= 0; i-- {
		first[i] = min(first[i+1], changes[i].Position)
	}
	return func(after int64) int64 {
		return first[sort.Search(len(changes), func(i int) bool {
			return changes[i].Call > after
		})]
	}
}

// absences are the positions from which on, and before which, a VPC is not
// there. What one entry holds of it counts together.
func absences(key string, history []*Record) [][2]int64 {
	var changes []*Record
	for _, r := range history {
		if r.Key == key && (r.Op == "create" || r.Op == "delete") &&
			r.Position > 0 {
			changes = append(changes, r)
		}
	}
	sort.SliceStable(changes, func(i, j int) bool {
		return changes[i].Position < changes[j].Position
	})
	spans := [][2]int64{{0, math.MaxInt64}}
	exists := false
	for i, r := range changes {
		exists = !exists
		if i+1 < len(changes) && changes[i+1].Position == r.Position {
			continue
		}
		last := &spans[len(spans)-1]
		if exists && last[1] == math.MaxInt64 {
			last[1] = r.Position
		} else if !exists && last[1] != math.MaxInt64 {
			spans = append(spans, [2]int64{r.Position, math.MaxInt64})
		}
	}
	return spans
}

// checkAbsent: who was told that there is no such VPC could have been, at some
// entry between the one that was asked for and what the log can have held. Not
// for Porcupine: an error names no position, and of calls that may be at many
// places it tries every order.
func checkAbsent(history []*Record) error {
	next := nextEntry(history)
	known := map[string][][2]int64{}
	for _, r := range history {
		if !r.isRead() || r.Answer != "absent" {
			continue
		}
		spans, found := known[r.Key]
		if !found {
			spans = absences(r.Key, history)
			known[r.Key] = spans
		}
		end := next(r.Return)
		fits := false
		for _, span := range spans {
			fits = fits || span[0] < end && r.Min < span[1]
		}
		if !fits {
			return fmt.Errorf("it was there all the time:\n%v", r)
		}
	}
	return nil
}
