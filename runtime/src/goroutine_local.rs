//! `goroutine_local!`: a value for each goroutine, with `LocalKey`'s shape.

use raddle_scheduler::with_local;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::ptr;

/// Declares values that every goroutine has its own of, as `thread_local!`
/// does for threads. A value is made at its first use in a goroutine and
/// dropped at that goroutine's end, before `join` returns. A plain OS thread
/// has values of its own too, and so has a call of [`blocking`](crate::blocking)
/// that a helper thread makes.
///
/// # Blocking
/// Never; the first use does what the expression does.
///
/// # Examples
/// ```
/// use std::cell::Cell;
///
/// raddle::goroutine_local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
///
/// raddle::run(|| {
///     DEPTH.set(1);
///     let other = raddle::spawn(|| DEPTH.get());
///     assert_eq!(other.join().unwrap(), 0);
///     assert_eq!(DEPTH.get(), 1);
/// });
/// ```
///
/// # Go
/// None, by decision.
#[macro_export]
macro_rules! goroutine_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const $init:block $(; $($rest:tt)*)?) => {
        $crate::goroutine_local! {
            $(#[$attribute])* $visibility static $name: $type = $init $(; $($rest)*)?
        }
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::LocalKey<$type> = {
            fn init() -> $type {
                $init
            }
            $crate::LocalKey::__new(init)
        };
        $($crate::goroutine_local! { $($rest)* })?
    };
}

/// What `goroutine_local!` declares: `std::thread::LocalKey`'s twin.
///
/// # Blocking
/// Never, except as the closures do and, at the first use, the initial
/// value's expression.
///
/// # Go
/// None, by decision.
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

/// The values of the calling thread are gone: it is ending.
///
/// # Blocking
/// Never.
///
/// # Go
/// None.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a goroutine-local value was used after its thread's values were dropped")
    }
}

impl Error for AccessError {}

impl<T: Send + 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Runs `f` with this goroutine's value.
    ///
    /// # Blocking
    /// As `f` and the initial value's expression do.
    ///
    /// # Panics
    /// In a destructor of a plain OS thread's values, when these are gone.
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// As `with`.
    ///
    /// # Errors
    /// The values of the calling OS thread are gone already.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        // The key's address names it: a static of its own, not of size 0.
        let key = ptr::from_ref(self) as usize;
        with_local(key, self.init, f).ok_or(AccessError)
    }
}

impl<T: Send + 'static> LocalKey<Cell<T>> {
    /// Sets the value.
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the value.
    #[must_use]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value; its default stays.
    #[must_use]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value and gives the old one.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: Send + 'static> LocalKey<RefCell<T>> {
    /// Runs `f` with a reference to the value.
    ///
    /// # Panics
    /// When it is borrowed mutably.
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Runs `f` with a mutable reference to the value.
    ///
    /// # Panics
    /// When it is borrowed.
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value.
    ///
    /// # Panics
    /// When it is borrowed.
    pub fn set(&'static self, value: T) {
        self.with(|cell| *cell.borrow_mut() = value);
    }

    /// Takes the value; its default stays.
    ///
    /// # Panics
    /// When it is borrowed.
    #[must_use]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the value and gives the old one.
    ///
    /// # Panics
    /// When it is borrowed.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
