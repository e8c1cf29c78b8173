//! `Select`, a list of operations made at run time, and the operation that
//! was chosen, in it or in `select!`.

use crate::channel::Side;
use crate::ends::{Receiver, Sender};
use crate::error::{
    ReadyTimeoutError, RecvError, SelectTimeoutError, SendError, TryReadyError, TrySelectError,
};
use crate::part::Goal;
use crate::select::{Case, NodeSlot, Selection, Until, Won};
use crate::shim::{Reason, clock, poll_point};
use std::fmt;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

/// Many operations, of which one is to be done.
///
/// [`select!`](crate::select!) is the same for a list that is known when the
/// program is written.
///
/// # Blocking
/// `select` and `ready` park until an operation can be done, the others as
/// their names say.
///
/// # Examples
/// ```
/// use raddle_chan::{Select, unbounded};
///
/// let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
/// channels[1].0.send("hello").unwrap();
///
/// let mut select = Select::new();
/// for (_, receiver) in &channels {
///     select.recv(receiver);
/// }
/// let operation = select.select();
/// let index = operation.index();
/// assert_eq!(index, 1);
/// assert_eq!(operation.recv(&channels[index].1), Ok("hello"));
/// ```
///
/// # Go
/// `reflect.Select`.
pub struct Select<'a> {
    cases: Vec<Case<'a>>,
    /// The user's number of each case, in order.
    numbers: Vec<usize>,
    nodes: Vec<NodeSlot>,
    next: usize,
    is_biased: bool,
}

// SAFETY: the nodes are used within calls alone, and cases point to channels,
// which are reached under their locks.
unsafe impl Send for Select<'_> {}
// SAFETY: by `&self` nothing is reached.
unsafe impl Sync for Select<'_> {}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Select<'a> {
    /// An empty list; of those that are ready any may be chosen.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cases: Vec::new(),
            numbers: Vec::new(),
            nodes: Vec::new(),
            next: 0,
            is_biased: false,
        }
    }

    /// An empty list; of those that are ready the first is chosen.
    #[must_use]
    pub fn new_biased() -> Self {
        Self {
            is_biased: true,
            ..Self::new()
        }
    }

    fn add(&mut self, case: Case<'a>) -> usize {
        let number = self.next;
        self.next += 1;
        self.cases.push(case);
        self.numbers.push(number);
        number
    }

    /// Adds a send; its number, which counts from 0.
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(s.as_case())
    }

    /// Adds a receive; its number, which counts from 0.
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(r.as_case())
    }

    /// Takes an operation out, by its number, which is not used again.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn remove(&mut self, index: usize) {
        assert!(
            index < self.next,
            "index out of bounds: {index} is to be removed, of {} operations added",
            self.next
        );
        let Some(place) = self.numbers.iter().position(|number| *number == index) else {
            panic!("no operation with this index: {index} has been removed already")
        };
        self.cases.remove(place);
        self.numbers.remove(place);
    }

    fn run(&mut self, goal: Goal, until: Until) -> Option<Won<'a>> {
        if until == Until::Now {
            // Before the try: what is won must not be lost in an unwind.
            poll_point();
        }
        if self.nodes.len() < self.cases.len() {
            self.nodes.resize_with(self.cases.len(), NodeSlot::new);
        }
        let selection = Selection::new(&self.cases, &self.nodes, self.is_biased, goal, until);
        let mut won = selection.run();
        drop(selection);
        if let Some(won) = &mut won {
            won.index = self.numbers[won.index];
        }
        won
    }

    fn must_have_some(&self) {
        assert!(
            !self.cases.is_empty(),
            "no operations have been added to `Select`: it would wait for ever"
        );
    }

    /// Chooses an operation that can be done now.
    ///
    /// # Errors
    /// None can.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.run(Goal::Start, Until::Now)
            .map(SelectedOperation)
            .ok_or(TrySelectError)
    }

    /// Chooses an operation, waiting until one can be done.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Panics
    /// When there is none to choose from.
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.must_have_some();
        let won = self.run(Goal::Start, Until::Ever);
        SelectedOperation(won.expect("waits for ever"))
    }

    /// As [`select`](Select::select), for `timeout` at most.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// None could be done in time.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_until(clock::after(timeout))
    }

    /// As [`select_timeout`](Select::select_timeout), until `deadline`.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// None could be done in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_until(clock::at(deadline))
    }

    fn select_until(&mut self, deadline: u64) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.run(Goal::Start, Until::Then(deadline))
            .map(SelectedOperation)
            .ok_or(SelectTimeoutError)
    }

    /// The number of an operation that could be done now. Another may be
    /// quicker to do it.
    ///
    /// # Errors
    /// None could.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.run(Goal::Know, Until::Now)
            .map(|won| won.index)
            .ok_or(TryReadyError)
    }

    /// Waits until an operation could be done; its number. Another may be
    /// quicker to do it.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Panics
    /// When there is none to wait for.
    pub fn ready(&mut self) -> usize {
        self.must_have_some();
        let won = self.run(Goal::Know, Until::Ever);
        won.expect("waits for ever").index
    }

    /// As [`ready`](Select::ready), for `timeout` at most.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// None could be done in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.ready_until(clock::after(timeout))
    }

    /// As [`ready_timeout`](Select::ready_timeout), until `deadline`.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// None could be done in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_until(clock::at(deadline))
    }

    fn ready_until(&mut self, deadline: u64) -> Result<usize, ReadyTimeoutError> {
        self.run(Goal::Know, Until::Then(deadline))
            .map(|won| won.index)
            .ok_or(ReadyTimeoutError)
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        Self {
            cases: self.cases.clone(),
            numbers: self.numbers.clone(),
            nodes: Vec::new(),
            next: self.next,
            is_biased: self.is_biased,
        }
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// An operation that has been chosen and must be completed, with the channel
/// end that it was added with.
///
/// Until then its partner, if there is one, is parked. Dropped, also by a
/// panic, it gives the partner back its place.
///
/// # Blocking
/// Its methods say.
///
/// # Panics
/// When dropped without having been completed, unless by a panic.
///
/// # Go
/// The body of a `case`.
#[must_use = "it must be completed"]
pub struct SelectedOperation<'a>(Won<'a>);

