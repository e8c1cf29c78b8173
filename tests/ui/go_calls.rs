//! Calls of paths: each compiles without a warning and gives what it says.
#![deny(warnings)]
#![forbid(unsafe_code)]

use raddle::{JoinHandle, go};

fn none() {}

fn takes_unit(_: ()) {}

fn one(a: u32) -> u32 {
    a
}

fn two(a: u32, b: &'static str) -> (u32, &'static str) {
    (a, b)
}

fn any<T: Default>() -> T {
    T::default()
}

fn first<T, const N: usize>(list: [T; N]) -> Option<T> {
    list.into_iter().next()
}

fn dynamic(f: Box<dyn Fn(u32) -> u32 + Send>) -> u32 {
    f(1)
}

fn apply(f: impl Fn(u32) -> u32, a: u32) -> u32 {
    f(a)
}

mod deep {
    pub mod er {
        pub fn f(a: u8) -> u8 {
            a
        }
    }
}

struct Point(u8);

trait Shape {
    fn sides() -> u8;
    fn of(self) -> u8;
}

impl Shape for Point {
    fn sides() -> u8 {
        self::deep::er::f(0)
    }

    fn of(self) -> u8 {
        self.0
    }
}

impl Point {
    fn new(a: u8) -> Self {
        Self(a)
    }

    fn start(self) -> (JoinHandle<Self>, JoinHandle<Self>, JoinHandle<u8>) {
        (go!(Self::new(1)), go!(Self(2)), go!(Shape::of(self)))
    }
}

fn fallible(text: &str) -> Result<JoinHandle<u32>, std::num::ParseIntError> {
    Ok(go!(one(text.parse()?)))
}

fn started<T: Send + 'static>(_: JoinHandle<T>) {}

fn main() {
    started::<()>(go!(none()));
    started::<u32>(go!(one(1)));
    started::<u32>(go!(one(1,)));
    started::<(u32, &str)>(go!(two(1, "b")));
    started::<u64>(go!(any::<u64>()));
    started::<u64>(go!(any()));
    started::<Option<u8>>(go!(first::<u8, 2>([1, 2])));
    started::<Option<u8>>(go!(first([1, 2])));
    started::<u8>(go!(deep::er::f(1)));
    started::<u8>(go!(self::deep::er::f(1)));
    started::<u8>(go!(crate::deep::er::f(1)));
    started::<()>(go!(::std::mem::drop(String::new())));
    started::<Vec<u8>>(go!(Vec::<u8>::with_capacity(1)));
    started::<u8>(go!(<Point as Shape>::sides()));
    started::<usize>(go!(<[u8]>::len(&[1, 2, 3])));
    started::<Option<u8>>(go!(Some(1)));
    started::<Point>(go!(Point(1)));
    started::<u32>(go!(dynamic(Box::new(|a| a + 1))));
    started::<u32>(go!(apply(|a| a + 1, 2)));
    started::<u32>(go!(apply(one, 2)));
    started::<u32>(go!(one(if any() { 1 } else { 2 })));
    started::<u32>(go!(one({
        let a = 1;
        a + 1
    })));
    started::<u32>(go!(one("3".parse().unwrap())));
    started::<String>(go!(String::from_iter("abc".chars().rev().collect::<Vec<_>>())));
    started::<()>(go!(takes_unit(none())));
    started::<String>(go!(String::from("a")));
    let local = |a: u32| a + 1;
    started::<u32>(go!(local(1)));
    let (a, b, c) = Point::new(1).start();
    started(a);
    started(b);
    started(c);
    started::<u32>(fallible("1").unwrap());
}
