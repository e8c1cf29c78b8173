//! Values that are kept for the next who needs one.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

/// How many values a shelf keeps.
const SHELF: usize = 64;
const MOST_SHELVES: usize = 64;

/// Keeps values that are dear to make, such as buffers, for whoever needs one
/// next.
///
/// What it promises: `get` gives a value that was put and that nobody else
/// has, or one fresh from the maker; which of them, and whether values that
/// were put come back at all, it does not say. Up to 64 values for each CPU
/// are kept as long as the pool; more are dropped when they are put. A value
/// comes back as it was put: who needs it clean cleans it.
///
/// # Blocking
/// Never, beyond what the maker, or a value's drop, does.
///
/// # Examples
/// ```
/// use raddle::sync::Pool;
///
/// let buffers = Pool::new(|| Vec::<u8>::with_capacity(4096));
/// let mut buffer = buffers.get();
/// buffer.extend(b"weft");
/// buffer.clear();
/// buffers.put(buffer);
/// assert!(buffers.get().is_empty());
/// ```
///
/// # Go
/// `sync.Pool`, whose values the garbage collector takes away.
pub struct Pool<T> {
    shelves: Box<[Shelf<T>]>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

// Values come and go whole.
impl<T> UnwindSafe for Pool<T> {}
impl<T> RefUnwindSafe for Pool<T> {}

/// On a cache line of its own, or nearly.
#[repr(align(64))]
struct Shelf<T>(Mutex<Vec<T>>);

impl<T> Shelf<T> {
    /// The values, unless somebody is at them: a moment, and not worth a
    /// wait.
    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        match self.0.try_lock() {
            Ok(values) => Some(values),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn take(&self) -> Option<T> {
        self.try_lock()?.pop()
    }

    fn put(&self, value: T) -> Result<(), T> {
        match self.try_lock() {
            Some(mut values) if values.len() < SHELF => {
                values.push(value);
                Ok(())
            }
            _ => Err(value),
        }
    }
}

impl<T> Pool<T> {
    /// An empty pool; `make` makes a value when none is there.
    #[must_use]
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let shelves = thread::available_parallelism()
            .map_or(1, usize::from)
            .next_power_of_two()
            .min(MOST_SHELVES);
        Self {
            shelves: (0..shelves).map(|_| Shelf(Mutex::default())).collect(),
            make: Box::new(make),
        }
    }

    /// A value that was put, or a new one.
    ///
    /// # Blocking
    /// Never, beyond what the maker does.
    ///
    /// # Go
    /// `Pool.Get`.
    pub fn get(&self) -> T {
        let kept = self.beginning_here().find_map(Shelf::take);
        kept.unwrap_or_else(|| (self.make)())
    }

    /// Keeps `value` for others, or drops it.
    ///
    /// # Blocking
    /// Never, beyond what the value's drop does.
    ///
    /// # Go
    /// `Pool.Put`.
    pub fn put(&self, value: T) {
        let mut value = value;
        for shelf in self.beginning_here() {
            match shelf.put(value) {
                Ok(()) => return,
                Err(back) => value = back,
            }
        }
    }

    /// All shelves, beginning with the one of the thread that runs here.
    fn beginning_here(&self) -> impl Iterator<Item = &Shelf<T>> {
        let (before, after) = self.shelves.split_at(number_of_thread() % self.shelves.len());
        after.iter().chain(before)
    }
}

/// Never inlined: the caller may go on elsewhere.
#[inline(never)]
fn number_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // ORDER: Relaxed: a number.
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }
    NUMBER.try_with(|number| *number).unwrap_or_default()
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: usize = self
            .shelves
            .iter()
            .map(|shelf| shelf.0.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum();
        f.debug_struct("Pool")
            .field("kept", &kept)
            .finish_non_exhaustive()
    }
}
