// linearizability FILE says whether a recorded history is what a single copy of
// the metadata could have answered.
//
// Exit 0: it is. 1: it is not; what speaks against it is printed. 2: it could
// not be checked.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = time.Minute // for one VPC

// linearize asks Porcupine; "" is a yes.
func linearize(order string, history []porcupine.Operation) string {
	for key, operations := range byKey(history) {
		switch porcupine.CheckOperationsTimeout(model, operations, patience) {
		case porcupine.Illegal:
			return fmt.Sprintf("%s: what was said of VPC %s is not linearizable",
				order, key)
		case porcupine.Unknown:
			return fmt.Sprintf("%s: VPC %s: no result in time", order, key)
		}
	}
	return ""
}

// check stops at the first problem: where order is wrong, a search for one
// that explains it may take for ever.
func check(history []*Record) string {
	for _, each := range []struct {
		name  string
		order func([]*Record) error
	}{
		{"request ids", checkIDs},
		{"time", checkTime},
		{"clients", checkClients},
		{"absence", checkAbsent},
	} {
		if err := each.order(history); err != nil {
			return each.name + ": " + err.Error()
		}
	}
	if said := linearize("by position", inLogOrder(history)); said != "" {
		return said
	}
	return linearize("by time", inTime(history))
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: linearizability FILE")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	history, err := ReadHistory(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if problem := check(history); problem != "" {
		fmt.Println(problem)
		os.Exit(1)
	}
	fmt.Printf("%d operations are linearizable\n", len(history))
}
