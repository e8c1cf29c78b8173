//! Cancellation, deadlines and values that calls hand down.
//!
//! ```
//! use raddle::{context::Context, go, select};
//! use std::time::Duration;
//!
//! raddle::run(|| {
//!     let (ctx, cancel) = Context::background().with_timeout(Duration::from_secs(60));
//!     let worker = go!(move || {
//!         select! { recv(ctx.done()) -> _ => ctx.err().unwrap().to_string() }
//!     });
//!     cancel.cancel();
//!     assert_eq!(worker.join().unwrap(), "context canceled");
//! });
//! ```

mod tree;
mod value;

pub use self::tree::AfterFunc;
#[doc(inline)]
pub use raddle_chan::__private::ContextError;

use self::tree::{Branch, End};
use self::value::Values;
use crate::chan::{Never, Receiver, never};
use raddle_chan::__private::Cancelled;
use raddle_scheduler::poll_point;
use std::error::Error;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a context was cancelled, in the words of who did it.
///
/// # Blocking
/// Never.
///
/// # Go
/// The `error` that `context.Cause` returns.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Whether, until when and with what values a piece of work goes on. Clones
/// are the same context.
///
/// Contexts form a tree: what ends one ends all that descend from it. None
/// costs a goroutine. One that nobody holds any more, neither it nor a
/// [`CancelFunc`] nor a descendant, costs nothing, unless somebody has a clone
/// of its [`done`](Context::done), or a function waits for its end.
///
/// # Blocking
/// Never; receiving from [`done`](Context::done) does.
///
/// # Examples
/// ```
/// use raddle::context::{Context, ContextError};
/// use std::time::Duration;
///
/// raddle::run(|| {
///     let root = Context::background();
///     let (parent, cancel) = root.with_cancel();
///     let (child, _cancel_child) = parent.with_timeout(Duration::from_secs(60));
///     assert_eq!(child.err(), None);
///     cancel.cancel();
///     assert_eq!(child.err(), Some(ContextError::Canceled));
///     assert_eq!(root.err(), None);
/// });
/// ```
///
/// # Go
/// `context.Context`.
#[derive(Clone)]
pub struct Context {
    /// Whose end is this one's; none: it never ends.
    branch: Option<Arc<Branch>>,
    values: Values,
}

static NEVER: Receiver<Never> = never();

// Its values are reached by shared references alone.
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

impl Context {
    /// The root of a tree: never done, no deadline, no values.
    ///
    /// # Go
    /// `context.Background`.
    #[must_use]
    pub const fn background() -> Self {
        Self {
            branch: None,
            values: Values::none(),
        }
    }

    /// As [`background`](Context::background), where it is not clear yet
    /// which context to use.
    ///
    /// # Go
    /// `context.TODO`.
    #[must_use]
    pub const fn todo() -> Self {
        Self::background()
    }

    fn child(
        &self,
        deadline: Option<Instant>,
        cause: Option<Cause>,
        site: &'static Location<'static>,
    ) -> (Context, Arc<Branch>) {
        let branch = Branch::grow(self.branch.as_ref(), deadline, cause, site);
        let context = Context {
            branch: Some(branch.clone()),
            values: self.values.clone(),
        };
        (context, branch)
    }

    /// A child that ends with this one, or when the function is called.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(ctx.done().recv().is_err());
    /// ```
    ///
    /// # Go
    /// `context.WithCancel`.
    #[track_caller]
    pub fn with_cancel(&self) -> (Context, CancelFunc) {
        let (context, branch) = self.child(None, None, Location::caller());
        (context, CancelFunc { branch })
    }

    /// As [`with_cancel`](Context::with_cancel), with a cause to be named.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::{Context, ContextError};
    /// use std::{error::Error, sync::Arc};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// let full: Box<dyn Error + Send + Sync> = "the disk is full".into();
    /// cancel.cancel(full);
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the disk is full");
    /// ```
    ///
    /// # Go
    /// `context.WithCancelCause`.
    #[track_caller]
    pub fn with_cancel_cause(&self) -> (Context, CancelCauseFunc) {
        let (context, branch) = self.child(None, None, Location::caller());
        (context, CancelCauseFunc { branch })
    }

    /// As [`with_deadline`](Context::with_deadline), `timeout` from now.
    ///
    /// # Go
    /// `context.WithTimeout`.
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> (Context, CancelFunc) {
        let (context, branch) = self.child(end_of(timeout), None, Location::caller());
        (context, CancelFunc { branch })
    }