impl SelectedOperation<'_> {
    /// The number of the operation.
    #[must_use]
    #[inline]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Completes a send.
    ///
    /// # Blocking
    /// In a rendezvous with another selection: parks until that completes.
    ///
    /// # Errors
    /// The message, if the channel is closed or disconnected.
    ///
    /// # Panics
    /// When it is not `s` that was chosen.
    #[inline]
    pub fn send<T>(self, s: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        assert!(
            s.part().is_some_and(|part| self.0.is_at(part, Side::Send)),
            "passed a sender that wasn't selected"
        );
        let won = ManuallyDrop::new(self).0;
        let channel = s.channel().expect("only an open channel is won");
        channel.finish_send(won.deal, msg).map_err(SendError)
    }

    /// Completes a receive.
    ///
    /// # Blocking
    /// In a rendezvous with another selection: parks until that completes.
    ///
    /// # Errors
    /// The channel is closed or disconnected, and empty.
    ///
    /// # Panics
    /// When it is not `r` that was chosen.
    #[inline]
    pub fn recv<T>(self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(
            r.part().is_some_and(|part| self.0.is_at(part, Side::Recv)),
            "passed a receiver that wasn't selected"
        );
        let won = ManuallyDrop::new(self).0;
        r.finish(won.deal, won.room).ok_or(RecvError)
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        self.0.give_back();
        if !std::thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl<T> Receiver<T> {
    #[doc(hidden)]
    #[inline]
    pub fn __recv_case(&self) -> Case<'_> {
        self.as_case()
    }

    #[doc(hidden)]
    #[inline]
    pub fn __finish_recv(&self, operation: SelectedOperation<'_>) -> Result<T, RecvError> {
        operation.recv(self)
    }
}

impl<T> Sender<T> {
    #[doc(hidden)]
    #[inline]
    pub fn __send_case(&self) -> Case<'_> {
        self.as_case()
    }

    #[doc(hidden)]
    #[inline]
    pub fn __finish_send(
        &self,
        operation: SelectedOperation<'_>,
        msg: T,
    ) -> Result<(), SendError<T>> {
        operation.send(self, msg)
    }
}

/// What the macros call.
pub(crate) mod calls {
    use super::{
        Case, Duration, Goal, NodeSlot, Reason, SelectedOperation, Selection, Until, clock,
        poll_point,
    };

    /// `select!` without a default.
    #[inline(always)]
    pub fn select<const N: usize>(cases: [Case<'_>; N], biased: bool) -> SelectedOperation<'_> {
        let nodes = [const { NodeSlot::new() }; N];
        let selection = Selection::new(&cases, &nodes, biased, Goal::Take, Until::Ever);
        match selection.run() {
            Some(won) => SelectedOperation(won),
            None => unreachable!("a selection without a deadline came late"),
        }
    }

    /// `select!` with a default.
    #[inline]
    pub fn try_select<const N: usize>(
        cases: [Case<'_>; N],
        biased: bool,
    ) -> Option<SelectedOperation<'_>> {
        // Before the try: what is won must not be lost in an unwind.
        poll_point();
        let selection = Selection::new(&cases, &[], biased, Goal::Take, Until::Now);
        let won = selection.try_now();
        won.map(SelectedOperation)
    }

    /// `select!` with a default after some time.
    pub fn select_timeout<const N: usize>(
        cases: [Case<'_>; N],
        biased: bool,
        timeout: Duration,
    ) -> Option<SelectedOperation<'_>> {
        let until = Until::Then(clock::after(timeout));
        let nodes = [const { NodeSlot::new() }; N];
        let selection = Selection::new(&cases, &nodes, biased, Goal::Take, until);
        selection.run().map(SelectedOperation)
    }

    /// `select! {}`.
    pub fn block_for_ever() -> ! {
        loop {
            crate::clocks::wait_until(crate::part::NEVER, Reason::SelectNoCases);
        }
    }
}
