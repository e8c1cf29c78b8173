//! Methods of places: each compiles without a warning and gives what it says.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use raddle::{JoinHandle, go};

#[derive(Clone, Copy, Default)]
struct Small(u32);

impl Small {
    fn read(&self, by: u32) -> u32 {
        self.0 + by
    }

    fn write(&mut self, by: u32) -> u32 {
        self.0 += by;
        self.0
    }

    fn take<T: Default>(self) -> T {
        T::default()
    }

    fn start(&self) -> JoinHandle<u32> {
        go!(self.0.pow(2))
    }

    fn start_shared(self: Arc<Self>) -> JoinHandle<u32> {
        go!(self.read(1))
    }

    fn start_static(&'static self) -> JoinHandle<u32> {
        go!(self.read(1))
    }
}

#[derive(Default)]
struct Nest {
    inner: Inner,
    pair: (Small, Vec<u8>),
}

#[derive(Default)]
struct Inner {
    small: Small,
    text: String,
}

static HITS: AtomicU32 = AtomicU32::new(0);
static SMALL: Small = Small(1);
const TEN: Small = Small(10);

fn started<T: Send + 'static>(_: JoinHandle<T>) {}

fn main() {
    let small = Small(1);
    started::<u32>(go!(small.read(1)));
    started::<u32>(go!(small.write(1)));
    started::<String>(go!(small.take::<String>()));
    started::<u8>(go!(small.take()));
    started::<u32>(small.start());
    started::<u32>(Arc::new(small).start_shared());
    started::<u32>(SMALL.start_static());
    let boxed = Box::new(small);
    started::<u32>(go!(boxed.write(1)));
    let shared = Arc::new(small);
    started::<u32>(go!(shared.read(small.read(1))));
    let reference: &'static Small = &SMALL;
    started::<u32>(go!(reference.read(1)));
    started::<u32>(go!(HITS.fetch_add(1, Relaxed)));
    started::<u32>(go!(TEN.read(1)));
    let nest = Nest::default();
    started::<u32>(go!(nest.inner.small.read(1)));
    started::<usize>(go!(nest.inner.text.len()));
    started::<u32>(go!(nest.pair.0.read(1)));
    started::<usize>(go!(nest.pair.1.len()));
    let list = vec![2, 1];
    started::<()>(go!(list.sort()));
    let text = "a b";
    started::<String>(go!(text.replace(" ", "")));
    let option = Some(String::new());
    started::<String>(go!(option.unwrap_or_default()));
    let (sender, receiver) = std::sync::mpsc::channel();
    started(go!(sender.send(1)));
    started::<Result<i32, _>>(go!(receiver.recv()));
}
