//! Goroutines as std has threads: spawn, handles, builder, scope.

use crate::start::{BIG_STACK, with_scheduler};
use raddle_chan::{Never, Receiver, bounded};
use raddle_scheduler::{
    self as scheduler, Goroutine, Join, Options, Reason, Scheduler, WOKEN, Wait, is_panic,
};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe, catch_unwind};
#[cfg(feature = "futures")]
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
#[cfg(feature = "futures")]
use std::task::{Context, Poll};
use std::thread;

/// Runs `f` in a new goroutine and gives a handle to its result;
/// [`go!`](crate::go!) is the short form.
///
/// The goroutine belongs to the runtime of the goroutine that calls; from
/// outside, to the default runtime, which starts if it has not yet. Dropping
/// the handle lets it go on detached. Once its runtime is being dropped, `f` is
/// dropped and not run, and `join` gives [`Shutdown`](crate::Shutdown).
///
/// # Blocking
/// Never.
///
/// # Panics
/// From outside any runtime, when the default runtime cannot start: a
/// `RADDLE_` variable has a bad value, or the system refuses a thread.
///
/// # Examples
/// ```
/// let sum = raddle::spawn(|| (1..=10).sum::<u32>());
/// assert_eq!(sum.join().unwrap(), 55);
/// ```
///
/// # Go
/// `go func() { .. }()`.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let site = Location::caller();
    with_scheduler(|scheduler| spawn_on(scheduler, site, f))
}

/// `scheduler` is the caller's own, that of a goroutine which waits for what
/// the caller is at, the default one, or kept by a Runtime that the caller
/// borrows: alive until the goroutine has ended.
#[inline]
pub(crate) fn spawn_on<F, T>(
    scheduler: &Scheduler,
    site: &'static Location<'static>,
    f: F,
) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: 1. and 2. by the bounds; 3. as said above.
    JoinHandle::new(unsafe { scheduler::spawn(scheduler, site, f, |_| {}) })
}

/// As `spawn_on`, with options.
pub(crate) fn spawn_with<F, T>(
    scheduler: &Scheduler,
    site: &'static Location<'static>,
    options: Options,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: as `spawn_on`.
    unsafe { scheduler::spawn_opt(scheduler, site, options, f, |_| {}) }.map(JoinHandle::new)
}

/// Runs `f` in a new goroutine that never leaves this OS thread, so nothing
/// of it needs to be `Send`.
///
/// # Blocking
/// Never.
///
/// # Panics
/// Outside a goroutine; and in migrate mode, unless the caller holds a
/// [`pin`](crate::pin).
///
/// # Examples
/// ```
/// use std::rc::Rc;
///
/// raddle::run(|| {
///     let shared = Rc::new(5);
///     let copy = shared.clone();
///     let _pin = raddle::pin();
///     assert_eq!(raddle::spawn_local(move || *copy).join().unwrap(), 5);
/// });
/// ```
///
/// # Go
/// None: values there have no bounds.
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    // SAFETY: 1. what it borrows lives for ever; its scheduler is the
    // caller's own.
    match unsafe { scheduler::spawn_local(Location::caller(), f) } {
        Ok(join) => JoinHandle::new(join),
        Err(_) => panic!(
            "spawn_local called where nothing stays on one thread: call it from a goroutine, \
             in migrate mode under raddle::pin()"
        ),
    }
}

/// The right to wait for a goroutine and take its result. Dropping it
/// detaches the goroutine.
///
/// With the feature `futures` it is a future of the result for any executor.
/// Dropped before it is ready, it detaches the goroutine as ever. Polled after
/// it was ready, or joined then, it panics.
///
/// ```
/// # #[cfg(feature = "futures")] {
/// let sum = raddle::spawn(|| (1..=10).sum::<u32>());
/// // Under any executor.
/// let doubled = async { sum.await.unwrap() * 2 };
/// # assert_eq!(raddle::block_on(doubled), 110);
/// # }
/// ```
///
/// # Blocking
/// `join` does; the rest never blocks.
///
/// # Go
/// None; a channel, or a `sync.WaitGroup`, that the goroutine is given.
pub struct JoinHandle<T> {
    join: Join<T>,
    /// Made when somebody asks.
    done: OnceLock<Receiver<Never>>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(join: Join<T>) -> Self {
        Self {
            join,
            done: OnceLock::new(),
        }
    }

    /// Waits for the goroutine's end and gives its result.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Errors
    /// What its panic left behind; [`Goexit`](crate::Goexit) if it called
    /// [`goexit`](crate::goexit); [`Shutdown`](crate::Shutdown) if its
    /// runtime was dropped.
    ///
    /// # Examples
    /// ```
    /// let handle = raddle::spawn(|| -> u8 { panic!("lost") });
    /// let payload = handle.join().unwrap_err();
    /// assert_eq!(payload.downcast_ref(), Some(&"lost"));
    /// ```
    ///
    /// # Go
    /// None; a panic there ends the process.
    #[inline(always)]
    pub fn join(self) -> thread::Result<T> {
        self.join.join()
    }

