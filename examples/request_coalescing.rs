//! A hundred ask for the same page at once, and it is fetched once.
//!
//! ```sh
//! cargo run --example request_coalescing
//! ```
//!
//! In Go: `golang.org/x/sync/singleflight`. Without it, a cache that has lost
//! a page sends everybody who asks for it to the database at the same moment.
//! `work_chan` fetches for the first who asks; the others are given a channel
//! to the same answer, as with `work` they would park for it. Afterwards the
//! key is free: the next to ask fetches anew.

use raddle::sync::WaitGroup;
use raddle::sync::singleflight::Group;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const CLIENTS: usize = 100;

#[derive(Default)]
struct Site {
    requests: Group<&'static str, String>,
    asked: AtomicUsize,
    fetches: AtomicUsize,
    shared: AtomicUsize,
}

// ORDER: Relaxed, all: they are counts, and nothing else is told by them.
impl Site {
    fn page(self: &Arc<Self>, name: &'static str) -> String {
        let site = self.clone();
        let answer = self.requests.work_chan(name, move || site.fetch(name));
        self.asked.fetch_add(1, Relaxed);
        let (page, is_shared) = answer.recv().expect("the fetch does not panic");
        self.shared.fetch_add(usize::from(is_shared), Relaxed);
        page
    }

    /// It is slow: it takes until all have asked.
    fn fetch(&self, name: &str) -> String {
        self.fetches.fetch_add(1, Relaxed);
        while self.asked.load(Relaxed) < CLIENTS {
            raddle::yield_now();
        }
        format!("the page about {name}")
    }
}

#[raddle::main]
fn main() {
    let site = Arc::new(Site::default());
    let clients = WaitGroup::new();
    for _ in 0..CLIENTS {
        let site = site.clone();
        clients.go(move || assert_eq!(site.page("looms"), "the page about looms"));
    }
    clients.wait();
    raddle::println!("clients: {CLIENTS}");
    raddle::println!("fetched: {}", site.fetches.load(Relaxed));
    raddle::println!("shared by: {}", site.shared.load(Relaxed));

    // It is no cache: who asks later fetches again.
    let _page = site.page("looms");
    raddle::println!("fetched: {}", site.fetches.load(Relaxed));
}
