use super::*;
use crate::shim::{Acquire, Release};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr;

const KIB: usize = 1024;
const USUAL: usize = 256 * KIB;
const CHILD: &str = "RADDLE_TEST_CHILD";

/// Runs a test again in a process of its own, where this is `None`.
pub(crate) fn child(module: &str, test: &str) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let (_, module) = module.split_once("::").expect("in a module");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(CHILD, test);
    Some(command.output().unwrap())
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "ran no test: {text}");
}

fn write(addr: usize) {
    // SAFETY: a stack of ours; where it is a guard the process shall die.
    unsafe { ptr::write_volatile(addr as *mut u8, 1) };
}

fn read(addr: usize) -> u8 {
    // SAFETY: a stack of ours.
    unsafe { ptr::read_volatile(addr as *const u8) }
}

/// Resident bytes of this process.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * page_size()
}

#[cfg(target_os = "linux")]
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().count()
}

#[test]
fn last_put_is_first_taken() {
    let mut pool = Pool::new();
    let [first, second] = [(); 2].map(|()| pool.take(USUAL).unwrap());
    let bases = [first.base(), second.base()];
    pool.put(first);
    pool.put(second);
    assert_eq!(pool.take(USUAL).unwrap().base(), bases[1]);
    assert_eq!(pool.take(USUAL).unwrap().base(), bases[0]);
}

#[test]
fn a_request_is_rounded_up_to_its_class() {
    let mut pool = Pool::new();
    for (asked, got) in [
        (0, slab::Class::of(0).unwrap().size()),
        (64 * KIB, 64 * KIB),
        (64 * KIB + 1, 128 * KIB),
        (USUAL, USUAL),
        (8 * KIB * KIB, 8 * KIB * KIB),
        (KIB * KIB * KIB, KIB * KIB * KIB),
    ] {
        let stack = pool.take(asked).unwrap();
        assert_eq!(stack.size(), got);
        assert_eq!(stack.base() % 16, 0);
        let usable = stack.base() - stack.limit();
        assert!((got - 2 * KIB..=got).contains(&usable), "{usable}");
        write(stack.base() - 1);
        write(stack.limit());
        pool.put(stack);
    }
    let error = pool.take(KIB * KIB * KIB + 1).unwrap_err();
    assert!(error.to_string().contains("1 GiB"), "{error}");
    assert!(pool.take(usize::MAX).is_err());
}

#[test]
fn an_address_is_located() {
    let mut pool = Pool::new();
    let stack = pool.take(USUAL).unwrap();
    let me = ptr::without_provenance_mut(0x1230);
    // ORDER: Release: as the owner of the word does.
    stack.owner().store(me, Release);
    for (addr, in_guard) in [
        (stack.base() - 1, false),
        (stack.limit(), false),
        (stack.limit() - 1, true),
        (stack.limit() - GUARD, true),
    ] {
        let located = locate(addr).unwrap();
        assert_eq!(located.in_guard, in_guard);
        assert_eq!(located.size, USUAL);
        assert_eq!(located.owner, me);
    }
    let below = locate(stack.limit() - GUARD - 1);
    assert_ne!(below.map(|located| located.owner), Some(me));
    let local = 0;
    assert!(locate(&raw const local as usize).is_none());
    let mut seen = 0;
    for_each_owner(|owner| seen += usize::from(owner == me));
    assert_eq!(seen, 1);
    // ORDER: Release, Acquire: as above.
    stack.owner().store(ptr::null_mut(), Release);
    assert!(stack.owner().load(Acquire).is_null());
    pool.put(stack);
}

/// What starts on one machine and ends on another comes back.
#[test]
fn stacks_put_elsewhere_are_used_again() {
    let Some(output) = child(module_path!(), "stacks_put_elsewhere_are_used_again") else {
        let (mut starts, mut ends) = (Pool::new(), Pool::new());
        for _ in 0..20 {
            let stacks: Vec<_> = (0..1000).map(|_| starts.take(USUAL).unwrap()).collect();
            stacks.into_iter().for_each(|stack| ends.put(stack));
        }
        let stats = stats();
        let made = stats.guards_by_marker + stats.guards_by_mprotect;
        assert!(made <= 1000 + 256 + 128, "{stats:?}");
        assert_eq!(stats.hot, made);
        // A machine's end leaves nothing behind.
        drop(ends);
        drop(starts);
        let mut others = Pool::new();
        let stacks: Vec<_> = (0..1000).map(|_| others.take(USUAL).unwrap()).collect();
        assert_eq!(super::stats().guards_by_marker, stats.guards_by_marker);
        drop(stacks);
        return;
    };
    assert_passed(&output);
}

