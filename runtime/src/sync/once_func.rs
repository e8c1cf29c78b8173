//! Functions that do their work in the first call.

use crate::shim::Mutex;
use super::once::Once;
use super::once_lock::OnceLock;
use super::shared_panic::SharedPanic;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A function that runs `f` in its first call, and no more in later ones. Its
/// clones are one function.
///
/// # Blocking
/// Calls park while the first one runs; on a plain OS thread they block the
/// thread.
///
/// # Panics
/// If `f` panics, every call does: the first with the payload, later ones
/// with the same text.
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// static COUNT: AtomicU32 = AtomicU32::new(0);
/// let warp = raddle::sync::once_func(|| { COUNT.fetch_add(1, Relaxed); });
/// warp();
/// warp();
/// assert_eq!(COUNT.load(Relaxed), 1);
/// ```
///
/// # Go
/// `sync.OnceFunc`.
pub fn once_func<F>(f: F) -> impl Fn() + Clone + Send + Sync
where
    F: FnOnce() + Send,
{
    let value = OnceValue::new(f);
    move || value.with(|()| ())
}

/// A function that gives the value of `f`, which runs in its first call. Its
/// clones are one function.
///
/// # Blocking
/// As [`once_func`].
///
/// # Panics
/// As [`once_func`].
///
/// # Examples
/// ```
/// let pattern = raddle::sync::once_value(|| String::from("twill"));
/// assert_eq!(pattern(), pattern.clone()());
/// ```
///
/// # Go
/// `sync.OnceValue`.
pub fn once_value<F, T>(f: F) -> impl Fn() -> T + Clone + Send + Sync
where
    F: FnOnce() -> T + Send,
    T: Clone + Send + Sync,
{
    let value = OnceValue::new(f);
    move || value.with(T::clone)
}

struct OnceValue<T, F> {
    once: Once,
    value: OnceLock<Result<T, SharedPanic>>,
    /// Taken by the first call.
    make: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> OnceValue<T, F> {
    fn new(f: F) -> Arc<Self> {
        Arc::new(Self {
            once: Once::new(),
            value: OnceLock::new(),
            make: Mutex::new(Some(f)),
        })
    }

    fn with<R>(&self, use_it: impl FnOnce(&T) -> R) -> R {
        if self.value.get().is_none() {
            self.make();
        }
        match self.value.get().expect("made by now") {
            Ok(value) => use_it(value),
            Err(panic) => panic.resume(),
        }
    }

    #[cold]
    fn make(&self) {
        self.once.call_once_force(|_state| {
            let make = self
                .make.lock().take();
            let Some(make) = make else { return };
            let result = catch_unwind(AssertUnwindSafe(make)).map_err(SharedPanic::new);
            let _first = self.value.set(result);
        });
    }
}
