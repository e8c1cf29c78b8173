//! `println!` and its kin: format first, lock after.
//!
//! std's hold the lock of stdout, which belongs to the OS thread, while they
//! format; a `Display` that parks would leave it to whoever runs there next.

/// `std::print!`, with the text formatted before stdout is locked, so that
/// a value that parks while it is formatted does no harm.
///
/// # Blocking
/// The OS thread, for as long as stdout takes the text.
///
/// # Go
/// `fmt.Print`.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::__private::print!("{}", $crate::__private::format!($($text)*))
    };
}

/// `std::println!`, formatted before stdout is locked: see [`print!`].
///
/// # Blocking
/// As [`print!`].
///
/// # Examples
/// ```
/// raddle::println!("{} goroutine", raddle::run(raddle::runtime::num_goroutines));
/// ```
///
/// # Go
/// `fmt.Println`.
#[macro_export]
macro_rules! println {
    () => {
        $crate::__private::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::__private::print!("{}\n", $crate::__private::format!($($text)*))
    };
}

/// `std::eprint!`, formatted before stderr is locked: see [`print!`].
///
/// # Blocking
/// As [`print!`].
///
/// # Go
/// `fmt.Fprint(os.Stderr, ..)`.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => {
        $crate::__private::eprint!("{}", $crate::__private::format!($($text)*))
    };
}

/// `std::eprintln!`, formatted before stderr is locked: see [`print!`].
///
/// # Blocking
/// As [`print!`].
///
/// # Go
/// `fmt.Fprintln(os.Stderr, ..)`.
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::__private::eprint!("\n")
    };
    ($($text:tt)*) => {
        $crate::__private::eprint!("{}\n", $crate::__private::format!($($text)*))
    };
}
