// linearizability FILE says whether a recorded history is what a single copy of
// the metadata could have answered.
//
// Exit 0: it is. 1: it is not; what speaks against it is printed, and
// FILE.html shows it where Porcupine found it. 2: it could not be checked.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 2 * time.Minute

// linearize asks Porcupine; "" is a yes.
func linearize(name, picture string, history []porcupine.Operation) string {
	result, info := porcupine.CheckOperationsVerbose(model, history, patience)
	switch result {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return name + ": no result in time"
	}
	said := name + ": not linearizable"
	if err := porcupine.VisualizePath(model, info, picture); err == nil {
		said += ", see " + picture
	}
	return said
}

func check(path string, history []*Record) []string {
	var problems []string
	for name, order := range map[string]func([]*Record) error{
		"request ids": checkIDs, "time": checkTime, "clients": checkClients,
	} {
		if err := order(history); err != nil {
			problems = append(problems, name+": "+err.Error())
		}
	}
	for name, operations := range map[string][]porcupine.Operation{
		"by time": inTime(history), "by position": inLogOrder(history),
	} {
		if said := linearize(name, path+".html", operations); said != "" {
			problems = append(problems, said)
		}
	}
	return problems
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
	problems := check(os.Args[1], history)
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d operations are linearizable\n", len(history))
}
