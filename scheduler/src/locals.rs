//! A goroutine's own values: what `goroutine_local!` stores.

use crate::machine;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Values by the address of the key that made them. A goroutine has few, so
/// a short list beats a table.
#[derive(Default)]
pub(crate) struct Locals(Vec<(usize, Box<dyn Any + Send>)>);

impl Drop for Locals {
    fn drop(&mut self) {
        // Last made, first dropped, each by itself.
        while let Some(value) = self.0.pop() {
            quietly(|| drop(value));
        }
    }
}

/// Runs a destructor of the program's. Its panic, which the hook has shown,
/// goes no further, nor does one from dropping what that left.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(worse);
    }
}

thread_local! {
    /// For OS threads that are no goroutine.
    static OF_THREAD: RefCell<Option<Box<Locals>>> = const { RefCell::new(None) };
}

/// Drops the values of an OS thread that has made them for somebody else, who
/// has come to the end.
#[inline(never)]
pub(crate) fn drop_those_of_thread() {
    let take = |locals: &RefCell<Option<_>>| locals.borrow_mut().take();
    drop_all(|| OF_THREAD.try_with(take).ok().flatten());
}

/// Drops what `take` gives until it gives nothing. A destructor may set values
/// again: as std, this looks a few times.
pub(crate) fn drop_all(mut take: impl FnMut() -> Option<Box<Locals>>) {
    for _ in 0..5 {
        let Some(locals) = take() else {
            return;
        };
        quietly(|| drop(locals));
    }
}

/// Runs `f` with the value of the key at address `key`, made by `init` on
/// first use. `None` once the thread's values are gone.
///
/// # Blocking
/// As `init` and `f` do.
pub fn with_local<T: Send + 'static, R>(
    key: usize,
    init: fn() -> T,
    f: impl FnOnce(&T) -> R,
) -> Option<R> {
    let value = find_or_make(key, init)?;
    // SAFETY: the value stays in its box until the goroutine (or thread) that
    // calls drops all its values, which is not while it is here: a destructor
    // among those finds a new list, and a helper does so after its call.
    Some(f(unsafe { &*value }))
}

fn find_or_make<T: Send + 'static>(key: usize, init: fn() -> T) -> Option<*const T> {
    if let Some(found) = find(key)? {
        return Some(found);
    }
    // Outside of any borrow: `init` may use other keys, this one, or park.
    let value: Box<dyn Any + Send> = Box::new(init());
    if let Some(found) = find(key)? {
        return Some(found);
    }
    with_locals(|locals| locals.get_or_insert_default().0.push((key, value)))?;
    find(key)?
}

/// `None`: values are gone; `Some(None)`: not made yet. A key is its address
/// and its type: constants of two types may share an address.
#[expect(clippy::option_option, reason = "said in the line above")]
fn find<T: 'static>(key: usize) -> Option<Option<*const T>> {
    with_locals(|locals| {
        let mut values = locals.as_ref()?.0.iter();
        let (_, value) = values.find(|(of, value)| *of == key && value.is::<T>())?;
        value.downcast_ref::<T>().map(std::ptr::from_ref)
    })
}

fn with_locals<R>(f: impl FnOnce(&mut Option<Box<Locals>>) -> R) -> Option<R> {
    let header = machine::with_current_goroutine(|header| header.map(std::ptr::from_ref));
    match header {
        Some(header) => {
            // SAFETY: the caller runs on this goroutine, which lives as long
            // as it runs.
            let header = unsafe { &*header };
            // SAFETY: 1. on its stack, and `f` (above) does not come back
            // here.
            Some(f(unsafe { header.locals() }))
        }
        None => OF_THREAD
            .try_with(|locals| f(&mut locals.borrow_mut()))
            .ok(),
    }
}
