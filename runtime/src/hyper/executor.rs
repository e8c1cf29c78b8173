//! Futures that hyper spawns: a goroutine each.

use crate::block_on;

/// Runs each future in a goroutine of its own: hyper's `TokioExecutor`.
///
/// A panic of the future ends that goroutine alone.
///
/// # Blocking
/// `execute` never blocks.
///
/// # Examples
/// ```
/// use hyper::rt::Executor as _;
/// use raddle::{chan::bounded, hyper::Executor};
///
/// let (sender, receiver) = bounded(1);
/// Executor.execute(async move { sender.send("done").unwrap() });
/// assert_eq!(receiver.recv(), Ok("done"));
/// ```
///
/// # Go
/// None: `net/http` starts its own goroutines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> ::hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(crate::spawn(move || block_on(future)));
    }
}
