//! An invariant of our own broke: say which, and abort.

use std::io::Write;

/// Prints the message and aborts. Nothing may unwind through the scheduler,
/// and a runtime that has lost track of a goroutine must not go on.
macro_rules! fatal {
    ($($message:tt)*) => {
        $crate::fatal::abort(format_args!($($message)*))
    };
}
pub(crate) use fatal;

#[cold]
#[inline(never)]
pub(crate) fn abort(message: std::fmt::Arguments<'_>) -> ! {
    // Not `eprintln!`: a test harness keeps that, and the abort loses it.
    let _ = writeln!(
        std::io::stderr(),
        "fatal error: {message}\nThis is a bug in raddle, not in the program: please report it."
    );
    std::process::abort()
}