/// Threads take and put as they like: no two hold one stack.
#[test]
fn no_stack_is_held_twice() {
    std::thread::scope(|scope| {
        for thread in 1..=3_usize {
            scope.spawn(move || {
                let mut pool = Pool::new();
                let mut held = Vec::new();
                let me = ptr::without_provenance_mut(thread << 4);
                for turn in 0..20_000 {
                    if turn * 7 % 11 < 6 && held.len() < 600 {
                        let stack = pool.take(128 * KIB).unwrap();
                        // ORDER: AcqRel: a second holder would see it.
                        let was = stack.owner().swap(me, crate::shim::AcqRel);
                        assert!(was.is_null());
                        held.push(stack);
                    } else if let Some(stack) = held.pop() {
                        // ORDER: AcqRel: as above.
                        let was = stack.owner().swap(ptr::null_mut(), crate::shim::AcqRel);
                        assert_eq!(was, me);
                        pool.put(stack);
                    }
                    if turn % 5000 == 0 {
                        pool.trim();
                        trim_unused();
                    }
                }
                for stack in held {
                    // ORDER: Release: as above.
                    stack.owner().store(ptr::null_mut(), Release);
                    pool.put(stack);
                }
            });
        }
    });
}

#[test]
fn a_guard_kills() {
    let Some(output) = child(module_path!(), "a_guard_kills") else {
        let stack = Pool::new().take(USUAL).unwrap();
        write(stack.limit());
        write(stack.limit() - GUARD / 2);
        unreachable!("wrote to a guard");
    };
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
}

/// One page a stack, and one mapping for all of them.
#[test]
#[cfg(target_os = "linux")]
fn many_stacks_cost_a_page_each() {
    const MANY: usize = 20_000;
    let Some(output) = child(module_path!(), "many_stacks_cost_a_page_each") else {
        let mut pool = Pool::new();
        let _warm = pool.take(USUAL).unwrap();
        let before = (resident(), mappings());
        let mut stacks = Vec::with_capacity(MANY);
        for _ in 0..MANY {
            let stack = pool.take(USUAL).unwrap();
            write(stack.base() - 1);
            stacks.push(stack);
        }
        let more = (resident() - before.0) / MANY;
        assert!(more < page_size() + 100, "{more} bytes a stack");
        if stats().guards_by_mprotect == 0 {
            assert!(mappings() <= before.1 + 8, "{} mappings", mappings());
        }
        return;
    };
    assert_passed(&output);
}

#[test]
#[cfg(target_os = "linux")]
fn trim_gives_memory_back() {
    const DEEP: usize = 128 * KIB;
    let Some(output) = child(module_path!(), "trim_gives_memory_back") else {
        let mut pool = Pool::new();
        let stacks: Vec<_> = (0..1000).map(|_| pool.take(USUAL).unwrap()).collect();
        let before = resident();
        for stack in &stacks {
            for page in (0..DEEP).step_by(4096) {
                write(stack.base() - page - 1);
            }
        }
        let deep = resident();
        assert!(deep - before > 900 * DEEP, "{}", deep - before);
        stacks.into_iter().for_each(|stack| pool.put(stack));
        let given_back = pool.trim() + trim_shared();
        assert!(given_back >= 900 * page_size(), "{given_back}");
        let after = resident();
        assert!(after < before, "{after} of {before} and {deep}");
        assert_eq!(pool.trim(), 0, "nothing was put since");
        assert_eq!(
            stats().given_back,
            stats().guards_by_marker + stats().guards_by_mprotect - 16
        );
        // They are still guarded stacks, and empty.
        let reserved = stats().reserved;
        for stack in (0..1000).map(|_| pool.take(USUAL).unwrap()) {
            assert_eq!(read(stack.limit() + DEEP), 0);
        }
        assert_eq!(stats().reserved, reserved);
        return;
    };
    assert_passed(&output);
}

/// While machines still ask for them the shared stacks stay hot.
#[test]
fn only_unused_stacks_are_chilled() {
    let Some(output) = child(module_path!(), "only_unused_stacks_are_chilled") else {
        let mut pool = Pool::new();
        let mut round = |count: usize| {
            let stacks: Vec<_> = (0..count).map(|_| pool.take(USUAL).unwrap()).collect();
            stacks.into_iter().for_each(|stack| pool.put(stack));
        };
        round(2000);
        trim_unused();
        round(2000);
        assert_eq!(trim_unused(), 0, "all were asked for");
        round(500);
        assert!(trim_unused() > 1000 * page_size());
        return;
    };
    assert_passed(&output);
}