    /// A child that ends with this one, at `deadline`, or when the function
    /// is called. A deadline later than this one's changes nothing. It holds
    /// also when the runtime that made it has ended: the default runtime sees
    /// to it then, and starts for that if it has not yet.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::{Context, ContextError};
    /// use std::time::Instant;
    ///
    /// let (ctx, _cancel) = Context::background().with_deadline(Instant::now());
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    ///
    /// # Go
    /// `context.WithDeadline`.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> (Context, CancelFunc) {
        let (context, branch) = self.child(Some(deadline), None, Location::caller());
        (context, CancelFunc { branch })
    }

    /// As [`with_timeout`](Context::with_timeout), with the cause if it ends
    /// so.
    ///
    /// # Go
    /// `context.WithTimeoutCause`.
    #[track_caller]
    pub fn with_timeout_cause(
        &self,
        timeout: Duration,
        cause: impl Into<Cause>,
    ) -> (Context, CancelFunc) {
        let cause = Some(cause.into());
        let (context, branch) = self.child(end_of(timeout), cause, Location::caller());
        (context, CancelFunc { branch })
    }

    /// As [`with_deadline`](Context::with_deadline), with the cause if it
    /// ends so.
    ///
    /// # Go
    /// `context.WithDeadlineCause`.
    #[track_caller]
    pub fn with_deadline_cause(
        &self,
        deadline: Instant,
        cause: impl Into<Cause>,
    ) -> (Context, CancelFunc) {
        let cause = Some(cause.into());
        let (context, branch) = self.child(Some(deadline), cause, Location::caller());
        (context, CancelFunc { branch })
    }

    /// This one with a value more. Values are found by their types, so a
    /// package wraps its own in a type that only it can name.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::Context;
    ///
    /// struct User(&'static str);
    ///
    /// let ctx = Context::background().with_value(User("gopher"));
    /// assert_eq!(ctx.value::<User>().unwrap().0, "gopher");
    /// assert!(ctx.value::<u32>().is_none());
    /// ```
    ///
    /// # Go
    /// `context.WithValue`; the type stands for the key.
    #[must_use]
    pub fn with_value<K>(&self, value: K) -> Context
    where
        K: Send + Sync + 'static,
    {
        Context {
            branch: self.branch.clone(),
            values: self.values.with(value),
        }
    }

    /// One with the values of this, that never ends.
    ///
    /// # Go
    /// `context.WithoutCancel`.
    #[must_use]
    pub fn without_cancel(&self) -> Context {
        Context {
            branch: None,
            values: self.values.clone(),
        }
    }

    /// When it ends at the latest.
    ///
    /// # Go
    /// `Context.Deadline`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.branch.as_ref().and_then(|branch| branch.deadline())
    }

    /// A channel that is disconnected when this is done: an arm for
    /// [`select!`](crate::select!), `recv(ctx.done()) -> _ => ..`.
    ///
    /// # Blocking
    /// Never; receiving from it does.
    ///
    /// # Go
    /// `Context.Done`.
    #[must_use]
    pub fn done(&self) -> &Receiver<Never> {
        self.branch.as_ref().map_or(&NEVER, |branch| branch.done())
    }

    /// Why it is done; none while it is not.
    ///
    /// # Blocking
    /// Never; a call that says none may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    ///
    /// # Go
    /// `Context.Err`.
    #[must_use]
    pub fn err(&self) -> Option<ContextError> {
        let error = self.branch.as_ref().and_then(|branch| branch.error());
        if error.is_none() {
            poll_point();
        }
        error
    }

    /// Why it is done, in the words of who ended it; the error itself if
    /// they said nothing.
    ///
    /// # Go
    /// `context.Cause`.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.branch.as_ref().and_then(|branch| branch.cause())
    }

    /// The value of this type that was added last.
    ///
    /// # Go
    /// `Context.Value`.
    #[must_use]
    pub fn value<K>(&self) -> Option<Arc<K>>
    where
        K: Send + Sync + 'static,
    {
        self.values.get()
    }

    /// Calls `f` when this is done, in a goroutine of its own, which does not
    /// exist before. If it is done already, that begins at once.
    ///
    /// The goroutine is of the runtime in which this was called. When that has
    /// ended, `f` is not called any more; [`AfterFunc::stop`] still takes it
    /// back, and says so.
    ///
    /// # Examples
    /// ```
    /// use raddle::{chan::bounded, context::Context};
    ///
    /// raddle::run(|| {
    ///     let (sender, called) = bounded(1);
    ///     let (ctx, cancel) = Context::background().with_cancel();
    ///     let _after = ctx.after_func(move || sender.send(()).unwrap());
    ///     cancel.cancel();
    ///     assert_eq!(called.recv(), Ok(()));
    /// });
    /// ```
    ///
    /// A socket knows deadlines; one in the past ends its calls, so a context
    /// does:
    ///
    /// ```
    /// use raddle::context::Context;
    /// use raddle::net::{TcpListener, TcpStream};
    /// use std::io::{self, ErrorKind, Read};
    /// use std::{sync::Arc, time::Instant};
    ///
    /// raddle::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let stream = Arc::new(TcpStream::connect(listener.local_addr()?)?);
    ///     let (ctx, cancel) = Context::background().with_cancel();
    ///     let ended = stream.clone();
    ///     let _after = ctx.after_func(move || ended.set_deadline(Some(Instant::now())));
    ///     raddle::spawn(move || cancel.cancel());
    ///     let error = (&*stream).read(&mut [0; 64]).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::TimedOut);
    ///     io::Result::Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Go
    /// `context.AfterFunc`.
    #[track_caller]
    pub fn after_func<F>(&self, f: F) -> AfterFunc
    where
        F: FnOnce() + Send + 'static,
    {
        AfterFunc::new(self.branch.as_ref(), Box::new(f), Location::caller())
    }
}

