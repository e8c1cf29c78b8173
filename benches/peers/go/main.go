// The workloads by Go: `prog WORKLOAD [--procs N] [--n SIZE]` prints one JSON
// line, as the Rust programs beside it do.
//
//	main.go       the command line, the choice of a workload, the JSON line
//	measure.go    a timed region, what came of it, percentiles, memory
//	work.go       what tasks compute; the ticker
//	workloads.go  goroutines, sleeps, memory
//	channels.go   channels and a lock
//	sync.go       locks and their kin, contexts, timers
//	patterns.go   programs made of goroutines and channels
//	servers.go    servers, which another program drives
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
)

// A workload is one row of the table.
type workload struct {
	name string
	size int // if none is asked for
	run  func(task) outcome
}

var workloads = slices.Concat(taskWorkloads, channelWorkloads, syncWorkloads, patternWorkloads)

// A task is what a workload is asked to do.
type task struct {
	procs int
	n     int
}

// warmed runs pass at a tenth of the size, then in full; that counts.
func (t task) warmed(pass func(n int) outcome) outcome {
	pass(tenth(t.n))
	return pass(t.n)
}

func tenth(n int) int { return max(n/10, 1) }

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		list()
		return
	}
	if len(os.Args) < 2 {
		fail("no workload given; --list names them")
	}
	name := os.Args[1]
	options := flag.NewFlagSet("peers", flag.ExitOnError)
	procs := options.Int("procs", 2, "how many run at once")
	n := options.Int("n", 0, "the size, instead of the workload's own")
	port := options.Int("port", 0, "where a server listens; 0 is any")
	options.Parse(os.Args[2:])
	if *procs < 1 || *n < 0 || options.NArg() > 0 {
		fail("--procs and --n take positive numbers, and nothing follows")
	}

	runtime.GOMAXPROCS(*procs)
	for _, w := range workloads {
		if w.name == name {
			if *n == 0 {
				*n = w.size
			}
			report(name, *procs, w.run(task{*procs, *n}))
			return
		}
	}
	for _, s := range servers {
		if s.name == name {
			if *n == 0 {
				*n = s.size
			}
			s.run(task{*procs, *n}, *port)
			return
		}
	}
	fail("no workload " + name + " here; --list names them")
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(2)
}

func list() {
	for _, w := range workloads {
		tenth := tenth(w.size)
		if w.name == "fork_join" { // its size is an exponent, more or less
			tenth = w.size - 5
		}
		fmt.Println(w.name, w.size, tenth)
	}
	for _, s := range servers {
		fmt.Println(s.name, s.size, tenth(s.size))
	}
}

func report(name string, procs int, o outcome) {
	line := map[string]any{
		"impl":      "go",
		"bench":     name,
		"procs":     procs,
		"ops":       o.ops,
		"ns_per_op": float64(o.wall.Nanoseconds()) / float64(o.ops),
		"wall_ms":   ms(o.wall),
		"cpu_ms":    ms(o.cpu),
	}
	for name, value := range o.extras {
		line[name] = value
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		fail(err.Error())
	}
}