/// Where the program locks its memory marks are refused; guards are made all
/// the same, and slabs are not filled.
#[test]
#[cfg(target_os = "linux")]
fn locked_memory() {
    let Some(output) = child(module_path!(), "locked_memory") else {
        let mut pool = Pool::new();
        let early = pool.take(USUAL).unwrap();
        // SAFETY: a number in, nothing out.
        if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
            eprintln!("may not lock memory here: not tested");
            return;
        }
        let before = resident();
        let stacks: Vec<_> = (0..500).map(|_| pool.take(USUAL).unwrap()).collect();
        let more = resident() - before;
        assert!(more < 500 * 3 * page_size(), "{more} bytes for 500 stacks");
        assert!(stats().guards_by_mprotect > 400, "{:?}", stats());
        assert!(pool.trim() == 0 || stats().given_back > 0);
        pool.put(early);
        write(stacks[499].limit());
        write(stacks[499].limit() - 1);
        unreachable!("wrote to a guard");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !said.contains("not tested") {
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// Without marks the number of mappings is the limit. It is named, and the
/// rest of the program can go on.
#[test]
#[cfg(target_os = "linux")]
fn too_many_mappings() {
    let Some(output) = child(module_path!(), "too_many_mappings") else {
        // ORDER: Relaxed: one thread.
        memory::tests::NO_MARKERS.store(true, Relaxed);
        let mut pool = Pool::new();
        let mut stacks = Vec::new();
        let error = loop {
            match pool.take(USUAL) {
                Ok(stack) => stacks.push(stack),
                Err(error) => break error,
            }
            assert!(stacks.len() < 10_000_000);
        };
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
        assert_eq!(stats().guards_by_mprotect, memory::most_splits());
        assert_eq!(stats().guards_by_marker, 0);
        assert_eq!(stacks.len(), memory::most_splits());
        std::thread::spawn(|| drop(vec![0_u8; 64 << 20]))
            .join()
            .unwrap();
        // One that ends makes room for another.
        pool.put(stacks.pop().unwrap());
        let last = pool.take(USUAL).unwrap();
        assert!(pool.take(USUAL).is_err());
        // Once marks are to be had the slots left over are used.
        // ORDER: Relaxed: one thread.
        memory::tests::NO_MARKERS.store(false, Relaxed);
        let one_more = pool.take(USUAL).unwrap();
        assert_eq!(locate(one_more.base() - 1).unwrap().size, USUAL);
        write(last.limit() - 1);
        unreachable!("wrote to a guard");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// A limit on address space is named, after all of it was used.
#[test]
#[cfg(target_os = "linux")]
fn too_little_address_space() {
    let Some(output) = child(module_path!(), "too_little_address_space") else {
        const LIMIT: usize = 4 << 30;
        let limit = libc::rlimit {
            rlim_cur: LIMIT as libc::rlim_t,
            rlim_max: LIMIT as libc::rlim_t,
        };
        // SAFETY: takes numbers.
        let done = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
        assert_eq!(done, 0);
        let mut pool = Pool::new();
        let mut stacks = Vec::with_capacity(LIMIT / USUAL);
        let error = loop {
            match pool.take(USUAL) {
                Ok(stack) => stacks.push(stack),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
        assert!(
            stacks.len() * (USUAL + GUARD) > LIMIT * 9 / 10,
            "{}",
            stacks.len()
        );
        return;
    };
    assert_passed(&output);
}

/// For `docs/decisions/cold-stacks.md`:
/// `cargo test --release -p raddle-scheduler -- --ignored figures --nocapture`
#[test]
#[ignore = "prints figures"]
#[cfg(target_os = "linux")]
fn figures() {
    use std::hint::black_box;
    use std::time::Instant;

    const MANY: usize = 100_000;
    let mut rounds = [const { Vec::new() }; 6];
    let mut pool = Pool::new();
    let time = |into: &mut Vec<f64>, per: usize, run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        into.push(start.elapsed().as_nanos() as f64 / per as f64);
    };
    let take_all = |pool: &mut Pool| -> Vec<Stack> {
        let take = |_| {
            let stack = pool.take(black_box(USUAL)).unwrap();
            write(stack.base() - 1);
            stack
        };
        (0..MANY).map(take).collect()
    };
    for _ in 0..7 {
        let [same, hundred, cold, put, hot, chilled] = &mut rounds;
        time(same, MANY, &mut || {
            for _ in 0..MANY {
                let stack = black_box(&mut pool).take(black_box(USUAL)).unwrap();
                black_box(&mut pool).put(stack);
            }
        });
        let mut held = Vec::with_capacity(100);
        time(hundred, MANY, &mut || {
            for _ in 0..MANY / 100 {
                held.extend((0..100).map(|_| black_box(&mut pool).take(USUAL).unwrap()));
                held.drain(..).for_each(|stack| pool.put(stack));
            }
        });
        let mut all = Vec::new();
        // Stacks in use stay so: the next ones have never been used.
        time(cold, MANY, &mut || all = take_all(&mut pool));
        let mut own = Pool::new();
        time(put, MANY, &mut || {
            all.drain(..).for_each(|stack| own.put(stack))
        });
        time(hot, MANY, &mut || all = take_all(&mut own));
        all.drain(..).for_each(|stack| own.put(stack));
        drop(own);
        trim_shared();
        time(chilled, MANY, &mut || all = take_all(&mut pool));
        // Leaked; the pages go back, so that all rounds are alike.
        let memory: Vec<_> = all.iter().map(Stack::whole).collect();
        // SAFETY: 1. nobody runs on them.
        unsafe { memory::give_back(&memory) };
    }
    for (name, mut of) in [
        "take and put, the same one",
        "take and put, by hundreds",
        "take and touch, never used",
        "put, 100,000 after another",
        "take and touch, 100,000 hot ones",
        "take and touch, given back before",
    ]
    .into_iter()
    .zip(rounds)
    {
        of.sort_by(f64::total_cmp);
        println!(
            "{name:<40} {:>8.1} ns ({:.1} .. {:.1})",
            of[3], of[0], of[6]
        );
    }
}
