package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Record is one call of one client on one VPC: a line of the history.
type Record struct {
	Client int    `json:"client"`
	Op     string `json:"op"`   // create, delete, join, leave or read
	Key    string `json:"key"`  // the VPC
	Host   uint   `json:"host"` // join, leave: which of its possible members
	ID     string `json:"id"`   // changes: the request id
	// Nanoseconds of one monotonic clock; Return is 0 where no answer came.
	Call   int64 `json:"call"`
	Return int64 `json:"return"`
	// ok, exists, absent, or unknown: nobody was told.
	Answer string `json:"answer"`
	// Index of the entry that holds the change, or that was read at; 0: not
	// told, as with a refusal. Of an unknown change: where the log has it.
	Position int64 `json:"position"`
	// A read may not answer from before this index.
	Min int64 `json:"min"`
	// The read promised to see all that was acknowledged before it.
	Linearizable bool `json:"linearizable"`
	// What a read found, and what a join answered.
	Version uint64 `json:"version"`
	Members uint64 `json:"members"` // a bit for each host
}

func (r *Record) isRead() bool { return r.Op == "read" }

func (r *Record) isUnknown() bool { return r.Answer == "unknown" }

// Holds a change that the log has.
func (r *Record) isCommitted() bool { return !r.isRead() && r.Answer == "ok" }

func (r *Record) String() string {
	text, _ := json.Marshal(r)
	return string(text)
}

func (r *Record) check() error {
	switch r.Op {
	case "create", "delete", "join", "leave", "read":
	default:
		return fmt.Errorf("there is no operation %q", r.Op)
	}
	switch r.Answer {
	case "ok":
		if r.Position <= 0 {
			return fmt.Errorf("has no position")
		}
	case "exists", "absent":
	case "unknown":
		return nil
	default:
		return fmt.Errorf("there is no answer %q", r.Answer)
	}
	if r.Return < r.Call {
		return fmt.Errorf("was answered before it was asked")
	}
	return nil
}

// ReadHistory takes one JSON object a line.
func ReadHistory(from io.Reader) ([]*Record, error) {
	var history []*Record
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		record := new(Record)
		err := json.Unmarshal(lines.Bytes(), record)
		if err == nil {
			err = record.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(history)+1, err)
		}
		history = append(history, record)
	}
	return history, lines.Err()
}
