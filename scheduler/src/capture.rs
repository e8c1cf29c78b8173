//! The calls on a parked goroutine's stack.
//!
//! A goroutine's registers are corosensei's to save, so nobody else can walk
//! its stack from outside. It does that itself: whoever wants its calls makes
//! it `Captured` (`state.rs`), and resumes it on the spot, on whatever thread.
//! The code right behind the switch sees what it was resumed for, goes over
//! to the stack it was resumed from and unwinds from there, through its own
//! frames, and leaves again. So
//!
//! - no code of the program's runs, and no thread-local is read in its name;
//! - its own stack needs room for three calls, and not for the unwinder.
//!
//! While it is captured, nobody else resumes it, ends it or takes its stack.
//! Handles keep its header. A wake that comes meanwhile is remembered, and
//! paid by who captured it.

use crate::goroutine::Header;
use crate::report::Frame;
use crate::state::Woken;
use crate::stuck::StdWait;
use crate::switch::Left;
use std::sync::Arc;

#[cfg(feature = "backtrace")]
pub(crate) use shown::{Captured, Names, on_its_stack};
#[cfg(not(feature = "backtrace"))]
pub(crate) use unseen::{Captured, Names, on_its_stack};

#[cfg(feature = "backtrace")]
mod shown {
    use super::{Arc, Frame, Header, Left, StdWait, Woken};
    use crate::machine;
    use crate::schedule;
    use crate::stuck::std_wait;
    use crate::switch;
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::env;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ops::Range;
    use std::path::{Path, PathBuf};
    use std::ptr::{self, NonNull};
    use std::thread;

    /// The innermost so many calls are shown.
    const MOST_CALLS: usize = 128;
    /// Calls of the unwinder lie no further from each other.
    const NEAR: usize = 32 << 10;