    /// Whether the result is there: `join` would not wait.
    ///
    /// # Blocking
    /// Never; a call that says no may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_finished = self.join.is_finished();
        if !is_finished {
            scheduler::poll_point();
        }
        is_finished
    }

    /// The goroutine: its id and name, and a way to unpark it.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn goroutine(&self) -> &Goroutine {
        self.join.goroutine()
    }

    /// A channel that is disconnected when the goroutine has ended: an arm
    /// for [`select!`](crate::select!).
    ///
    /// # Blocking
    /// Never; receiving from it does.
    ///
    /// # Examples
    /// ```
    /// use raddle::chan::{after, unbounded};
    /// use std::time::Duration;
    ///
    /// let (sender, results) = unbounded();
    /// let worker = raddle::spawn(move || sender.send(42));
    /// raddle::select! {
    ///     recv(worker.done()) -> _ => {}
    ///     recv(after(Duration::from_secs(10))) -> _ => panic!("too slow"),
    /// }
    /// assert_eq!(results.try_recv(), Ok(42));
    /// ```
    ///
    /// # Go
    /// A channel that the goroutine closes as it ends.
    pub fn done(&self) -> &Receiver<Never> {
        self.done.get_or_init(|| {
            let (open, done) = bounded(0);
            self.join.watch(Box::new(move || drop(open)));
            done
        })
    }
}

#[cfg(feature = "futures")]
impl<T> Future for JoinHandle<T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.join.poll(context.waker())
    }
}

// Nothing of T lies in it.
#[cfg(feature = "futures")]
impl<T> Unpin for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}

/// What a goroutine is to have, before it is spawned.
///
/// # Blocking
/// Never.
///
/// # Examples
/// ```
/// let handle = raddle::Builder::new()
///     .name("parser".into())
///     .stack_size(1 << 20)
///     .spawn(|| raddle::current().name().map(String::from))?;
/// assert_eq!(handle.join().unwrap().as_deref(), Some("parser"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// None; `std::thread::Builder`'s twin.
#[derive(Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// Nothing asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name in lists, reports and events.
    pub fn name(mut self, name: String) -> Self {
        self.options.name(name);
        self
    }

    /// The size of its stack in bytes: a multiple of 1 KiB, from 32 KiB to
    /// 1 GiB, rounded up to a power of two. Address space is reserved for all
    /// of it; memory is used as far as calls go.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.options.stack_size(bytes);
        self
    }

    /// An OS thread for this goroutine alone, which it never leaves and no
    /// other runs on, except what it spawns by [`spawn_local`].
    ///
    /// # Go
    /// `runtime.LockOSThread`.
    pub fn own_thread(mut self, own: bool) -> Self {
        self.options.own_thread(own);
        self
    }

    /// Spawns `f`, as [`spawn`](spawn()).
    ///
    /// # Blocking
    /// Never; with `own_thread` it may start a thread.
    ///
    /// # Errors
    /// A stack size out of its limits (`InvalidInput`); a thread that the
    /// system or the runtime's `max_threads` refuses.
    ///
    /// # Panics
    /// As [`spawn`](spawn()).
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        with_scheduler(|scheduler| spawn_with(scheduler, site, self.options, f))
    }
}

/// A scope for goroutines that borrow from their parent's stack: it does not
/// end before they have.
///
/// To have ended is not to have run to the end: one that called
/// [`goexit`](crate::goexit) has ended too, and one that shutdown ended, or
/// kept from beginning, as it does with what a destructor spawns then. The
/// scope returns all the same; their `join` gives `Err`.
///
/// # Blocking
/// Parks until every goroutine of the scope has ended, also when `f` panics
/// and when the runtime shuts down: others would read a stack that is gone.
///
/// # Panics
/// When `f` panics; and when a goroutine of the scope panicked and nobody
/// joined it.
///
/// # Examples
/// ```
/// let numbers = [1, 2, 3, 4];
/// let (left, right) = numbers.split_at(2);
/// let sum: i32 = raddle::scope(|s| {
///     let left = s.spawn(|| left.iter().sum::<i32>());
///     let right = s.spawn(|| right.iter().sum::<i32>());
///     left.join().unwrap() + right.join().unwrap()
/// });
/// assert_eq!(sum, 10);
/// ```
///
/// # Go
/// A `WaitGroup` and discipline. `std::thread::scope`'s twin.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        data: ScopeData {
            running: AtomicUsize::new(1),
            panics: AtomicIsize::new(0),
            end: Wait::new(),
        },
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.data.wait();
    match result {
        Err(payload) => scheduler::resume(payload),
        // ORDER: Relaxed: ordered by the end of every goroutine counted.
        Ok(_) if scope.data.panics.load(Relaxed) > 0 => {
            panic!("a scoped goroutine panicked")
        }
        Ok(value) => value,
    }
}

