//! Closure literals: spawned as written, without a warning.
#![deny(warnings)]
#![forbid(unsafe_code)]

use raddle::{JoinHandle, go};

fn f() -> u32 {
    1
}

fn started<T: Send + 'static>(_: JoinHandle<T>) {}

fn main() {
    let (a, b, c) = (String::new(), String::new(), String::new());
    started::<u32>(go!(|| f()));
    started::<u32>(go!(move || f()));
    started::<u32>(go!(|| { f() }));
    started::<u8>(go!(|| -> u8 { 1 }));
    started::<usize>(go!(move || a.len()));
    started::<String>(go!(|| b));
    started::<()>(go!(|| {}));
    started::<usize>(go! {
        move || {
            let c = c;
            c.len()
        }
    });
    started::<u32>(go!(|| if f() == 1 { 1 } else { return 2 }));
}
