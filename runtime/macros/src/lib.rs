//! raddle's macros, to be used through crate `raddle`: [`go!`](macro@go), and
//! the attributes `#[raddle::main]` and `#[raddle::test]`.
//!
//! ```text
//! go.rs       go!: the form the user wrote, and the spawn it becomes
//! entry.rs    main, test: a function becomes a goroutine's body
//! options.rs  what stands in the parentheses of main and test
//! ```
//!
//! The expansions name `::raddle::spawn` and `::raddle::__private` and nothing
//! else of raddle. Examples are marked `ignore` because this crate stands
//! below raddle and cannot run them; `tests/macro_forms.rs` does.

mod entry;
mod go;
mod options;

use proc_macro::TokenStream;

use options::Attribute;

/// Runs a call, a closure or a few statements in a new goroutine, and gives
/// its `JoinHandle`.
///
/// What is evaluated now, and what in the goroutine, depends on the form:
///
/// | you write | now | in the goroutine |
/// |---|---|---|
/// | `go!(f(a, b))`, `go!(path::f::<T>(a))` | `a`, `b` | the call |
/// | `go!(value.method(a))`, `go!(self.field.method(a))` | `value`, `a` | the call |
/// | `go!(move \|\| ..)`, `go!(\|\| ..)` | the closure, as written | its body |
/// | `go! { statements }`, anything else | what it uses is moved | all of it |
///
/// **Calls.** The whole input must be one call, of a path or of a method on a
/// place: a name or `self`, perhaps with fields. Place and arguments are
/// evaluated from left to right, each once, and moved into the goroutine; a
/// `?` or `return` among them belongs to your function, as in
/// `go!(Some(f()?))`, a call of `Some`. The method may take `self`, `&self` or
/// `&mut self`, for the goroutine owns the place. A place that begins with a
/// name in capitals is taken for a static and left where it is.
///
/// Moved means moved: `go!(group.done())` takes `group`, and
/// `go!(self.inner.run())` takes the field `inner` out of `self`, which a
/// `&self` allows for `Copy` fields only. Clone first what you need later.
///
/// **Anything else** is a body, as if you had written `move || { .. }`: a call
/// whose receiver is itself a call (`go!(group.clone().done())`), a macro,
/// `f()?`, operators, an `unsafe` block, a call followed by a semicolon. All
/// of it runs later, the clone too. `?` and `return` leave the goroutine, not
/// your function.
///
/// **Three things to know.** A `go! { .. }` in the middle of a function needs
/// a semicolon after it, since it has a value. `go!(f)` does not call `f`. An
/// argument gets its type before the call sees it: where the call would have
/// made a `Some(Box::new(x))` into an `Option<Box<dyn Trait>>`, or told a
/// closure the types of its arguments, say so yourself or use a closure form.
///
/// # Blocking
/// Never. The goroutine is queued, and the caller goes on.
///
/// # Errors
/// It does not compile when something moved in is not `Send` or borrows from
/// the caller: as with `std::thread::spawn`. For borrows use `raddle::scope`.
///
/// # Panics
/// A panic ends its goroutine alone; `join` gives it as `Err`. A panic while
/// arguments are evaluated is the caller's.
///
/// # Examples
/// ```ignore
/// use raddle::go;
///
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// raddle::run(|| {
///     // A call: `2 * 3` is computed here, the sum in the goroutine.
///     let sum = go!(add(2 * 3, 4));
///
///     // A method: `text` is moved.
///     let text = String::from("raddle");
///     let length = go!(text.len());
///
///     // Statements.
///     let total = go! {
///         let a = sum.join().unwrap();
///         let b = length.join().unwrap();
///         a as usize + b
///     };
///     assert_eq!(total.join().unwrap(), 16);
/// });
/// ```
///
/// Errors leave by the handle:
/// ```ignore
/// use raddle::go;
/// use std::num::ParseIntError;
///
/// raddle::run(|| {
///     let parsed = go! {
///         let n: u32 = "12".parse()?;
///         Ok::<u32, ParseIntError>(n + 1)
///     };
///     assert_eq!(parsed.join().unwrap(), Ok(13));
/// });
/// ```
///
/// # Go
/// The `go` statement, which knows the call form only. Unlike there, every
/// form gives a handle; drop it, and the goroutine goes on detached.
#[proc_macro]
pub fn go(input: TokenStream) -> TokenStream {
    go::expand(input.into()).into()
}