/// Where scoped goroutines are spawned; see [`scope`].
///
/// # Blocking
/// Never; [`scope`] waits at its end.
///
/// # Go
/// None: a `sync.WaitGroup`, and nothing that may be borrowed.
pub struct Scope<'scope, 'env: 'scope> {
    data: ScopeData,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Invariants
/// 1. `running` counts the goroutines that have not ended, and 1 for the
///    owner until it waits. Who brings it to 0 is the only one left to touch
///    this: if that is not the owner, it owes the owner a wake.
struct ScopeData {
    running: AtomicUsize,
    /// Panics that nobody has been given yet. A join may come before the
    /// count, so it can be negative for a moment.
    panics: AtomicIsize,
    end: Wait,
}

impl ScopeData {
    fn ended(&self, panicked: bool) {
        if panicked {
            // ORDER: Relaxed: ordered by `running`.
            self.panics.fetch_add(1, Relaxed);
        }
        // ORDER: AcqRel: all that the goroutine did is seen by who waits.
        if self.running.fetch_sub(1, AcqRel) == 1 && self.end.settle(WOKEN) {
            // SAFETY: 1. settled here, once; invariant 1 keeps it until then.
            unsafe { Wait::unpark(&raw const self.end) };
        }
    }

    fn wait(&self) {
        // ORDER: AcqRel: pairs with `ended`.
        if self.running.fetch_sub(1, AcqRel) != 1 {
            self.end.park_firmly(Reason::WaitGroupWait);
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Runs `f` in a new goroutine that may borrow what outlives the scope.
    ///
    /// # Blocking
    /// Never.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let site = Location::caller();
        let data = &self.data;
        let join = with_scheduler(|scheduler| {
            // ORDER: Relaxed: the caller is counted, so it is not 0.
            data.running.fetch_add(1, Relaxed);
            // SAFETY: 1. by the bounds. 2. 'scope ends after `wait`, and that
            // after every `ended`. 3. as in `spawn`, or the scope's owner is
            // a goroutine of it.
            unsafe { scheduler::spawn(scheduler, site, f, |panicked| data.ended(panicked)) }
        });
        ScopedJoinHandle { join, data }
    }

    /// As `spawn`, without a handle.
    ///
    /// # Blocking
    /// Never.
    #[track_caller]
    pub fn go<F>(&'scope self, f: F)
    where
        F: FnOnce() + Send + 'scope,
    {
        drop(self.spawn(f));
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDER: Relaxed: shown.
        let running = self.data.running.load(Relaxed).saturating_sub(1);
        f.debug_struct("Scope")
            .field("running", &running)
            .finish_non_exhaustive()
    }
}

/// The right to a scoped goroutine's result.
///
/// # Blocking
/// `join` does; the rest never blocks.
///
/// # Go
/// None, as for [`JoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    join: Join<T>,
    data: &'scope ScopeData,
}

// The result is reached by who takes the handle alone, and is there whole or
// not at all.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> ScopedJoinHandle<'_, T> {
    /// As [`JoinHandle::join`]; who joins a panic has it, and `scope` does
    /// not panic for it.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// As [`JoinHandle::join`].
    #[inline(always)]
    pub fn join(self) -> thread::Result<T> {
        let result = self.join.join();
        if let Err(payload) = &result
            && is_panic(payload.as_ref())
        {
            // ORDER: Relaxed: ordered by `running`, which counts the caller.
            self.data.panics.fetch_sub(1, Relaxed);
        }
        result
    }

    /// As [`JoinHandle::is_finished`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_finished = self.join.is_finished();
        if !is_finished {
            scheduler::poll_point();
        }
        is_finished
    }

    /// As [`JoinHandle::goroutine`].
    #[must_use]
    pub fn goroutine(&self) -> &Goroutine {
        self.join.goroutine()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}

/// Runs `f` on a stack of 64 MiB, for deep recursion and foreign code. It is
/// the same goroutine: `f` may park and use its goroutine's values. On a
/// plain OS thread it works alike.
///
/// # Blocking
/// As `f` does.
///
/// # Panics
/// As `f` does; and when the system has no such stack.
///
/// # Examples
/// ```
/// fn depth(n: u32) -> u32 {
///     if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
/// }
/// raddle::run(|| {
///     assert_eq!(raddle::on_big_stack(|| depth(100_000)), 100_000);
/// });
/// ```
///
/// # Go
/// None: stacks there grow.
pub fn on_big_stack<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    match scheduler::on_stack_of(BIG_STACK, f) {
        Ok(value) => value,
        Err((_f, error)) => panic!("raddle::on_big_stack: {error}"),
    }
}
