//! Blocks are owned once, wander, and go back.

use super::*;
use crate::shim::fixed::AtomicUsize;
use crate::shim::Relaxed;
use std::collections::BTreeMap;
use std::thread;

/// A class for each test: the reserve is the process's.
fn class(grains: usize) -> Class {
    Class::of(Layout::from_size_align(grains * GRAIN - MARK, GRAIN).unwrap()).unwrap()
}

fn made(class: Class) -> usize {
    RESERVE.lock()[class.0].made
}

fn fill(block: NonNull<u8>, class: Class, with: u8) {
    // SAFETY: taken, and of this size.
    unsafe { block.write_bytes(with, class.stride() - MARK) };
}

/// Gives a block back that is full of `with` as it should be.
fn put(pool: &mut Pool, class: Class, block: NonNull<u8>, with: u8) {
    // SAFETY: taken, and filled.
    let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), class.stride() - MARK) };
    assert!(bytes.iter().all(|byte| *byte == with), "another wrote here");
    // SAFETY: 1. taken as one of this class.
    unsafe { pool.put(class, block) };
}

#[test]
fn a_class_holds_what_it_should() {
    for size in [0, 1, 7, 8, 9, 200, 216, 217, LARGEST] {
        for align in [1, 8, 16] {
            let class = Class::of(Layout::from_size_align(size, align).unwrap()).unwrap();
            assert!(class.stride() >= size + MARK && class.stride() <= size + MARK + 15 + 8);
            assert!(class.0 < CLASSES);
        }
    }
    assert!(Class::of(Layout::from_size_align(LARGEST + 1, 8).unwrap()).is_none());
    assert!(Class::of(Layout::from_size_align(64, 32).unwrap()).is_none());
}

#[test]
fn the_last_put_is_taken_first() {
    let class = class(2);
    let mut pool = Pool::new();
    let blocks: Vec<_> = (0..100).map(|_| pool.take(class)).collect();
    for &block in &blocks {
        assert!(block.addr().get().is_multiple_of(GRAIN));
        fill(block, class, 1);
        put(&mut pool, class, block, 1);
    }
    for &block in blocks.iter().rev() {
        assert_eq!(pool.take(class), block);
    }
    for block in blocks {
        fill(block, class, 2);
        put(&mut pool, class, block, 2);
    }
}

#[test]
fn whole_chunks_go_back() {
    const MANY: usize = 20_000;
    let class = class(3);
    let mut pool = Pool::new();
    let blocks: Vec<_> = (0..MANY).map(|_| pool.take(class)).collect();
    assert!(made(class) >= MANY);
    let (kept, rest) = blocks.split_first().unwrap();
    for &block in rest {
        fill(block, class, 3);
        put(&mut pool, class, block, 3);
    }
    pool.drain();
    // Other tests may sweep too.
    sweep();
    let left = made(class);
    assert!(left <= CHUNK / class.stride(), "{left}");
    assert!(left > 0, "a block is in use");
    fill(*kept, class, 4);
    put(&mut pool, class, *kept, 4);
    pool.drain();
    sweep();
    assert_eq!(made(class), 0);
}

#[test]
fn what_is_asked_for_stays() {
    let class = class(4);
    let _nobody_else_sweeps = SWEEP.lock();
    let mut pool = Pool::new();
    for _ in 0..3 {
        let blocks: Vec<_> = (0..1000).map(|_| pool.take(class)).collect();
        for block in blocks {
            fill(block, class, 5);
            put(&mut pool, class, block, 5);
        }
    }
    let before = made(class);
    pool.drain();
    let packs = RESERVE.lock()[class.0].packs.len();
    RESERVE.lock()[class.0].unused = 0;
    let first = pool.take(class);
    assert!(RESERVE.lock()[class.0].packs.len() < packs);
    assert_eq!(made(class), before, "not a new chunk");
    fill(first, class, 6);
    put(&mut pool, class, first, 6);
}

/// No block has two owners, and none is lost, whoever puts it.
#[test]
fn blocks_wander_between_threads() {
    const ROUNDS: usize = 300;
    const EACH: usize = 200;
    let class = class(5);
    let passing = std::sync::Mutex::new(Vec::new());
    let took = AtomicUsize::new(0);
    thread::scope(|scope| {
        for me in 1..=4_u8 {
            let (passing, took) = (&passing, &took);
            scope.spawn(move || {
                let mut pool = Pool::new();
                for round in 0..ROUNDS {
                    for _ in 0..EACH {
                        let outside = me == 4;
                        let block = if outside {
                            take_outside(class)
                        } else {
                            pool.take(class)
                        };
                        fill(block, class, me);
                        // ORDER: Relaxed: a count.
                        took.fetch_add(1, Relaxed);
                        passing.lock().unwrap().push((block.addr().get(), me));
                    }
                    let some: Vec<(usize, u8)> = {
                        let mut all = passing.lock().unwrap();
                        let from = all.len() / 3;
                        all.drain(from..).collect()
                    };
                    for (block, with) in some {
                        let block = NonNull::new(block as *mut u8).unwrap();
                        put(&mut pool, class, block, with);
                    }
                    if round % 50 == 0 {
                        pool.drain();
                        sweep_unused();
                        sweep();
                    }
                }
            });
        }
    });
    let mut pool = Pool::new();
    let left = passing.into_inner().unwrap();
    let distinct: BTreeMap<usize, u8> = left.iter().copied().collect();
    assert_eq!(distinct.len(), left.len());
    for (block, with) in left {
        put(&mut pool, class, NonNull::new(block as *mut u8).unwrap(), with);
    }
    pool.drain();
    let mut reserve = RESERVE.lock();
    let outside: Vec<Pack> = reserve[class.0].outside.empty(class).collect();
    outside.into_iter().for_each(|pack| reserve[class.0].put(pack));
    drop(reserve);
    sweep();
    assert_eq!(made(class), 0, "all are there again");
}
