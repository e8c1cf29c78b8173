//! A goroutine's own values: what `goroutine_local!` stores.

use crate::machine;
use std::any::Any;
use std::cell::RefCell;

/// Values by the address of the key that made them. A goroutine has few, so
/// a short list beats a table.
#[derive(Default)]
pub(crate) struct Locals(Vec<(usize, Box<dyn Any + Send>)>);

impl Drop for Locals {
    fn drop(&mut self) {
        // Last made, first dropped.
        while self.0.pop().is_some() {}
    }
}

thread_local! {
    /// For OS threads that are no goroutine.
    static OF_THREAD: RefCell<Option<Box<Locals>>> = const { RefCell::new(None) };
}

/// A pointer to the value of the key at address `key`, made by `init` on
/// first use. `None` once the thread's values are gone.
///
/// The value stays where it is until its goroutine ends, so the pointer is
/// good for as long as the calling function runs on that goroutine.
pub fn get_local<T: Send + 'static>(key: usize, init: fn() -> T) -> Option<*const T> {
    if let Some(found) = look_up(key)? {
        return Some(cast(found));
    }
    // Outside of any borrow: `init` may use other keys, this one, or park.
    let value: Box<dyn Any + Send> = Box::new(init());
    if let Some(found) = look_up(key)? {
        return Some(cast(found));
    }
    with_locals(|locals| {
        let locals = locals.get_or_insert_default();
        locals.0.push((key, value));
        let (_, value) = locals.0.last().expect("just pushed");
        cast(&raw const **value)
    })
}

fn cast<T>(value: *const (dyn Any + Send)) -> *const T {
    // One key, one type: the key's own static is generic over nothing.
    value.cast::<T>()
}

/// `None`: values are gone; `Some(None)`: not made yet.
#[expect(clippy::option_option, reason = "said in the line above")]
fn look_up(key: usize) -> Option<Option<*const (dyn Any + Send)>> {
    with_locals(|locals| {
        let locals = locals.as_ref()?;
        let (_, value) = locals.0.iter().find(|(of, _)| *of == key)?;
        Some(&raw const **value)
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
