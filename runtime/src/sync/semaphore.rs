//! So many permits, shared out in the order of asking.

use super::coming::{Luck, let_them_run};
use super::spin::Spin;
use super::wait_queue::{Entry, Until, WaitQueue, Waiters, Woken, wait_after};
#[cfg(not(raddle_model))]
use crate::context::{AfterFunc, Context, ContextError};
use crate::shim::{AtomicU32, Mutex, Reason, Relaxed, WOKEN, checkpoint, clock, look_point};
use std::fmt;
use std::sync::Arc;

/// So many permits; who acquires some waits until they are there.
///
/// Requests are served in the order of their coming: while a large one waits
/// for enough permits, small ones behind it wait too, and `try_acquire` gives
/// none. A request for more than there are in all waits for ever, and holds up
/// nobody. Clones share the permits.
///
/// # Blocking
/// `acquire` parks; on a plain OS thread it blocks the thread. `try_acquire`,
/// and dropping a permit, never block.
///
/// # Examples
/// ```
/// use raddle::sync::{Semaphore, WaitGroup};
///
/// raddle::run(|| {
///     let looms = Semaphore::new(2);
///     let weavers = WaitGroup::new();
///     for _ in 0..10 {
///         // Before the goroutine: so no more than two are ever there.
///         let loom = looms.acquire(1);
///         weavers.go(move || {
///             let _loom = loom;
///             raddle::yield_now();
///         });
///     }
///     weavers.wait();
///     assert!(looms.try_acquire(2).is_some());
/// });
/// ```
///
/// # Go
/// `golang.org/x/sync/semaphore.Weighted`; releasing is the permit's drop.
#[derive(Clone)]
pub struct Semaphore {
    inner: Arc<Inner>,
}

/// Permits of a [`Semaphore`], given back when it is dropped. It may be sent
/// to another goroutine, and outlive the semaphore.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// None: `Release` is a call there.
#[must_use = "dropped at once, it is given back at once"]
pub struct Permit {
    inner: Arc<Inner>,
    count: usize,
}

/// The outcome of a wait that somebody else gave up.
const REFUSED: u32 = WOKEN + 1;

struct Inner {
    total: usize,
    line: Mutex<Line>,
    /// How many of those served have run since: see `Line::served`.
    came: AtomicU32,
    /// Of requests that let others run.
    luck: Luck,
    /// Of those who ask for more than the total.
    hopeless: Mutex<WaitQueue>,
}

/// No further turn is given to others when so much time has passed.
const STEP_BACK_NS: u64 = 2_000;

/// Invariants
/// 1. Whoever is first in line asks for more than is free, or has ended its
///    wait otherwise: whatever changes either serves those who are due.
/// 2. Nobody in line asks for more than the total.
struct Line {
    free: usize,
    queue: WaitQueue,
    /// The last one given out.
    ticket: u64,
    /// How many have been given permits in line. Those who have not come
    /// since hold them and do not run.
    served: u32,
}

impl Line {
    /// Gives permits to those who come first, as far as they go.
    fn serve(&mut self) -> Woken {
        let mut woken = Woken::default();
        while let Some(request) = self.queue.first_request() {
            if request > self.free {
                break;
            }
            if self.queue.wake_front(&mut woken) {
                self.free -= request;
                self.served = self.served.wrapping_add(1);
            }
        }
        woken
    }

    fn take(&mut self, count: usize) -> bool {
        let is_there = count <= self.free && self.queue.is_empty();
        if is_there {
            self.free -= count;
        }
        is_there
    }
}

impl Waiters for Line {
    fn queue(&mut self) -> &mut WaitQueue {
        &mut self.queue
    }

    fn gave_up(&mut self) -> Woken {
        self.serve()
    }
}

impl Inner {
    /// Whether it has them. `then` runs if it must wait, once it can be
    /// refused.
    fn acquire(&self, count: usize, until: Until, then: impl FnOnce(u64)) -> bool {
        checkpoint();
        let mut line = self.line.lock();
        if line.take(count) {
            return true;
        }
        // ORDER: Relaxed: nothing is done for this number but to look again.
        let some_are_to_come = self.came.load(Relaxed) != line.served;
        if some_are_to_come && count <= self.total && self.luck.is_with_us() {
            drop(line);
            if self.luck.was(self.let_pass(count)) {
                return true;
            }
            line = self.line.lock();
            if line.take(count) {
                return true;
            }
        }
        line.ticket += 1;
        let ticket = line.ticket;
        let entry = Entry {
            request: count,
            ticket,
            ..Entry::last(Reason::SemAcquire, until)
        };
        let then = || then(ticket);
        let outcome = if count <= self.total {
            wait_after(&self.line, line, entry, then)
        } else {
            drop(line);
            wait_after(&self.hopeless, self.hopeless.lock(), entry, then)
        };
        let is_served = outcome == Some(WOKEN);
        if is_served {
            // ORDER: Relaxed: as above.
            self.came.fetch_add(1, Relaxed);
        }
        is_served
    }

