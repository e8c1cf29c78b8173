//! An invariant of our own broke: say which, and abort.

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
    eprintln!(
        "fatal error: {message}\nThis is a bug in raddle, not in the program: please report it."
    );
    std::process::abort()
}
