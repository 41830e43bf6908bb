package main

import (
	"fmt"
	"sort"
)

// checkIDs: no request was carried out under two positions.
func checkIDs(history []*Record) error {
	seen := map[string]*Record{}
	for _, r := range history {
		if !r.isCommitted() {
			continue
		}
		if other := seen[r.ID]; other != nil {
			return fmt.Errorf("one request id was acknowledged twice:\n%v\n%v",
				other, r)
		}
		seen[r.ID] = r
	}
	return nil
}

// checkTime: what was called after something was acknowledged, by anybody,
// stands behind it in the log; a linearizable read is not from before it.
func checkTime(history []*Record) error {
	var called []*Record
	for _, r := range history {
		if r.isCommitted() || r.isRead() && r.Linearizable && r.Position > 0 {
			called = append(called, r)
		}
	}
	answered := append([]*Record(nil), called...)
	sort.SliceStable(called, func(i, j int) bool {
		return called[i].Call < called[j].Call
	})
	sort.SliceStable(answered, func(i, j int) bool {
		return answered[i].Return < answered[j].Return
	})
	var newest *Record
	next := 0
	for _, r := range called {
		for ; answered[next].Return < r.Call; next++ {
			if newest == nil || answered[next].Position > newest.Position {
				newest = answered[next]
			}
		}
		if newest == nil {
			continue
		}
		if r.Position < newest.Position ||
			!r.isRead() && !newest.isRead() && r.Position == newest.Position {
			return fmt.Errorf("the log has them the other way round:\n%v\n%v",
				newest, r)
		}
	}
	return nil
}

// checkClients: for each client positions never go backwards, and what it did
// is there when it reads.
func checkClients(history []*Record) error {
	newest := map[int]*Record{}
	ordered := append([]*Record(nil), history...)
	sort.SliceStable(ordered, func(i, j int) bool {
		return ordered[i].Call < ordered[j].Call
	})
	for _, r := range ordered {
		if r.Answer != "ok" {
			continue
		}
		if r.isRead() && r.Position < r.Min {
			return fmt.Errorf("an answer from before what was asked for:\n%v",
				r)
		}
		before := newest[r.Client]
		if before != nil && r.Position < before.Position {
			return fmt.Errorf("a client's positions go backwards:\n%v\n%v",
				before, r)
		}
		newest[r.Client] = r
	}
	return nil
}