/// None: too far for an `Instant`, so it never comes.
fn end_of(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

impl Cancelled for Context {
    fn done(&self) -> &Receiver<Never> {
        Context::done(self)
    }

    fn reason(&self) -> ContextError {
        // Written before `done` was disconnected.
        Context::err(self).unwrap_or(ContextError::Canceled)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("deadline", &self.deadline())
            .field("err", &self.branch.as_ref().and_then(|branch| branch.error()))
            .finish_non_exhaustive()
    }
}

/// Ends a context. Dropping it does not: see [`guard`](CancelFunc::guard).
///
/// # Blocking
/// Never.
///
/// # Go
/// `context.CancelFunc`.
#[derive(Clone)]
pub struct CancelFunc {
    branch: Arc<Branch>,
}

impl CancelFunc {
    /// Ends the context, and all that descend from it, with
    /// [`ContextError::Canceled`]; the first call, if it has not ended
    /// otherwise.
    ///
    /// # Blocking
    /// Never; it takes time in proportion to how many descend.
    pub fn cancel(&self) {
        self.branch.end(End::new(ContextError::Canceled, None));
    }

    /// One that ends the context when it is dropped.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::Context;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// {
    ///     let _cancel = cancel.guard();
    ///     assert!(ctx.err().is_none());
    /// }
    /// assert!(ctx.err().is_some());
    /// ```
    ///
    /// # Go
    /// `defer cancel()`.
    #[must_use = "it cancels when it is dropped"]
    pub fn guard(self) -> CancelGuard {
        CancelGuard { cancel: self }
    }
}

impl fmt::Debug for CancelFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CancelFunc { .. }")
    }
}

/// Ends a context and says why.
///
/// # Blocking
/// Never.
///
/// # Go
/// `context.CancelCauseFunc`.
#[derive(Clone)]
pub struct CancelCauseFunc {
    branch: Arc<Branch>,
}

impl CancelCauseFunc {
    /// As [`CancelFunc::cancel`]; [`Context::cause`] is `cause` then.
    ///
    /// A `Box<dyn Error + Send + Sync>` goes in as it is. An `Arc` of an error
    /// of one's own is to be made one of `dyn Error` first; so `cause` gives
    /// that very error.
    ///
    /// # Blocking
    /// As there.
    ///
    /// # Examples
    /// ```
    /// use raddle::context::Context;
    /// use std::{error::Error, fmt, sync::Arc};
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Full(u32);
    ///
    /// impl fmt::Display for Full {
    ///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ///         write!(f, "disk {} is full", self.0)
    ///     }
    /// }
    /// impl Error for Full {}
    ///
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.cancel(Arc::new(Full(3)) as Arc<dyn Error + Send + Sync>);
    /// let cause = ctx.cause().unwrap();
    /// assert_eq!(cause.downcast_ref(), Some(&Full(3)));
    /// ```
    pub fn cancel(&self, cause: impl Into<Cause>) {
        let cause = Some(cause.into());
        self.branch.end(End::new(ContextError::Canceled, cause));
    }

    /// As [`CancelFunc::guard`], without a cause.
    #[must_use = "it cancels when it is dropped"]
    pub fn guard(self) -> CancelGuard {
        let branch = self.branch;
        CancelFunc { branch }.guard()
    }
}

impl fmt::Debug for CancelCauseFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CancelCauseFunc { .. }")
    }
}

/// Ends a context when it is dropped: of [`CancelFunc::guard`].
///
/// # Blocking
/// Never: dropping it is [`CancelFunc::cancel`].
///
/// # Go
/// `defer cancel()`.
pub struct CancelGuard {
    cancel: CancelFunc,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl fmt::Debug for CancelGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("CancelGuard { .. }")
    }
}