    /// A goroutine that stands still while this lives.
    pub(crate) struct Captured<'a>(&'a Header);

    impl<'a> Captured<'a> {
        /// None unless it is parked. Waits for another's capture of it, which
        /// takes microseconds.
        pub(crate) fn begin(header: &'a Header) -> Option<Self> {
            while !header.state.capture() {
                if !header.state.is_captured() {
                    return None;
                }
                thread::yield_now();
            }
            Some(Self(header))
        }

        /// The addresses its calls return to, innermost first.
        pub(crate) fn walk(&self) -> Vec<usize> {
            self.walk_for(None).calls
        }

        /// Whether its stack holds one of `words`.
        pub(crate) fn mentions(&self, words: [usize; 2]) -> bool {
            self.walk_for(Some(words)).is_mentioned
        }

        fn walk_for(&self, words: Option<[usize; 2]>) -> Walk {
            let mut walk = Walk {
                calls: Vec::with_capacity(MOST_CALLS),
                words,
                is_mentioned: false,
            };
            // SAFETY: 1. captured, so ours; and whatever stack we are on, it
            // is not the goroutine's.
            let coroutine = unsafe { self.0.coroutine() };
            let Some(coroutine) = coroutine else {
                return walk;
            };
            let outer = WALK.replace(&raw mut walk);
            let left = coroutine.resume(Woken::Captured);
            WALK.set(outer);
            debug_assert!(matches!(left, Left::Parks(_)));
            walk
        }
    }

    impl Drop for Captured<'_> {
        fn drop(&mut self) {
            if self.0.state.release() {
                // SAFETY: 1. `release` left it to us.
                schedule::ready(unsafe { machine::runnable(NonNull::from(self.0)) });
            }
        }
    }

    /// What is found out on the way through a stack.
    struct Walk {
        calls: Vec<usize>,
        /// Looked for on it.
        words: Option<[usize; 2]>,
        is_mentioned: bool,
    }

    thread_local! {
        /// Where the goroutine that this thread captures writes what it finds.
        static WALK: Cell<*mut Walk> = const { Cell::new(ptr::null_mut()) };
    }

    #[inline(never)]
    fn current_walk() -> WalkRef {
        WalkRef(WALK.get())
    }

    struct WalkRef(*mut Walk);

    // SAFETY: used on the same thread, on the stack of who it belongs to.
    unsafe impl Send for WalkRef {}

    /// The goroutine, resumed to be captured, writes its calls and leaves, as
    /// often as it is; returns when it is resumed for good.
    #[cold]
    #[inline(never)]
    pub(crate) fn on_its_stack(header: &Header, left: Left) -> Woken {
        // SAFETY: 1. it runs on its stack.
        let yielder = unsafe { header.yielder() };
        let base = ptr::from_ref(yielder) as usize;
        let own = base - header.stack_size()..base + 2 * size_of::<usize>();
        loop {
            let to = current_walk();
            let own = own.clone();
            yielder.on_parent_stack(move || {
                // Nothing may unwind into frames of the goroutine.
                let walk = AssertUnwindSafe(|| walk(&to, &own));
                if catch_unwind(walk).is_err() {
                    crate::fatal::fatal!("a panic while a stack was walked");
                }
            });
            switch::about_to_leave();
            let woken = yielder.suspend(left);
            if woken != Woken::Captured {
                return woken;
            }
        }
    }

    /// From here, on the capturer's stack, through the goroutine's frames: on
    /// a stack for deep calls, if it has one, then on its `own`, and not
    /// further.
    fn walk(to: &WalkRef, own: &Range<usize>) {
        let here = 0_u8;
        let here = ptr::from_ref(&here) as usize;
        // SAFETY: its owner, on this stack, waits for the resume to return.
        let walk = unsafe { &mut *to.0 };
        let calls = &mut walk.calls;
        let mut innermost = None;
        backtrace::trace(|frame| {
            let at = frame.sp() as usize;
            if calls.is_empty() && at.abs_diff(here) < NEAR {
                // The unwinder's, and this one.
                return true;
            }
            if own.contains(&at) {
                innermost.get_or_insert(at);
            } else if innermost.is_some() {
                return false;
            }
            calls.push(frame.ip() as usize);
            calls.len() < MOST_CALLS
        });
        if let (Some(words), Some(innermost)) = (walk.words, innermost) {
            walk.is_mentioned = holds(innermost..own.end, words);
        }
    }

    /// Whether one of `words` is in a part of the goroutine's stack, which
    /// stands still.
    fn holds(stack: Range<usize>, words: [usize; 2]) -> bool {
        let begin = stack.start.next_multiple_of(size_of::<usize>());
        let mut places = (begin..stack.end).step_by(size_of::<usize>());
        places.any(|at| {
            let place: *const usize = ptr::with_exposed_provenance(at);
            // SAFETY: between a frame of the goroutine's and its base, and
            // aligned; nobody writes there now. Whatever it is, it is read as
            // a number, and volatile: it is nobody's variable.
            words.contains(&unsafe { place.read_volatile() })
        })
    }

    /// The names of calls, each looked up once.
    pub(crate) struct Names {
        known: HashMap<usize, Vec<(Whose, Arc<Frame>)>>,
        places: Places,
    }

    impl Names {
        pub(crate) fn new() -> Self {
            Self {
                known: HashMap::new(),
                places: Places::find(),
            }
        }

        /// What the calls show about a wait in a lock of std's.
        pub(crate) fn std_wait(&mut self, stack: &[usize]) -> Option<StdWait> {
            stack.iter().find_map(|&address| {
                let named = self.known.entry(address);
                let named = named.or_insert_with(|| look_up(address, &self.places));
                named.iter().find_map(|(_, frame)| std_wait(&frame.function))
            })
        }

        /// The program's calls, without what raddle does below, above and
        /// between them.
        pub(crate) fn of_stack(&mut self, stack: &[usize]) -> Vec<Arc<Frame>> {
            let mut calls = Vec::new();
            for &address in stack {
                let named = self.known.entry(address);
                let named = named.or_insert_with(|| look_up(address, &self.places));
                calls.extend_from_slice(named);
            }
            calls.retain(|(whose, _)| *whose != Whose::Machinery);
            while let Some((Whose::Std | Whose::Entry, _)) = calls.last() {
                calls.pop();
            }
            let above = |(whose, _): &(Whose, _)| *whose == Whose::Std;
            let calls = calls.into_iter().skip_while(above);
            calls.map(|(_, frame)| frame).collect()
        }
    }

    /// Whom a call belongs to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Whose {
        /// The program's, or of raddle's what it called.
        Program,
        Std,
        /// What raddle begins a goroutine of the program's with.
        Entry,
        /// The scheduler's, or the switch's.
        Machinery,
    }

    /// Where the files lie that calls belong to. Functions that were inlined
    /// have no paths to their names.
    struct Places {
        /// This crate's source.
        own: Option<PathBuf>,
        current: Option<PathBuf>,
    }

    impl Places {
        fn find() -> Self {
            let mut own = None;
            // As if returned to: behind the address looked for.
            let inside = on_its_stack as *const () as usize + 1;
            backtrace::resolve(inside as *mut _, |symbol| {
                let directory = symbol.filename().and_then(Path::parent);
                own = directory.map(Path::to_owned);
            });
            Self {
                own,
                current: env::current_dir().ok(),
            }
        }

        fn whose(&self, function: &str, file: Option<&Path>) -> Whose {
            let path = function.trim_start_matches('<');
            let is_path = path.contains("::");
            match path.split("::").next().unwrap_or(path) {
                "raddle_scheduler" | "corosensei" => return Whose::Machinery,
                // corosensei's, in assembly.
                "stack_call_trampoline" | "stack_init_trampoline" => return Whose::Machinery,
                "core" | "std" | "alloc" if is_path => return Whose::Std,
                "__rust_try" => return Whose::Std,
                _ => {}
            }
            if ENTRIES.iter().any(|(name, _)| path.starts_with(name)) {
                return Whose::Entry;
            }
            file.map_or(Whose::Program, |file| self.whose_file(file))
        }

        fn whose_file(&self, file: &Path) -> Whose {
            let text = file.to_string_lossy();
            if text.contains("/corosensei-0.") {
                return Whose::Machinery;
            }
            if text.starts_with("/rustc/") || text.contains("/rustlib/src/rust/library/") {
                return Whose::Std;
            }
            let Some(own) = &self.own else {
                return Whose::Program;
            };
            if file.starts_with(own) {
                return Whose::Machinery;
            }
            // In the workspace, or side by side as published.
            let beside = own.ancestors().nth(2);
            let is_beside = beside.is_some_and(|beside| file.starts_with(beside));
            if is_beside && ENTRIES.iter().any(|(_, end)| file.ends_with(end)) {
                return Whose::Entry;
            }
            Whose::Program
        }

        fn shown(&self, file: &Path) -> String {
            let current = self.current.as_deref();
            let inside = current.and_then(|current| file.strip_prefix(current).ok());
            inside.unwrap_or(file).display().to_string()
        }
    }

    const ENTRIES: [(&str, &str); 3] = [
        ("raddle::go::", "runtime/src/go.rs"),
        ("raddle::start::", "runtime/src/start.rs"),
        ("raddle::testing::", "runtime/src/testing.rs"),
    ];

    fn look_up(address: usize, places: &Places) -> Vec<(Whose, Arc<Frame>)> {
        let mut frames = Vec::new();
        backtrace::resolve(address as *mut _, |symbol| {
            let function = match symbol.name() {
                Some(name) => format!("{name:#}"),
                None => format!("{address:#x}"),
            };
            let whose = places.whose(&function, symbol.filename());
            let frame = Frame {
                function,
                file: symbol.filename().map(|file| places.shown(file)),
                line: symbol.lineno(),
            };
            frames.push((whose, Arc::new(frame)));
        });
        if frames.is_empty() {
            let frame = Frame {
                function: format!("{address:#x}"),
                file: None,
                line: None,
            };
            frames.push((Whose::Program, Arc::new(frame)));
        }
        frames
    }

    #[cfg(test)]
    mod tests {
        use super::{Path, Places, Whose};

        #[test]
        fn calls_are_told_apart_by_name_or_by_file() {
            let places = Places {
                own: Some("/a/scheduler/src".into()),
                current: Some("/a".into()),
            };
            let whose = |name, file: &str| places.whose(name, Some(Path::new(file)));
            assert_eq!(whose("app::main", "/a/src/main.rs"), Whose::Program);
            assert_eq!(whose("core", "/a/src/core.rs"), Whose::Program);
            assert_eq!(
                whose("raddle::time::sleep", "/a/runtime/src/time.rs"),
                Whose::Program
            );
            assert_eq!(
                whose("suspend", "/a/scheduler/src/machine.rs"),
                Whose::Machinery
            );
            assert_eq!(
                whose("suspend", "/b/scheduler/src/machine.rs"),
                Whose::Program
            );
            assert_eq!(whose("spawn", "/a/runtime/src/go.rs"), Whose::Entry);
            assert_eq!(whose("spawn", "/b/runtime/src/go.rs"), Whose::Program);
            assert_eq!(whose("raddle::go::spawn::{{closure}}", "?"), Whose::Entry);
            assert_eq!(whose("<core::ops::A as B>::c", "?"), Whose::Std);
            assert_eq!(
                whose("call_once", "/rustc/0/library/core/src/ops.rs"),
                Whose::Std
            );
            assert_eq!(places.shown(Path::new("/a/src/main.rs")), "src/main.rs");
        }
    }
}

#[cfg(not(feature = "backtrace"))]
mod unseen {
    use super::{Arc, Frame, Header, Left, StdWait, Woken};

    pub(crate) enum Captured {}

    impl Captured {
        pub(crate) fn begin(_header: &Header) -> Option<Self> {
            None
        }

        pub(crate) fn walk(&self) -> Vec<usize> {
            match *self {}
        }

        pub(crate) fn mentions(&self, _words: [usize; 2]) -> bool {
            match *self {}
        }
    }

    pub(crate) fn on_its_stack(_header: &Header, _left: Left) -> Woken {
        crate::fatal::fatal!("captured by nobody")
    }

    pub(crate) struct Names;

    impl Names {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn of_stack(&mut self, _stack: &[usize]) -> Vec<Arc<Frame>> {
            Vec::new()
        }

        pub(crate) fn std_wait(&mut self, _stack: &[usize]) -> Option<StdWait> {
            None
        }
    }
}
