package main

import (
	"sync"
	"sync/atomic"
)

// Programs made of goroutines and channels.

const (
	children  = 10     // of a node of skynet
	smallTree = 10_000 // leaves of each tree of skynet_10k
	workers   = 64     // of worker_pool
)

var patternWorkloads = []workload{
	{"skynet", 1_000_000, skynet(0)},
	{"skynet_cap10", 1_000_000, skynet(children)},
	{"skynet_10k", 100_000, skynet10k},
	{"sieve", 2000, sieve},
	{"select_done_1", 1_000_000, selectDone(1)},
	{"select_done_4", 1_000_000, selectDone(4)},
	{"select_done_16", 1_000_000, selectDone(16)},
	{"select_done_64", 1_000_000, selectDone(64)},
	{"worker_pool", 1_000_000, workerPool},
}

// 12: skynet

// node sends up the sum of size leaves.
func node(up chan<- int, first, size, capacity int) {
	if size == 1 {
		up <- first
		return
	}
	sums := make(chan int, capacity)
	each := size / children
	for child := range children {
		go node(sums, first+child*each, each, capacity)
	}
	sum := 0
	for range children {
		sum += <-sums
	}
	up <- sum
}

func trees(trees, leaves, capacity int) outcome {
	r := begin()
	for range trees {
		sum := make(chan int, capacity)
		go node(sum, 0, leaves, capacity)
		expect(<-sum, sumBelow(leaves))
	}
	o := r.end(trees * leaves)
	o.extras["total_ms"] = ms(o.wall) / float64(trees)
	return o
}

func skynet(capacity int) func(task) outcome {
	return func(t task) outcome {
		return t.warmed(func(n int) outcome { return trees(1, n, capacity) })
	}
}

func skynet10k(t task) outcome {
	return t.warmed(func(n int) outcome {
		leaves := min(n, smallTree)
		return trees(n/leaves, leaves, 0)
	})
}

// 15: sieve

func sieve(t task) outcome {
	return t.warmed(func(n int) outcome {
		var group sync.WaitGroup
		var stop atomic.Bool
		r := begin()
		last := make(chan int)
		group.Go(func() { generate(last, &stop) })
		largest := 0
		for range n {
			prime, from, to := <-last, last, make(chan int)
			group.Go(func() { filter(prime, from, to) })
			largest, last = prime, to
		}
		stop.Store(true)
		for range last {
		}
		group.Wait()
		o := r.end(n)
		expect(largest, nthPrime(n))
		return o
	})
}

func generate(to chan<- int, stop *atomic.Bool) {
	for number := 2; !stop.Load(); number++ {
		to <- number
	}
	close(to)
}

func filter(prime int, from <-chan int, to chan<- int) {
	for number := range from {
		if number%prime != 0 {
			to <- number
		}
	}
	close(to)
}

// nthPrime is the nth prime: 2 is the first.
func nthPrime(n int) int {
	var primes []int
	for candidate := 2; len(primes) < n; candidate++ {
		if isPrime(candidate, primes) {
			primes = append(primes, candidate)
		}
	}
	return primes[n-1]
}

func isPrime(candidate int, smaller []int) bool {
	for _, prime := range smaller {
		if prime*prime > candidate {
			break
		}
		if candidate%prime == 0 {
			return false
		}
	}
	return true
}

// 15b: select_done

func selectDone(receivers int) func(task) outcome {
	return func(t task) outcome {
		return t.warmed(func(n int) outcome {
			each := n / receivers
			var group sync.WaitGroup
			sums := make([]int, receivers)
			r := begin()
			done := make(chan struct{})
			for i := range receivers {
				messages := make(chan int)
				group.Go(func() {
					produce(messages, each)
					close(messages)
				})
				group.Go(func() { sums[i] = consumeUntil(done, messages) })
			}
			group.Wait()
			o := r.end(receivers * each)
			sum := 0
			for _, own := range sums {
				sum += own
			}
			expect(sum, receivers*sumBelow(each))
			return o
		})
	}
}

func consumeUntil(done <-chan struct{}, from <-chan int) int {
	sum := 0
	for {
		select {
		case message, ok := <-from:
			if !ok {
				return sum
			}
			sum += message
		case <-done:
			panic("nobody says so")
		}
	}
}

// 16: worker_pool

func workerPool(t task) outcome {
	return t.warmed(func(n int) outcome {
		jobs, results := make(chan int, capacity), make(chan int, capacity)
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for job := range jobs {
					results <- 2 * job
				}
			})
		}

		r := begin()
		go func() {
			produce(jobs, n)
			close(jobs)
			group.Wait()
			close(results)
		}()
		sum, count := 0, 0
		for result := range results {
			sum += result
			count++
		}
		o := r.end(n)
		expect(count, n)
		expect(sum, 2*sumBelow(n))
		return o
	})
}
