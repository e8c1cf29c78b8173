//! Which waits make a ring, and which do not.

use super::{Asked, Graph, Held, Kind, LockId, Mode, Reason, Want};
use Mode::{Alone, Read, Upgradable};
use std::panic::Location;

/// One more in line, who holds `held`; whether it closes a ring.
#[track_caller]
fn stand(graph: &mut Graph, lock: LockId, want: Want, held: &[(LockId, Mode)]) -> (u64, bool) {
    let asked = Asked {
        lock,
        kind: Kind::RwLock,
        want,
        site: Location::caller(),
        reason: Reason::RwLockWrite,
    };
    let held: Vec<Held> = held
        .iter()
        .map(|&(lock, mode)| Held {
            lock,
            mode,
            site: Location::caller(),
        })
        .collect();
    let number = graph.add(crate::park::current(), asked, &held);
    (number, graph.look_for_ring(number))
}

/// Cases: who stands, in order, and that the last one closes a ring.
#[test]
fn rings_are_found_when_they_close() {
    type Wait = (LockId, Want, &'static [(LockId, Mode)]);
    let closed: &[&[Wait]] = &[
        // One, by itself.
        &[(1, Want::Alone, &[(1, Alone)])],
        &[(1, Want::Alone, &[(1, Read)])],
        &[(1, Want::Gate, &[(1, Upgradable), (1, Read)])],
        &[(1, Want::ReadBeside, &[(1, Alone)])],
        &[(1, Want::Upgradable, &[(1, Upgradable)])],
        // Two, in either order, with locks and readers between.
        &[
            (2, Want::Alone, &[(1, Alone)]),
            (1, Want::Alone, &[(2, Alone)]),
        ],
        &[
            (2, Want::Alone, &[(3, Alone), (1, Alone), (4, Read)]),
            (9, Want::Alone, &[(8, Alone)]),
            (1, Want::Alone, &[(2, Alone)]),
        ],
        &[
            (2, Want::Gate, &[(1, Read)]),
            (1, Want::Gate, &[(2, Read)]),
        ],
        &[
            (2, Want::Read, &[(1, Read)]),
            (1, Want::Gate, &[(2, Alone)]),
        ],
        // Three.
        &[
            (2, Want::Alone, &[(1, Alone)]),
            (1, Want::Alone, &[(3, Alone)]),
            (3, Want::Alone, &[(2, Alone)]),
        ],
        // A reader comes again behind the writer who waits for it.
        &[
            (1, Want::Gate, &[]),
            (1, Want::Read, &[(1, Read)]),
        ],
        // A writer in line behind the one who waits for its reader.
        &[
            (1, Want::Gate, &[]),
            (1, Want::Alone, &[(2, Alone)]),
            (2, Want::Alone, &[(1, Read)]),
        ],
    ];
    for (case, waits) in closed.iter().enumerate() {
        let mut graph = Graph::new();
        let (last, before) = waits.split_last().unwrap();
        for (lock, want, held) in before {
            assert!(!stand(&mut graph, *lock, *want, held).1, "{case}: early");
        }
        let (lock, want, held) = last;
        assert!(stand(&mut graph, *lock, *want, held).1, "{case}: not found");
        let found = graph.take_due(u64::MAX);
        assert_eq!(found.len(), 1, "{case}");
        assert!(graph.take_due(u64::MAX).is_empty(), "{case}: twice");
    }
}

#[test]
fn what_is_no_ring_is_not_taken_for_one() {
    type Wait = (LockId, Want, &'static [(LockId, Mode)]);
    let open: &[&[Wait]] = &[
        &[(1, Want::Alone, &[])],
        &[
            (1, Want::Alone, &[(2, Alone)]),
            (1, Want::Alone, &[(2, Alone)]),
        ],
        // Readers do not wait for readers, nor for who may write later.
        &[
            (2, Want::Read, &[(1, Read)]),
            (1, Want::Read, &[(2, Read)]),
        ],
        &[
            (2, Want::Upgradable, &[(1, Read)]),
            (1, Want::Upgradable, &[(2, Read)]),
        ],
        &[(1, Want::Gate, &[(1, Upgradable)])],
        // A reader that came before this writer was let in by another.
        &[
            (1, Want::Read, &[(2, Alone)]),
            (1, Want::Gate, &[]),
            (2, Want::Alone, &[(1, Read)]),
        ],
        // Who reads already minds no writer that waits.
        &[
            (1, Want::Gate, &[]),
            (1, Want::ReadBeside, &[(1, Read)]),
        ],
    ];
    for (case, waits) in open.iter().enumerate() {
        let mut graph = Graph::new();
        for (lock, want, held) in *waits {
            assert!(!stand(&mut graph, *lock, *want, held).1, "{case}");
        }
    }
}

#[test]
fn a_ring_waits_for_goroutines_that_may_have_a_guard() {
    let mut graph = Graph::new();
    assert!(stand(&mut graph, 1, Want::Alone, &[(1, Alone)]).1);
    graph.locals = 1;
    assert!(graph.take_due(u64::MAX).is_empty());
    graph.locals = 0;
    assert_eq!(graph.take_due(u64::MAX).len(), 1);
}

#[test]
fn a_ring_that_is_broken_is_forgotten() {
    let mut graph = Graph::new();
    let (first, _) = stand(&mut graph, 2, Want::Alone, &[(1, Alone)]);
    let (second, closes) = stand(&mut graph, 1, Want::Alone, &[(2, Alone)]);
    assert!(closes);
    graph.disown(1);
    assert!(graph.take_due(u64::MAX).is_empty());

    let (third, closes) = stand(&mut graph, 1, Want::Alone, &[(1, Alone)]);
    assert!(closes);
    for number in [first, second, third] {
        assert!(graph.remove(number).is_some());
    }
    assert!(graph.take_due(u64::MAX).is_empty());
    assert!(graph.holders.is_empty());
    assert!(graph.gates.is_empty());
    assert!(graph.standing.is_empty());
}

/// Many who wait for one lock cost each other nothing.
#[test]
fn a_long_line_is_looked_through_once() {
    let mut graph = Graph::new();
    for _ in 0..10_000 {
        assert!(!stand(&mut graph, 1, Want::Alone, &[(2, Read)]).1);
    }
}
