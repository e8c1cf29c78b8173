//! A map that many read at once and few write, behind a read-write lock.
//!
//! ```sh
//! cargo run --example safe_map
//! ```
//!
//! In Go: a struct of a `sync.RWMutex` and the map it protects, by
//! convention. Here the map is inside the lock: `read` gives a guard through
//! which it can only be read, `write` one through which it can be changed.
//! Readers do not wait for each other; a writer waits for those who are in,
//! and new readers wait behind it.

use raddle::sync::{RwLock, WaitGroup};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
struct SafeMap {
    places: RwLock<BTreeMap<u32, u32>>,
}

impl SafeMap {
    fn get(&self, key: u32) -> Option<u32> {
        self.places.read().get(&key).copied()
    }

    fn set(&self, key: u32, value: u32) {
        self.places.write().insert(key, value);
    }

    fn get_or_insert(&self, key: u32, value: u32) -> u32 {
        // Most find it, beside others.
        if let Some(value) = self.get(key) {
            return value;
        }
        // Another may have come between the two locks: `entry` looks again.
        *self.places.write().entry(key).or_insert(value)
    }
}

#[raddle::main]
fn main() {
    let map = Arc::new(SafeMap::default());
    let group = WaitGroup::new();
    for key in 0..100 {
        let map = map.clone();
        group.go(move || map.set(key, key * key));
    }
    group.wait();

    for _ in 0..10 {
        let map = map.clone();
        group.go(move || {
            let found = (0..100).filter(|key| map.get(*key) == Some(key * key));
            assert_eq!(found.count(), 100);
        });
    }
    group.wait();
    raddle::println!("ten readers found all 100");

    let firsts = (0..10).map(|n| {
        let map = map.clone();
        raddle::spawn(move || map.get_or_insert(100, n) == n)
    });
    let firsts: Vec<_> = firsts.collect();
    let won = firsts.into_iter().filter_map(|it| it.join().ok());
    raddle::println!("inserted by {} of ten", won.filter(|won| *won).count());
    raddle::println!("entries: {}", map.places.read().len());
}
