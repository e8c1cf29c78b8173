//! A value that is written once: at the first use, or by hand.

use crate::shim::{Mutex, look_point};
use super::once::Once;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock as Cell;

/// A place for a value that is written once. The methods are those of
/// `std::sync::OnceLock`; who comes while the value is made parks, where with
/// std's it would block its thread.
///
/// # Blocking
/// `get_or_init` and `set` park while another makes the value, `wait` until
/// one is there; on a plain OS thread they block the thread. `get` never
/// blocks.
///
/// # Examples
/// ```
/// use raddle::sync::OnceLock;
///
/// static PATTERN: OnceLock<String> = OnceLock::new();
///
/// assert_eq!(PATTERN.get(), None);
/// assert_eq!(PATTERN.get_or_init(|| "twill".into()), "twill");
/// assert_eq!(PATTERN.set("satin".into()), Err("satin".into()));
/// ```
///
/// # Go
/// `sync.OnceValue`.
pub struct OnceLock<T> {
    once: Once,
    /// Written by the closure of `once` alone, so nobody waits here.
    cell: Cell<T>,
}

/// Apart, so that it costs those nothing who find a value.
#[cold]
#[inline(never)]
fn found_none() {
    look_point();
}

impl<T> OnceLock<T> {
    /// Without a value.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            once: Once::new(),
            cell: Cell::new(),
        }
    }

    /// The value, if it is there.
    ///
    /// # Blocking
    /// Never; a call that finds none may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        let value = self.peek();
        if value.is_none() {
            found_none();
        }
        value
    }

    #[inline]
    fn peek(&self) -> Option<&T> {
        self.cell.get()
    }

    /// The value, if it is there.
    ///
    /// # Blocking
    /// Never.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.cell.get_mut()
    }

    /// The value, once it is there.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    pub fn wait(&self) -> &T {
        if self.peek().is_none() {
            self.once.wait_force();
        }
        self.written()
    }

    /// Writes the value, if none is there.
    ///
    /// # Blocking
    /// Parks while another makes the value.
    ///
    /// # Errors
    /// Gives `value` back when there is one.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("asked for once"));
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// The value, which `f` makes if there is none.
    ///
    /// # Blocking
    /// Parks while another makes the value. If `f` asks for it too, it waits
    /// for itself.
    ///
    /// # Panics
    /// As `f` does; then there is no value, and the next may make it.
    #[inline]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.peek() {
            return value;
        }
        self.once.call_once_force(|_state| self.write(f()));
        self.written()
    }

    /// Takes the value out; the place is as new.
    ///
    /// # Blocking
    /// Never.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// The value, if there is one.
    ///
    /// # Blocking
    /// Never.
    pub fn into_inner(self) -> Option<T> {
        self.cell.into_inner()
    }

    fn write(&self, value: T) {
        let written = self.cell.set(value);
        debug_assert!(written.is_ok(), "written outside of its Once");
    }

    fn written(&self) -> &T {
        self.peek().expect("its Once is done")
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let this = Self::new();
        this.once.call_once(|| this.write(value));
        this
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.peek().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.peek() == other.peek()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.fmt(f)
    }
}

/// A value that is made at its first use. The shape is that of
/// `std::sync::LazyLock`; who comes while it is made parks, where with std's
/// it would block its thread.
///
/// # Blocking
/// The first uses park while another makes the value; on a plain OS thread
/// they block the thread. Later ones never block.
///
/// # Panics
/// The first use panics as the closure does, and from then on every use
/// panics.
///
/// # Examples
/// ```
/// use raddle::sync::LazyLock;
///
/// static PATTERNS: LazyLock<Vec<&str>> = LazyLock::new(|| vec!["twill", "satin"]);
///
/// assert_eq!(PATTERNS.len(), 2);
/// ```
///
/// # Go
/// `sync.OnceValue`.
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    /// Taken by who makes the value.
    make: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will make.
    #[must_use]
    pub const fn new(f: F) -> Self {
        Self {
            value: OnceLock::new(),
            make: Mutex::new(Some(f)),
        }
    }

    /// The value, made now if it was not. Deref does the same.
    ///
    /// # Blocking
    /// Parks while another makes the value.
    ///
    /// # Panics
    /// When the closure panicked, now or earlier.
    #[inline]
    pub fn force(this: &Self) -> &T {
        match this.value.peek() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// As [`force`](LazyLock::force), to be changed. `DerefMut` does the same.
    ///
    /// # Blocking
    /// Never, beyond what the closure does: nobody else can be making it.
    ///
    /// # Panics
    /// As `force`.
    #[inline]
    pub fn force_mut(this: &mut Self) -> &mut T {
        let _made = Self::force(this);
        this.value.get_mut().expect("it was made")
    }

    #[cold]
    #[inline(never)]
    fn make(&self) -> &T {
        self.value.get_or_init(|| {
            let make = self
                .make.lock().take();
            match make {
                Some(make) => make(),
                None => panic!("the closure of this LazyLock panicked earlier"),
            }
        })
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made.
    ///
    /// # Blocking
    /// As [`OnceLock::get`].
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        this.value.get()
    }

    /// The value, if it has been made, to be changed.
    ///
    /// # Blocking
    /// Never.
    #[inline]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("LazyLock");
        match self.value.peek() {
            Some(value) => tuple.field(value),
            None => tuple.field(&format_args!("<uninit>")),
        };
        tuple.finish()
    }
}
