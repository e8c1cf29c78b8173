//! A place where goroutines wait for each other to arrive.

use super::wait_queue::{Entry, Until, WaitQueue, Waiters, Woken, wait};
use crate::shim::{Mutex, Reason, checkpoint};
use std::fmt;

/// Lets nobody on until so many have come; then it is as new, for the next
/// round. The methods are those of `std::sync::Barrier`.
///
/// # Blocking
/// `wait` parks until the last one comes; on a plain OS thread it blocks the
/// thread.
///
/// # Examples
/// ```
/// use raddle::sync::Barrier;
///
/// let barrier = Barrier::new(4);
/// let leaders = raddle::scope(|s| {
///     let weavers: Vec<_> = (0..4).map(|_| s.spawn(|| barrier.wait().is_leader())).collect();
///     weavers.into_iter().filter_map(|it| it.join().ok()).filter(|it| *it).count()
/// });
/// assert_eq!(leaders, 1);
/// ```
///
/// # Go
/// None; a `sync.WaitGroup` does for one round.
pub struct Barrier {
    size: usize,
    arrived: Mutex<Arrived>,
}

/// Those who wait are counted: who is ended while it waits has not come.
struct Arrived {
    count: usize,
    queue: WaitQueue,
}

impl Waiters for Arrived {
    fn queue(&mut self) -> &mut WaitQueue {
        &mut self.queue
    }

    fn gave_up(&mut self) -> Woken {
        self.count -= 1;
        Woken::default()
    }
}

/// Says who came last.
///
/// # Blocking
/// Never.
///
/// # Go
/// None.
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for one of each round: the last that came.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// For `size` to wait for each other. With 0 and 1 nobody waits.
    #[cfg(not(raddle_model))]
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self {
            size,
            arrived: Mutex::new(Arrived {
                count: 0,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// For `size` to wait for each other.
    #[cfg(raddle_model)]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            arrived: Mutex::new(Arrived {
                count: 0,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Waits until all have come.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    pub fn wait(&self) -> BarrierWaitResult {
        checkpoint();
        let mut arrived = self.arrived.lock();
        if arrived.count + 1 < self.size {
            arrived.count += 1;
            // What a barrier is made of in Go.
            let entry = Entry::last(Reason::CondWait, Until::Woken);
            let _woken = wait(&self.arrived, arrived, entry);
            return BarrierWaitResult(false);
        }
        arrived.count = 0;
        let woken = arrived.queue.take_all();
        drop(arrived);
        woken.wake();
        BarrierWaitResult(true)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Barrier;
    use crate::shim::model;
    use raddle_scheduler::model::{Arc, spawn};

    /// Two rounds of two: nobody is left behind, and each round has a leader.
    #[test]
    fn rounds_follow_each_other() {
        model(|| {
            let barrier = Arc::new(Barrier::new(2));
            let two_rounds = |barrier: &Barrier| [(); 2].map(|()| barrier.wait().is_leader());
            let other = spawn({
                let barrier = barrier.clone();
                move || two_rounds(&barrier)
            });
            let mine = two_rounds(&barrier);
            let other = other.join().unwrap();
            assert_eq!(mine.map(|it| !it), other);
        });
    }
}
