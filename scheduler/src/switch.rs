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
pub(crate) struct Coroutine {
    raw: ManuallyDrop<Raw<Woken, Left, (), OnStack>>,
    #[cfg(raddle_tsan)]
    fiber: fiber::Fiber,
}

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
        let raw = Raw::with_stack(OnStack(stack), move |yielder: &Yielder, _first| {
            // SAFETY: the contract of `body` is this function's 1.
            unsafe { body(header, yielder) }
            about_to_leave();
        });
        Self {
            raw: ManuallyDrop::new(raw),
            #[cfg(raddle_tsan)]
            fiber: fiber::Fiber::new(),
        }
    }

    /// Runs until the goroutine leaves its stack; `woken` is what the park it
    /// was in returns.
    pub(crate) fn resume(&mut self, woken: Woken) -> Left {
        #[cfg(raddle_tsan)]
        let _until_it_leaves = self.fiber.enter();
        match self.raw.resume(woken) {
            CoroutineResult::Yield(left) => left,
            CoroutineResult::Return(()) => Left::Ended,
        }
    }

    /// Takes the stack of one that has ended.
    pub(crate) fn into_stack(self) -> Stack {
        debug_assert!(self.raw.done());
        ManuallyDrop::into_inner(self.raw).into_stack().0
    }
}

/// To be called right before a goroutine leaves its stack: the thread
/// sanitizer wants to know. Nothing otherwise.
#[inline(always)]
pub(crate) fn about_to_leave() {
    #[cfg(raddle_tsan)]
    fiber::leave();
}

/// The thread sanitizer's view of stacks: .ci/sanitizers.
#[cfg(raddle_tsan)]
mod fiber {
    use std::cell::Cell;
    use std::ffi::{c_uint, c_void};
    use std::ptr;

    unsafe extern "C" {
        fn __tsan_get_current_fiber() -> *mut c_void;
        fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
        fn __tsan_destroy_fiber(fiber: *mut c_void);
        fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
    }

    thread_local! {
        /// Who resumed the goroutine that this thread runs.
        static RESUMER: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
    }

    pub(super) struct Fiber(*mut c_void);

    impl Fiber {
        pub(super) fn new() -> Self {
            // SAFETY: no contract; the sanitizer's runtime is linked.
            Self(unsafe { __tsan_create_fiber(0) })
        }

        /// Right before the goroutine is resumed. What this thread did before
        /// is before what the goroutine does, as 0 says.
        #[inline(never)]
        pub(super) fn enter(&self) -> Resumed {
            // SAFETY: as in `new`.
            let resumer = unsafe { __tsan_get_current_fiber() };
            let resumed = Resumed(RESUMER.replace(resumer));
            // SAFETY: it is alive while `self` is, and runs nowhere else.
            unsafe { __tsan_switch_to_fiber(self.0, 0) }
            resumed
        }
    }

    /// A goroutine that captures another one resumes it, and has a resumer
    /// itself.
    pub(super) struct Resumed(*mut c_void);

    impl Drop for Resumed {
        fn drop(&mut self) {
            RESUMER.set(self.0);
        }
    }

    impl Drop for Fiber {
        fn drop(&mut self) {
            // SAFETY: its goroutine has ended, and nobody is on it.
            unsafe { __tsan_destroy_fiber(self.0) }
        }
    }

    #[inline(never)]
    pub(super) fn leave() {
        // SAFETY: who resumed us waits for it, on this thread.
        unsafe { __tsan_switch_to_fiber(RESUMER.get(), 0) }
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