/// Makes a function's body the main goroutine, and ends the process when it
/// returns.
///
/// The function takes no arguments and is neither `async` nor generic. It
/// returns what any `main` may: `()`, `Result<(), E>`, `ExitCode`. When it
/// returns, the process exits with that status; goroutines still running are
/// not waited for, and nothing of theirs is dropped.
///
/// `#[raddle::main(unsafe(migrate))]` chooses Go's scheduling, in which a
/// goroutine may wake on another thread than it slept on. The word `unsafe` is
/// your promise that no code run by a goroutine keeps, across a call that can
/// park, a value that is not `Send` or a reference into a thread-local: read
/// `docs/soundness.md` before giving it. It becomes the `unsafe` of a block in
/// your function, so `#![forbid(unsafe_code)]` refuses it.
///
/// # Blocking
/// The body runs as a goroutine: what would block parks.
///
/// # Errors
/// A bad `RADDLE_` environment variable is reported before the body starts,
/// and the status is not zero.
///
/// # Panics
/// A panic of the body ends the process with status 101.
///
/// # Examples
/// ```ignore
/// use raddle::go;
///
/// #[raddle::main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let answer = go!(i32::from_str_radix("2a", 16));
///     println!("{}", answer.join().unwrap()?);
///     Ok(())
/// }
/// ```
///
/// # Go
/// `func main`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Attribute::Main, options.into(), item.into()).into()
}

/// Makes a function a test whose body runs as a goroutine, with a deadline
/// that turns a hang into a failure. Goroutines that outlive the body fail it
/// too: each is named, with the place where it was spawned.
///
/// Options, in any order:
///
/// | option | meaning | if left out |
/// |---|---|---|
/// | `deadline = "1m30s"` | fail, with a dump of all goroutines, after this long; units `ms`, `s`, `m`, `h` | 60 seconds |
/// | `procs = [1, 4]` | run the body once with each number of processors | as the environment says |
/// | `unsafe(migrate)` | run it in both modes, pinned first; on the promise described at `#[raddle::main]` | pinned mode alone |
/// | `leaks = true` | goroutines may outlive the body: they are ended with the test's runtime | they fail the test |
///
/// Each run has a runtime of its own. What a body starts should have ended
/// when the body does; half a second is given for what is on its way out, and
/// a goroutine that is left then fails the test, asleep or not.
///
/// As the body may run several times, it must not count on being first. Other
/// attributes work as on any test: `#[ignore]`, `#[should_panic]`, `#[cfg]`.
/// The body may return what any test may, `()` or a `Result`, also one that
/// is not `Send`, as `Result<(), Box<dyn std::error::Error>>`.
///
/// # Blocking
/// The body runs as a goroutine: what would block parks. The thread of the
/// test runner waits for it.
///
/// # Panics
/// A panic of the body, an `Err` it returns, a missed deadline, or goroutines
/// left behind fail the test. Where it ran more than once, stderr says in
/// which run.
///
/// # Examples
/// ```ignore
/// use raddle::go;
///
/// #[raddle::test]
/// fn a_value_comes_back() {
///     assert_eq!(go!(u8::from(true)).join().unwrap(), 1);
/// }
///
/// #[raddle::test(deadline = "2s", procs = [1, 4])]
/// #[should_panic(expected = "too far")]
/// fn panics_come_out() {
///     go!(panic!("too far")).join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
/// }
/// ```
///
/// # Go
/// `func TestX(t *testing.T)`; the deadline is `go test -timeout`, for one test.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Attribute::Test, options.into(), item.into()).into()
}