    /// Lets others run, for a moment: those who have permits, and those next
    /// in line as they get them. Whether the caller has what it asks for.
    ///
    /// Where permits are kept for a moment only, all who use the semaphore may
    /// come to stand in line: who runs finds the permits given to others, who
    /// do not run, and would line up behind them, a park and a wake each time.
    /// If all step back once, the line is gone.
    #[cold]
    #[inline(never)]
    fn let_pass(&self, count: usize) -> bool {
        let mut spin = Spin::new();
        let begin = clock::now();
        loop {
            let_them_run();
            if self.line.lock().take(count) {
                return true;
            }
            if clock::now().saturating_sub(begin) >= STEP_BACK_NS || !spin.once() {
                return false;
            }
        }
    }

    fn refuse(&self, ticket: u64) {
        let mut line = self.line.lock();
        let refused = line.queue.take(ticket, REFUSED);
        let served = line.serve();
        drop(line);
        refused.wake();
        served.wake();
        let refused = self.hopeless.lock().take(ticket, REFUSED);
        refused.wake();
    }

    fn release(&self, count: usize) {
        let mut line = self.line.lock();
        line.free += count;
        let woken = line.serve();
        drop(line);
        woken.wake();
    }
}

impl Semaphore {
    /// With all `permits` free.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        let line = Mutex::new(Line {
            free: permits,
            queue: WaitQueue::new(),
            ticket: 0,
            served: 0,
        });
        Self {
            inner: Arc::new(Inner {
                total: permits,
                line,
                came: AtomicU32::new(0),
                luck: Luck::new(),
                hopeless: Mutex::new(WaitQueue::new()),
            }),
        }
    }

    /// Waits until `count` permits are free and nobody is before the caller,
    /// and takes them.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Go
    /// `Weighted.Acquire`.
    pub fn acquire(&self, count: usize) -> Permit {
        let _acquired = self.inner.acquire(count, Until::Woken, |_ticket| ());
        self.permit(count)
    }

    /// As `acquire`, until refused. `watch` is given the means to do so if it
    /// must wait, and must not park; what it returns is dropped after the wait.
    pub(crate) fn acquire_unless<W>(
        &self,
        count: usize,
        watch: impl FnOnce(Refusal) -> W,
    ) -> Option<Permit> {
        let mut watching = None;
        let acquired = self.inner.acquire(count, Until::Woken, |ticket| {
            let inner = self.inner.clone();
            watching = Some(watch(Refusal { inner, ticket }));
        });
        acquired.then(|| self.permit(count))
    }

    /// As [`acquire`](Semaphore::acquire), unless the context ends first.
    ///
    /// # Blocking
    /// Parks until they are free or the context is done.
    ///
    /// # Errors
    /// Why the context is done; at once, if it is already.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::{Context, ContextError};
    /// use raddle::sync::Semaphore;
    /// use std::time::Duration;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let (context, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let error = semaphore.acquire_ctx(&context, 2).unwrap_err();
    /// assert_eq!(error, ContextError::DeadlineExceeded);
    /// ```
    ///
    /// # Go
    /// `Weighted.Acquire`.
    #[cfg(not(raddle_model))]
    pub fn acquire_ctx(&self, context: &Context, count: usize) -> Result<Permit, ContextError> {
        if let Some(error) = context.err() {
            return Err(error);
        }
        self.acquire_unless(count, |refusal| {
            Stopped(context.after_func(move || refusal.refuse()))
        })
        .ok_or_else(|| context.err().unwrap_or(ContextError::Canceled))
    }

    /// Takes `count` permits if they are free and nobody waits for some.
    ///
    /// # Blocking
    /// Never; a call that fails may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    ///
    /// # Go
    /// `Weighted.TryAcquire`.
    #[must_use = "says whether they were there"]
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        let permit = self.take(count);
        if permit.is_none() {
            look_point();
        }
        permit
    }

    /// As `try_acquire`, and never yields.
    pub(crate) fn take(&self, count: usize) -> Option<Permit> {
        let is_there = self.inner.line.lock().take(count);
        is_there.then(|| self.permit(count))
    }

    /// Of permits just taken.
    fn permit(&self, count: usize) -> Permit {
        Permit {
            inner: self.inner.clone(),
            count,
        }
    }
}

