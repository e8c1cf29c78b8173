package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A region is timed from begin to end.
type region struct {
	cpu   time.Duration
	start time.Time
}

func begin() region {
	cpu := cpuTime()
	return region{cpu, time.Now()}
}

func (r region) end(ops int) outcome {
	wall := time.Since(r.start)
	return outcome{ops, wall, cpuTime() - r.cpu, map[string]any{}}
}

// An outcome is what a workload measured.
type outcome struct {
	ops    int
	wall   time.Duration
	cpu    time.Duration
	extras map[string]any // fields that only some workloads have
}

// percentiles adds p50_us, p99_us and max_us: null if there are none.
func (o outcome) percentiles(ns []int64) outcome {
	slices.Sort(ns)
	o.extras["p50_us"] = us(ns, 0.50)
	o.extras["p99_us"] = us(ns, 0.99)
	o.extras["max_us"] = us(ns, 1)
	return o
}

// us is the smallest of the sorted ns that at least share of them do not
// exceed.
func us(sorted []int64, share float64) any {
	if len(sorted) == 0 {
		return nil
	}
	rank := int(math.Ceil(float64(len(sorted)) * share))
	return float64(sorted[max(rank, 1)-1]) / 1e3
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// cpuTime is the user and system time of all threads so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Bytes in use.
type memory struct {
	resident   int64
	pageTables int64
}

func memoryNow() memory {
	statm, err := os.ReadFile("/proc/self/statm")
	check(err)
	var size, resident int64
	_, err = fmt.Sscan(string(statm), &size, &resident)
	check(err)

	status, err := os.ReadFile("/proc/self/status")
	check(err)
	_, after, _ := strings.Cut(string(status), "VmPTE:")
	var pageTables int64
	_, err = fmt.Sscan(after, &pageTables)
	check(err)
	return memory{resident * int64(os.Getpagesize()), pageTables * 1024}
}

// perTask adds by how much m is more than before, for each of n tasks.
func (m memory) perTask(before memory, n int, o outcome) outcome {
	o.extras["bytes_per_task"] = float64(m.resident-before.resident) / float64(n)
	o.extras["page_table_bytes_per_task"] = float64(m.pageTables-before.pageTables) / float64(n)
	return o
}

// threads is how many threads this process has. Go keeps idle ones: it is
// also the most there were.
func threads() int {
	// One link for each thread, besides the directory's own two.
	var info syscall.Stat_t
	check(syscall.Stat("/proc/self/task", &info))
	return int(info.Nlink) - 2
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
