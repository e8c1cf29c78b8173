//! Everything else: a body, without a warning.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::sync::Arc;

use raddle::{JoinHandle, go};

struct Point {
    x: u32,
    callback: fn(u32) -> u32,
}

static POINT: Point = Point { x: 1, callback: one };

mod inner {
    pub static LIST: [u32; 1] = [1];
}

fn one(a: u32) -> u32 {
    a
}

fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

async fn later() -> u32 {
    1
}

fn started<T: Send + 'static>(_: JoinHandle<T>) {}

fn main() {
    let list = [1_u32, 2];
    let shared = Arc::new(String::new());
    // Calls, but not of a path or of a place.
    started::<usize>(go!(shared.clone().len()));
    started::<u32>(go!(list[0].pow(2)));
    started::<u32>(go!((POINT.callback)(1)));
    started::<u32>(go!((list[0]).pow(2)));
    started::<usize>(go!("text".len()));
    started::<usize>(go!(inner::LIST.len()));
    started::<u32>(go!(one(1).pow(2)));
    started::<u32>(go!((|| 1)()));
    // Operators, literals, places.
    started::<u32>(go!(one(1) + one(2)));
    started::<bool>(go!(!true));
    started::<i32>(go!(-1));
    started::<u8>(go!(one(1) as u8));
    started::<u32>(go!(list[0]));
    started::<u32>(go!(POINT.x));
    started::<&'static u32>(go!(&POINT.x));
    started::<(u32, u32)>(go!((one(1), 2)));
    started::<[u32; 1]>(go!([one(1)]));
    started::<std::ops::Range<u32>>(go!(1..one(2)));
    started::<Point>(go!(Point { x: one(1), callback: one }));
    // Macros.
    started::<String>(go!(format!("{}", one(1))));
    started::<Vec<u32>>(go!(vec![one(1)]));
    started::<bool>(go!(matches!(one(1), 1)));
    // Blocks and control flow.
    started::<u32>(go!({ one(1) }));
    started::<u32>(go! { one(1) + 1 });
    started::<()>(go!({}));
    started::<u32>(go!('out: { break 'out 1 }));
    started::<u32>(go!(if one(1) == 1 { 1 } else { 2 }));
    started::<u32>(go!(match one(1) {
        1 => 1,
        _ => 2,
    }));
    started::<u32>(go!(loop {
        break 1;
    }));
    started::<()>(go!(for n in 0..2 {
        one(n);
    }));
    // Statements.
    started::<()>(go!(one(1);));
    started::<u32>(go! {
        let a = one(1);
        let mut b = a;
        b += 1;
        a + b
    });
    started::<u32>(go! {
        use std::cmp::max;
        const N: u32 = 1;
        fn inner(a: u32) -> u32 {
            max(a, N)
        }
        inner(1)
    });
    // Leaving early.
    started::<Result<u32, std::num::ParseIntError>>(go! {
        let a = parse("1")?;
        if a == 0 {
            return Ok(0);
        }
        Ok(parse("2")? + a)
    });
    started::<Option<u32>>(go!({ Some(list.first()? + list.get(1)?) }));
    // A future is a value like any other.
    started(go!(async { later().await }));
    // Goroutines that start goroutines.
    started::<JoinHandle<u32>>(go!(go!(one(1))));
    started::<u32>(go!(go!(one(1)).join().unwrap()));
    // As a statement.
    go!(one(1));
    go!(one(1).pow(2));
    go! { one(1); };
    let _ = go! { one(1) };
}
