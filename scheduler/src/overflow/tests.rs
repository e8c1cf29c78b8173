use super::*;
use crate::shim::Relaxed;
use crate::shim::fixed::AtomicUsize;
use crate::stack::{Pool, Stack, page_size};
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

const SIZE: usize = 256 * 1024;

fn child(test: &str) -> Option<Output> {
    crate::stack::tests::child(module_path!(), test)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_plain_fault(output: &Output) {
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(!said(output).contains("overflow"), "{}", said(output));
}

#[expect(unconditional_recursion, reason = "that is what is tested")]
fn recurse(depth: usize) -> usize {
    let frame = black_box([depth; 64]);
    recurse(frame[depth % 64] + 1) + frame[1]
}

/// Steps over the guard's first pages, as a frame of C may.
fn big_frame(_: usize) -> usize {
    let here = 0_u8;
    let below = (&raw const here as usize) - SIZE - 16 * 1024;
    // SAFETY: none: it shall fault in the guard.
    unsafe { ptr::write_volatile(below as *mut u8, 1) };
    0
}

extern "C" fn start(body: *mut libc::c_void) -> *mut libc::c_void {
    on_this_thread();
    // SAFETY: `run_on` passes a function of this type.
    let body = unsafe { mem::transmute::<*mut libc::c_void, fn(usize) -> usize>(body) };
    black_box(body(1));
    ptr::null_mut()
}

/// A thread that stands on a stack of ours, as a goroutine would.
fn run_on(stack: &Stack, body: fn(usize) -> usize) {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: fills what it gets.
    unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    let memory = stack.limit() as *mut libc::c_void;
    // SAFETY: memory that nobody else uses, for as long as the thread.
    let done =
        unsafe { libc::pthread_attr_setstack(attributes.as_mut_ptr(), memory, stack.size()) };
    assert_eq!(done, 0);
    let mut thread = MaybeUninit::uninit();
    // SAFETY: filled above.
    let attributes = unsafe { attributes.assume_init() };
    // SAFETY: `start` takes what it gets here.
    let done = unsafe {
        libc::pthread_create(
            thread.as_mut_ptr(),
            &raw const attributes,
            start,
            body as *mut libc::c_void,
        )
    };
    assert_eq!(done, 0);
    // SAFETY: filled by the call that succeeded.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: joined once.
    unsafe { libc::pthread_join(thread, ptr::null_mut()) };
}

fn describe(owner: *mut (), out: &mut dyn Write) {
    let _ = write!(
        out,
        "goroutine {} \"deep\", spawned at here.rs:1:2",
        owner.addr()
    );
}

/// One that would be goroutine 7's.
fn stack_of_seven() -> Stack {
    install();
    set_describe(describe);
    let stack = Pool::new().take(SIZE).unwrap();
    // ORDER: Release: as the owner of the word does.
    stack.owner().store(ptr::without_provenance_mut(7), Release);
    stack
}

#[test]
fn an_overflow_is_reported() {
    let Some(output) = child("an_overflow_is_reported") else {
        run_on(&stack_of_seven(), recurse);
        unreachable!("endless");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = said(&output);
    let report = "fatal error: stack overflow in goroutine 7 \"deep\", spawned at \
                  here.rs:1:2: its stack of 256 KiB is used up; spawn it with \
                  Builder::stack_size, set RADDLE_STACK_SIZE, or run the deep part in \
                  raddle::on_big_stack\n";
    assert!(said.ends_with(report), "{said}");
}

#[test]
fn a_frame_that_skips_pages_is_caught() {
    let Some(output) = child("a_frame_that_skips_pages_is_caught") else {
        run_on(&stack_of_seven(), big_frame);
        unreachable!("faulted");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(said(&output).contains("stack overflow in goroutine 7"));
}

#[test]
fn a_deep_call_is_nobodys() {
    let Some(output) = child("a_deep_call_is_nobodys") else {
        let stack = stack_of_seven();
        // ORDER: Release: as above.
        stack.owner().store(ptr::null_mut(), Release);
        run_on(&stack, recurse);
        unreachable!("endless");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(said(&output).contains("stack overflow in a deep call"));
}

/// Two at once: one report, whole.
#[test]
fn two_overflows_are_one_report() {
    let Some(output) = child("two_overflows_are_one_report") else {
        let stacks = [(); 2].map(|()| stack_of_seven());
        std::thread::scope(|scope| {
            for stack in &stacks {
                scope.spawn(|| run_on(stack, recurse));
            }
        });
        unreachable!("endless");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert_eq!(said(&output).matches("fatal error").count(), 1);
}

#[test]
fn a_stray_pointer_is_no_overflow() {
    let Some(output) = child("a_stray_pointer_is_no_overflow") else {
        let stack = stack_of_seven();
        // SAFETY: none: it shall fault in the guard.
        unsafe { ptr::write_volatile((stack.limit() - 1) as *mut u8, 1) };
        unreachable!("faulted");
    };
    assert_plain_fault(&output);
}

#[test]
fn a_null_pointer_is_no_overflow() {
    let Some(output) = child("a_null_pointer_is_no_overflow") else {
        install();
        // SAFETY: none: it shall fault.
        unsafe { ptr::write_volatile(black_box(8_usize) as *mut u8, 1) };
        unreachable!("faulted");
    };
    assert_plain_fault(&output);
}

#[test]
fn a_signal_that_was_sent_still_kills() {
    let Some(output) = child("a_signal_that_was_sent_still_kills") else {
        // Under the system's own rule: std's handler takes a first signal
        // that is no fault and forgets it.
        // SAFETY: numbers in, nothing out.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
        install();
        // SAFETY: a number in, nothing out.
        unsafe { libc::raise(libc::SIGSEGV) };
        unreachable!("killed");
    };
    assert_plain_fault(&output);
}

/// std's own report of its threads is not lost.
#[test]
fn a_threads_overflow_is_stds() {
    let Some(output) = child("a_threads_overflow_is_stds") else {
        install();
        let thread = std::thread::Builder::new().name("plain".into());
        let _ = thread.spawn(|| black_box(recurse(1))).unwrap().join();
        unreachable!("endless");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = said(&output);
    assert!(said.contains("thread 'plain'"), "{said}");
    assert!(!said.contains("goroutine"), "{said}");
}

/// The program's handler, which was there first, mends the fault.
#[test]
fn a_handler_from_before_gets_its_faults() {
    static FAULTS: AtomicUsize = AtomicUsize::new(0);
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn mend(_: libc::c_int) {
        // ORDER: Relaxed: one thread.
        FAULTS.fetch_add(1, Relaxed);
        // ORDER: Relaxed: one thread.
        let page = PAGE.load(Relaxed) as *mut libc::c_void;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping of the test's.
        unsafe { libc::mprotect(page, page_size(), access) };
    }
    let Some(output) = child("a_handler_from_before_gets_its_faults") else {
        let handler: extern "C" fn(libc::c_int) = mend;
        // SAFETY: `mend` keeps to what a handler may do.
        unsafe { libc::signal(libc::SIGSEGV, handler as usize) };
        install();
        install();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new mapping, where the system likes.
        let page =
            unsafe { libc::mmap(ptr::null_mut(), page_size(), libc::PROT_NONE, flags, -1, 0) };
        // ORDER: Relaxed: one thread.
        PAGE.store(page as usize, Relaxed);
        // SAFETY: it faults, and is mended.
        unsafe { ptr::write_volatile(page.cast::<u8>(), 1) };
        // ORDER: Relaxed: one thread.
        assert_eq!(FAULTS.load(Relaxed), 1);
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_threads_alternate_stack_goes_with_it() {
    let Some(output) = child("a_threads_alternate_stack_goes_with_it") else {
        let thread = || {
            std::thread::spawn(|| {
                on_this_thread();
                let mine = current_alternate();
                assert_eq!(mine.ss_flags, 0);
                assert_eq!(mine.ss_size, ALTERNATE);
                on_this_thread();
                assert_eq!(current_alternate().ss_sp, mine.ss_sp);
            })
            .join()
            .unwrap();
        };
        let mappings = || {
            std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .lines()
                .count()
        };
        thread();
        let before = mappings();
        (0..100).for_each(|_| thread());
        assert!(mappings() < before + 20, "{} mappings", mappings());
        return;
    };
    assert!(output.status.success(), "{output:?}");
}
