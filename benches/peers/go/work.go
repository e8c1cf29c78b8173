package main

import (
	"runtime"
	"slices"
	"time"
)

// fork_join spawns for arguments above this.
const cutoff = 5

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

// forkJoinTasks is how many tasks fork_join spawns for n.
func forkJoinTasks(n int) int {
	if n <= cutoff {
		return 0
	}
	return 1 + forkJoinTasks(n-1) + forkJoinTasks(n-2)
}

// sleeps gives how long task after task of sleep_many sleeps: 1 to 100 ms.
func sleeps() func() time.Duration {
	x := uint64(42)
	return func() time.Duration {
		x = x*6364136223846793005 + 1442695040888963407
		return time.Duration(1+(x>>33)%100) * time.Millisecond
	}
}

// A hog is arithmetic for about a given time: no clock, call or yield inside.
type hog struct{ times uint64 }

// hogOf tries beforehand how many rounds take so long.
func hogOf(wanted time.Duration) hog {
	const tried = 10_000_000
	best := time.Duration(1<<63 - 1)
	for range 15 {
		start := time.Now()
		hog{tried}.run()
		best = min(best, time.Since(start))
	}
	return hog{uint64(tried * wanted.Seconds() / best.Seconds())}
}

// run computes; when it was done.
func (h hog) run() time.Time {
	x := xorshift(88172645463325252, h.times)
	runtime.KeepAlive(x)
	return time.Now()
}

//go:noinline
func xorshift(x, times uint64) uint64 {
	for range times {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// A ticker is the diary of a task that should wake every millisecond. A tick
// missed is skipped.
type ticker struct {
	origin time.Time
	ticks  []tick
}

type tick struct{ due, at time.Time }

func newTicker() *ticker {
	return &ticker{time.Now(), make([]tick, 0, 200_000)}
}

// next is the next tick, and how long to sleep until it.
func (t *ticker) next() (due time.Time, rest time.Duration) {
	now := time.Now()
	passed := now.Sub(t.origin) / time.Millisecond
	due = t.origin.Add((passed + 1) * time.Millisecond)
	return due, due.Sub(now)
}

func (t *ticker) woke(due time.Time) {
	t.ticks = append(t.ticks, tick{due, time.Now()})
}

// report adds, as of hogs that ran from start to end: ticks_nominal, ticks,
// ticks_share; their lateness p50_us, p99_us, max_us; p99_after_20ms_us of those due later
// than that; longest_gap_ms without a tick.
func (t *ticker) report(start, end time.Time, o outcome) outcome {
	settledFrom := start.Add(20 * time.Millisecond)
	last, longest := start, time.Duration(0)
	var late, settled []int64
	for _, tick := range t.ticks {
		if tick.due.Before(start) || tick.at.After(end) {
			continue
		}
		ns := tick.at.Sub(tick.due).Nanoseconds()
		late = append(late, ns)
		if !tick.due.Before(settledFrom) {
			settled = append(settled, ns)
		}
		longest = max(longest, tick.at.Sub(last))
		last = tick.at
	}
	longest = max(longest, end.Sub(last))

	o.wall = end.Sub(start) // the hogs' time, not that of joining them
	nominal := int(o.wall / time.Millisecond)
	o.extras["ticks_nominal"] = nominal
	o.extras["ticks"] = len(late)
	o.extras["ticks_share"] = float64(len(late)) / float64(nominal)
	o = o.percentiles(late)
	slices.Sort(settled)
	o.extras["p99_after_20ms_us"] = us(settled, 0.99)
	o.extras["longest_gap_ms"] = ms(longest)
	return o
}
