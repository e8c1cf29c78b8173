package main

import "sync"

// Channels and a lock.

const (
	capacity   = 128  // of buffered channels
	crowd      = 4    // how many producers, or consumers, share a channel
	contenders = 8    // how many want the one lock of mutex_contended
	ringSize   = 1000 // how many stand in the ring
)

var channelWorkloads = []workload{
	{"pingpong_unbuf", 1_000_000, pingpongUnbuf},
	{"ring", 1_000_000, ring},
	{"chan_spsc_buf", 5_000_000, chanSpscBuf},
	{"chan_mpmc_buf", 4_000_000, chanMpmcBuf},
	{"chan_spsc_unbuf", 2_000_000, chanSpscUnbuf},
	{"select_fanin", 1_000_000, selectFanin},
	{"mutex_contended", 500_000, mutexContended},
}

// sumBelow is 0 + 1 + ... up to n, without it: what all messages together
// should be.
func sumBelow(n int) int { return n * (n - 1) / 2 }

func expect(got, want int) {
	if got != want {
		panic("a wrong number")
	}
}

// 2: pingpong_unbuf

func pingpongUnbuf(t task) outcome {
	return t.warmed(func(n int) outcome {
		r := begin()
		ping, pong := make(chan int), make(chan int)
		go func() {
			for ball := range ping {
				pong <- ball
			}
			close(pong)
		}()
		for ball := range n {
			ping <- ball
			expect(<-pong, ball)
		}
		close(ping)
		<-pong
		return r.end(n)
	})
}

// 3: ring

func ring(t task) outcome {
	return t.warmed(func(n int) outcome {
		arrived := make(chan struct{})
		var group sync.WaitGroup
		first := make(chan int)
		last := first
		for i := range ringSize {
			from, to := last, first
			if i < ringSize-1 {
				to = make(chan int)
			}
			group.Go(func() { passOn(from, to, arrived) })
			last = to
		}

		r := begin()
		first <- n
		<-arrived
		o := r.end(n)

		// The last one has left: so does the next, and so on.
		group.Wait()
		return o
	})
}

// passOn passes the token on, until it has made its hops.
func passOn(from <-chan int, to chan<- int, arrived chan<- struct{}) {
	for hopsLeft := range from {
		if hopsLeft == 0 {
			close(arrived)
			break
		}
		to <- hopsLeft - 1
	}
	close(to)
}

// 4, 5, 6: chan_*

func produce(to chan<- int, n int) {
	for message := range n {
		to <- message
	}
}

func consume(from <-chan int, sum *int) {
	own := 0
	for message := range from {
		own += message
	}
	*sum = own
}

func oneToOne(n, capacity int) outcome {
	var group sync.WaitGroup
	var sum int
	r := begin()
	messages := make(chan int, capacity)
	group.Go(func() {
		produce(messages, n)
		close(messages)
	})
	group.Go(func() { consume(messages, &sum) })
	group.Wait()
	o := r.end(n)
	expect(sum, sumBelow(n))
	return o
}

func chanSpscBuf(t task) outcome {
	return t.warmed(func(n int) outcome { return oneToOne(n, capacity) })
}

func chanSpscUnbuf(t task) outcome {
	return t.warmed(func(n int) outcome { return oneToOne(n, 0) })
}

func chanMpmcBuf(t task) outcome {
	return t.warmed(func(n int) outcome {
		each := n / crowd
		var producers, consumers sync.WaitGroup
		var sums [crowd]int
		r := begin()
		messages := make(chan int, capacity)
		for i := range crowd {
			producers.Go(func() { produce(messages, each) })
			consumers.Go(func() { consume(messages, &sums[i]) })
		}
		producers.Wait()
		close(messages)
		consumers.Wait()
		o := r.end(crowd * each)
		sum := 0
		for _, own := range sums {
			sum += own
		}
		expect(sum, crowd*sumBelow(each))
		return o
	})
}

// 7: select_fanin

func selectFanin(t task) outcome {
	return t.warmed(func(n int) outcome {
		each := n / crowd
		var group sync.WaitGroup
		r := begin()
		done := make(chan struct{})
		producer := func() <-chan int {
			messages := make(chan int)
			group.Go(func() { produce(messages, each) })
			return messages
		}
		a, b, c, d := producer(), producer(), producer(), producer()
		sum := 0
		group.Go(func() {
			own, message := 0, 0
			for range crowd * each {
				select {
				case message = <-a:
				case message = <-b:
				case message = <-c:
				case message = <-d:
				case <-done:
					panic("nobody says so")
				}
				own += message
			}
			sum = own
		})
		group.Wait()
		o := r.end(crowd * each)
		expect(sum, crowd*sumBelow(each))
		return o
	})
}

// 8: mutex_contended

func mutexContended(t task) outcome {
	return t.warmed(func(n int) outcome {
		var group sync.WaitGroup
		var count struct {
			sync.Mutex
			n int
		}
		r := begin()
		for range contenders {
			group.Go(func() {
				for range n {
					count.Lock()
					count.n++
					count.Unlock()
				}
			})
		}
		group.Wait()
		o := r.end(contenders * n)
		expect(count.n, contenders*n)
		return o
	})
}