/// The means to end one's wait in [`Semaphore::acquire_unless`].
pub(crate) struct Refusal {
    inner: Arc<Inner>,
    ticket: u64,
}

impl Refusal {
    /// Ends the wait, if it still is one.
    pub(crate) fn refuse(&self) {
        self.inner.refuse(self.ticket);
    }
}

/// What is to be done at a context's end no longer is when this goes.
#[cfg(not(raddle_model))]
struct Stopped(AfterFunc);

#[cfg(not(raddle_model))]
impl Drop for Stopped {
    fn drop(&mut self) {
        let _was_in_time = self.0.stop();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.inner.release(self.count);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("free", &self.inner.line.lock().free)
            .field("total", &self.inner.total)
            .finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Semaphore, Until};
    use crate::shim::{AtomicU32, Relaxed, clock, model};
    use raddle_scheduler::model::{Arc, spawn};

    /// Asks for so many, at the latest until a deadline if it has one.
    fn turn(semaphore: &Semaphore, taken: &AtomicU32, count: u32, is_hasty: bool) {
        let until = if is_hasty {
            Until::Deadline(clock::now() + 1)
        } else {
            Until::Woken
        };
        if semaphore.inner.acquire(count as usize, until, |_ticket| ()) {
            let permit = semaphore.permit(count as usize);
            // ORDER: Relaxed, both: the semaphore orders them.
            let others = taken.fetch_add(count, Relaxed);
            assert!(others + count <= 2);
            taken.fetch_sub(count, Relaxed);
            drop(permit);
        }
    }

    /// Requests for so many of two, at once; afterwards all are free.
    fn at_once(requests: [(u32, bool); 3]) {
        let semaphore = Semaphore::new(2);
        let taken = Arc::new(AtomicU32::new(0));
        let members = requests.map(|(count, is_hasty)| {
            let (semaphore, taken) = (semaphore.clone(), taken.clone());
            spawn(move || turn(&semaphore, &taken, count, is_hasty))
        });
        for member in members {
            member.join().unwrap();
        }
        let line = semaphore.inner.line.lock();
        assert_eq!(line.free, 2);
        assert!(line.queue.is_empty());
    }

    #[test]
    fn large_and_small_requests_are_all_served() {
        model(|| at_once([(1, false), (2, false), (1, false)]));
    }

    /// The large one gives up; small ones behind it go on.
    #[test]
    fn who_gives_up_holds_up_nobody() {
        model(|| at_once([(1, false), (2, true), (1, false)]));
    }

    #[test]
    fn permits_and_deadlines_meet() {
        model(|| at_once([(2, false), (2, true), (1, true)]));
    }

    /// Two stand in line, a large request first: it is served first, and what
    /// is free meanwhile is not taken by others.
    #[test]
    fn a_small_request_does_not_overtake_a_large_one() {
        model(|| {
            let semaphore = Semaphore::new(2);
            let permits = [(); 2].map(|()| semaphore.acquire(1));
            let served = Arc::new(AtomicU32::new(0));
            let waits = |count: usize| {
                let (semaphore, served) = (semaphore.clone(), served.clone());
                spawn(move || {
                    let _permit = semaphore.acquire(count);
                    // ORDER: Relaxed: the semaphore orders them.
                    served.fetch_add(1, Relaxed)
                })
            };
            let large = waits(2);
            let is_in_line = !semaphore.inner.line.lock().queue.is_empty();
            let small = waits(1);
            for permit in permits {
                drop(permit);
                if is_in_line {
                    let _none_or_all = semaphore.try_acquire(1);
                }
            }
            let (large, small) = (large.join().unwrap(), small.join().unwrap());
            assert!(!is_in_line || large < small);
        });
    }

    /// A large request is refused, perhaps while it is served; a small one
    /// behind it goes on. One above the total is refused for sure.
    #[test]
    fn a_refusal_ends_its_own_wait_and_no_other() {
        model(|| {
            let semaphore = Semaphore::new(2);
            let first = semaphore.acquire(1);
            let small = spawn({
                let semaphore = semaphore.clone();
                move || drop(semaphore.acquire(1))
            });
            let mut refuser = None;
            let large = semaphore.acquire_unless(2, |refusal| {
                refuser = Some(spawn(move || {
                    drop(first);
                    refusal.refuse();
                }));
            });
            drop(large);
            if let Some(refuser) = refuser {
                refuser.join().unwrap();
            }
            small.join().unwrap();
            let above = semaphore.acquire_unless(3, |refusal| refusal.refuse());
            assert!(above.is_none());
            assert_eq!(semaphore.inner.line.lock().free, 2);
        });
    }
}
