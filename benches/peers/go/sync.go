package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Package sync, package context, timers.

const permits = 2 // of the semaphore
const hour = time.Hour

var syncWorkloads = []workload{
	{"rwlock", 1_000_000, rwlock},
	{"semaphore", 500_000, semaphore},
	{"semaphore_held", 100_000, semaphoreHeld},
	{"wait_group", 1_000_000, waitGroup},
	{"wait_group_shared", 1_000_000, waitGroupShared},
	{"once", 10_000_000, once},
	{"context", 100_000, contextTree},
	{"context_each", 1_000_000, contextEach},
	{"timers_stop", 1_000_000, timersStop},
	{"timers_func", 1_000_000, timersFunc},
	{"timers_reset", 100_000, timersReset},
	{"timers_func_reset", 100_000, timersFuncReset},
}

// contend lets all contenders do their work, n operations each.
func contend(n int, work func()) outcome {
	var group sync.WaitGroup
	r := begin()
	for range contenders {
		group.Go(work)
	}
	group.Wait()
	return r.end(contenders * n)
}

// rwlock: contenders read what one writes, each n times.
func rwlock(t task) outcome {
	return t.warmed(func(n int) outcome {
		var group sync.WaitGroup
		var count struct {
			sync.RWMutex
			a, b int
		}
		r := begin()
		for range contenders {
			group.Go(func() {
				for range n {
					count.RLock()
					expect(count.a, count.b)
					count.RUnlock()
				}
			})
		}
		group.Go(func() {
			for range n {
				count.Lock()
				count.a++
				count.b++
				count.Unlock()
			}
		})
		group.Wait()
		o := r.end((contenders + 1) * n)
		expect(count.a, n)
		return o
	})
}

// A channel's buffer is the standard library's semaphore.
func semaphore(t task) outcome {
	return t.warmed(func(n int) outcome {
		free := make(chan struct{}, permits)
		o := contend(n, func() {
			for range n {
				free <- struct{}{}
				<-free
			}
		})
		expect(len(free), 0)
		return o
	})
}

// semaphoreHeld: others come while the permits are taken.
func semaphoreHeld(t task) outcome {
	return t.warmed(func(n int) outcome {
		free := make(chan struct{}, permits)
		var inside atomic.Int64
		o := contend(n, func() {
			for range n {
				free <- struct{}{}
				if inside.Add(1) > permits {
					panic("too many")
				}
				runtime.Gosched()
				inside.Add(-1)
				<-free
			}
		})
		expect(len(free), 0)
		return o
	})
}

// waitGroup: each has a group of its own.
func waitGroup(t task) outcome {
	return t.warmed(func(n int) outcome {
		return contend(n, func() {
			var group sync.WaitGroup
			for range n {
				group.Add(1)
				group.Done()
				group.Wait()
			}
		})
	})
}

// waitGroupShared: all are members of one group.
func waitGroupShared(t task) outcome {
	return t.warmed(func(n int) outcome {
		var group sync.WaitGroup
		group.Add(1)
		return contend(n, func() {
			for range n {
				group.Add(1)
				group.Done()
			}
		})
	})
}

func once(t task) outcome {
	return t.warmed(func(n int) outcome {
		var first sync.Once
		made := 0
		o := contend(n, func() {
			for range n {
				first.Do(func() { made++ })
			}
		})
		expect(made, 1)
		return o
	})
}

// contextTree: the children of one root, and its end.
func contextTree(t task) outcome {
	return t.warmed(func(n int) outcome {
		children := make([]context.Context, n)
		r := begin()
		root, cancel := context.WithCancel(context.Background())
		for i := range children {
			children[i], _ = context.WithCancel(root)
		}
		creating := time.Since(r.start)
		cancel()
		o := r.end(n)
		for _, child := range children {
			if child.Err() == nil {
				panic("one goes on")
			}
		}
		o.extras["create_ms"] = ms(creating)
		o.extras["cancel_ms"] = ms(o.wall - creating)
		return o
	})
}

// contextEach: one child after the other, each ended by itself.
func contextEach(t task) outcome {
	return t.warmed(func(n int) outcome {
		root, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := begin()
		for range n {
			child, cancel := context.WithCancel(root)
			cancel()
			if child.Err() == nil {
				panic("it goes on")
			}
		}
		return r.end(n)
	})
}

// stopped: all are pending at once, and then no more.
func stopped(n int, start func() *time.Timer) outcome {
	timers := make([]*time.Timer, n)
	r := begin()
	for i := range timers {
		timers[i] = start()
	}
	for _, timer := range timers {
		if !timer.Stop() {
			panic("it fired")
		}
	}
	return r.end(n)
}

func newTimer() *time.Timer { return time.NewTimer(hour) }

func newFunc() *time.Timer { return time.AfterFunc(hour, func() { panic("it fired") }) }

func timersStop(t task) outcome {
	return t.warmed(func(n int) outcome { return stopped(n, newTimer) })
}

func timersFunc(t task) outcome {
	return t.warmed(func(n int) outcome { return stopped(n, newFunc) })
}

const resets = 10 // of each timer

// reset: all are pending, and set anew one after the other.
func reset(n int, start func() *time.Timer) outcome {
	timers := make([]*time.Timer, n)
	for i := range timers {
		timers[i] = start()
	}
	r := begin()
	for range resets {
		for _, timer := range timers {
			if !timer.Reset(hour) {
				panic("it fired")
			}
		}
	}
	o := r.end(n * resets)
	for _, timer := range timers {
		timer.Stop()
	}
	return o
}

func timersReset(t task) outcome {
	return t.warmed(func(n int) outcome { return reset(n, newTimer) })
}

func timersFuncReset(t task) outcome {
	return t.warmed(func(n int) outcome { return reset(n, newFunc) })
}
