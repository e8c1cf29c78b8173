//! Onto a goroutine's stack and back; the only door to corosensei.

use crate::goroutine::Header;
use crate::stack::Stack;
use crate::state::{Hold, Woken};
use corosensei::stack::StackPointer;
use corosensei::{Coroutine as Raw, CoroutineResult, Yielder as RawYielder};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Why a goroutine came back to the system stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Parks(Hold),
    Yields,
    Ended,
}

/// What a goroutine leaves its stack by; lives on that stack.
pub(crate) type Yielder = RawYielder<Woken, Left>;

/// A goroutine's code on its stack, standing still unless resumed.
///
/// Never dropped while suspended: frames that others borrow from may be on
/// the stack, and unwinding it from outside is not ours to decide. It is
/// taken apart by `into_stack` once it has ended, or leaked.
pub(crate) struct Coroutine(ManuallyDrop<Raw<Woken, Left, (), OnStack>>);

impl Coroutine {
    /// Prepares `body` to run on `stack` for `header`.
    ///
    /// # Safety
    /// 1. `header` stays alive until the coroutine has ended.
    pub(crate) unsafe fn new(
        stack: Stack,
        header: NonNull<Header>,
        body: unsafe fn(NonNull<Header>, &Yielder),
    ) -> Self {
        Self(ManuallyDrop::new(Raw::with_stack(
            OnStack(stack),
            move |yielder: &Yielder, _first| {
                // SAFETY: the contract of `body` is this function's 1.
                unsafe { body(header, yielder) }
            },
        )))
    }

    /// Runs until the goroutine leaves its stack; `woken` is what the park it
    /// was in returns.
    pub(crate) fn resume(&mut self, woken: Woken) -> Left {
        match self.0.resume(woken) {
            CoroutineResult::Yield(left) => left,
            CoroutineResult::Return(()) => Left::Ended,
        }
    }

    /// Takes the stack of one that has ended.
    pub(crate) fn into_stack(self) -> Stack {
        debug_assert!(self.0.done());
        ManuallyDrop::into_inner(self.0).into_stack().0
    }
}

/// Runs `f` on `stack`, which is free again when this returns. A panic in
/// `f` must not leave it.
pub(crate) fn on<R>(stack: Stack, f: impl FnOnce() -> R) -> (R, Stack) {
    let stack = OnStack(stack);
    let result = corosensei::on_stack(Lent(&stack), f);
    (result, stack.0)
}

/// A stack for the time of one call.
struct Lent<'a>(&'a OnStack);

// SAFETY: as `OnStack`, which it stands for.
unsafe impl corosensei::stack::Stack for Lent<'_> {
    fn base(&self) -> StackPointer {
        self.0.base()
    }

    fn limit(&self) -> StackPointer {
        self.0.limit()
    }
}

/// Our stack as corosensei wants to see it.
struct OnStack(Stack);

// SAFETY: a `Stack` is a range of memory that nobody else uses, with a guard
// below its limit; both addresses are aligned to 16 bytes.
unsafe impl corosensei::stack::Stack for OnStack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.0.base()).expect("a stack does not end at address 0")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.0.limit()).expect("a stack does not begin at address 0")
    }
}
