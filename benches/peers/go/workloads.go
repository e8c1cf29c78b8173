package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var taskWorkloads = []workload{
	{"spawn_join", 1_000_000, spawnJoin},
	{"spawn_join_b10k", 1_000_000, spawnJoinB10k},
	{"yield", 2_000_000, yield},
	{"sleep_many", 100_000, sleepMany},
	{"sleep_precision", 2000, sleepPrecision},
	{"parked_memory", 1_000_000, parkedMemory},
	{"unstarted_memory", 10_000, unstartedMemory},
	{"fork_join", 27, forkJoin},
	{"blocking", 256, blocking},
	{"hog_latency", 2000, hogLatency},
	{"hog_many", 1000, hogMany},
}

// 1: spawn_join

func spawnAndWait(n int) {
	var group sync.WaitGroup
	group.Add(n)
	for range n {
		go group.Done()
	}
	group.Wait()
}

func spawnJoin(t task) outcome {
	return t.warmed(func(n int) outcome {
		r := begin()
		spawnAndWait(n)
		return r.end(n)
	})
}

func spawnJoinB10k(t task) outcome {
	const round = 10_000
	return t.warmed(func(n int) outcome {
		rounds := max(n/round, 1)
		r := begin()
		for range rounds {
			spawnAndWait(round)
		}
		return r.end(rounds * round)
	})
}

// 9: yield

func yield(t task) outcome {
	return t.warmed(func(n int) outcome {
		var group sync.WaitGroup
		r := begin()
		for range 2 {
			group.Go(func() {
				for range n {
					runtime.Gosched()
				}
			})
		}
		group.Wait()
		return r.end(2 * n)
	})
}

// 10, 11: sleep

func sleepMany(t task) outcome {
	return t.warmed(func(n int) outcome {
		late := make([]int64, n)
		next := sleeps()
		var group sync.WaitGroup
		r := begin()
		group.Add(n)
		for i := range n {
			asked := next()
			go func() {
				start := time.Now()
				time.Sleep(asked)
				late[i] = int64(time.Since(start) - asked)
				group.Done()
			}()
		}
		group.Wait()
		return r.end(n).percentiles(late)
	})
}

func sleepPrecision(t task) outcome {
	const asked = 100 * time.Microsecond
	return t.warmed(func(n int) outcome {
		late := make([]int64, n)
		r := begin()
		for i := range n {
			start := time.Now()
			time.Sleep(asked)
			late[i] = int64(time.Since(start) - asked)
		}
		return r.end(n).percentiles(late)
	})
}

// 13: parked_memory, unstarted_memory

func parkedMemory(t task) outcome {
	n := t.n
	gate := make(chan struct{})
	var started, ended sync.WaitGroup
	started.Add(n)
	ended.Add(n)
	before := memoryNow()

	spawning := begin()
	for range n {
		go func() {
			started.Done()
			<-gate
			ended.Done()
		}()
	}
	started.Wait()
	spawn := spawning.end(n)

	time.Sleep(50 * time.Millisecond)
	parked := memoryNow()

	releasing := begin()
	close(gate)
	ended.Wait()
	release := releasing.end(n)

	whole := outcome{n, spawn.wall + release.wall, spawn.cpu + release.cpu, map[string]any{}}
	whole.extras["spawn_ms"] = ms(spawn.wall)
	whole.extras["release_ms"] = ms(release.wall)
	return parked.perTask(before, n, whole)
}

// unstartedMemory: so many that have not run, at one time. Go preempts the
// spawner, and others run: they end, and another is spawned for each. As all
// of them run then, no more are possible than can be spawned in 10 ms.
func unstartedMemory(t task) outcome {
	var ran atomic.Int64
	spawned, n := int64(0), int64(t.n)
	before := memoryNow()
	r := begin()
	var after memory
	for {
		for spawned-ran.Load() < n {
			go ran.Add(1)
			spawned++
		}
		after = memoryNow()
		if spawned-ran.Load() == n {
			break
		}
	}
	whole := r.end(t.n)
	whole.extras["ran_early"] = spawned - n
	for ran.Load() < spawned {
		time.Sleep(time.Millisecond)
	}
	return after.perTask(before, t.n, whole)
}

// 14: fork_join

func forked(n int) int {
	if n <= cutoff {
		return fib(n)
	}
	other := make(chan int, 1)
	go func() { other <- forked(n - 1) }()
	own := forked(n - 2)
	return own + <-other
}

func forkJoin(t task) outcome {
	forked(min(t.n, 23))
	r := begin()
	result := forked(t.n)
	whole := r.end(forkJoinTasks(t.n))
	if result != fib(t.n) {
		panic("a wrong number")
	}
	whole.extras["tasks_per_s"] = float64(whole.ops) / whole.wall.Seconds()
	return whole
}

// 17: blocking

func blocking(t task) outcome {
	blocked := syscall.NsecToTimespec(int64(10 * time.Millisecond))
	var group sync.WaitGroup
	r := begin()
	for range t.n {
		group.Go(func() {
			// Runtime signals may end it early.
			for rest := blocked; syscall.Nanosleep(&rest, &rest) == syscall.EINTR; {
			}
		})
	}
	group.Wait()
	return r.end(t.n)
}

// 18: hog_latency, hog_many

func hogs(n int, h hog) outcome {
	var stop atomic.Bool
	diary := newTicker()
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for !stop.Load() {
			due, rest := diary.next()
			time.Sleep(rest)
			diary.woke(due)
		}
	})
	time.Sleep(10 * time.Millisecond)

	ends := make([]time.Time, n)
	var group sync.WaitGroup
	r := begin()
	for i := range n {
		group.Go(func() { ends[i] = h.run() })
	}
	group.Wait()
	whole := r.end(n)
	stop.Store(true)
	ticking.Wait()

	end := r.start
	for _, at := range ends {
		if at.After(end) {
			end = at
		}
	}
	whole = diary.report(r.start, end, whole)
	whole.extras["threads_peak"] = threads()
	return whole
}

func hogLatency(t task) outcome {
	return hogs(t.procs, hogOf(time.Duration(t.n)*time.Millisecond))
}

func hogMany(t task) outcome {
	return hogs(t.n, hogOf(50*time.Millisecond))
}
