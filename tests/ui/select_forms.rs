//! What `select!` accepts: each compiles without a warning and gives what it
//! says.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raddle::chan::{Receiver, RecvError, Sender, bounded, never};
use raddle::{select, select_biased};

const SHORT: Duration = Duration::from_millis(1);

/// A channel with `message` in it, which stays connected.
fn holding<T>(message: T) -> (Sender<T>, Receiver<T>) {
    let (s, r) = bounded(1);
    assert!(s.send(message).is_ok());
    (s, r)
}

fn bodies() {
    let (s, r) = holding(1);
    select! { recv(r) -> got => assert_eq!(got, Ok(1)) }
    select! { send(s, 2) -> sent => assert!(sent.is_ok()), }
    select! { recv(r,) -> got => { assert_eq!(got, Ok(2)) } }
    select! { send(s, 3,) -> sent => { assert!(sent.is_ok()) }, }
    select! {
        send(s, 4) -> _ => unreachable!(),
        recv(r) -> _ => (),
    }
    select! {
        recv(r) -> _ => { unreachable!() }
        send(s, 4) -> _ => {}
    }
    select! {
        recv(never::<()>()) -> _ => {}
        recv(r) -> got => if got.is_err() { unreachable!() } else { assert_eq!(got, Ok(4)) },
    }
    let sum = select! {
        recv(r) -> got => { got }.unwrap(),
        default => { 1 } + 2
    };
    assert_eq!(sum, 3);
}

fn defaults() {
    let n = never::<u8>();
    assert_eq!(select! { default => 1 }, 1);
    assert_eq!(select! { default() => 1, }, 1);
    assert_eq!(select! { default(SHORT) => { 1 } }, 1);
    assert_eq!(select! { default(SHORT,) => { 1 }, }, 1);
    select! { default => {} }
    assert_eq!(select! { recv(n) -> _ => 0, default => 1 }, 1);
    assert_eq!(select! { default => 1, recv(n) -> _ => 0 }, 1);
    assert_eq!(
        select! { recv(n) -> _ => 0, default() => { 1 } recv(n) -> _ => 2 },
        1
    );
    assert_eq!(
        select_biased! { default(SHORT * 2) => 1, recv(n) -> _ => 0 },
        1
    );
}

fn patterns() {
    let (s, r) = holding((1, 2));
    select! { recv(r) -> mut got => { got = got.map(|(a, b)| (b, a)); assert_eq!(got, Ok((2, 1))) } }
    select! { send(s, (1, 2)) -> ref sent => assert!(sent.is_ok()) }
    select! { recv(r) -> (Ok(_) | Err(_)) => {} }
    drop(s);
    select! { recv(r) -> ended => assert_eq!(ended, Err(RecvError)) }
}

fn values(r: &Receiver<u8>) -> Result<u8, RecvError> {
    let made: Box<dyn Fn() -> u8> = select! {
        recv(never::<()>()) -> _ => Box::new(|| 1),
        default => Box::new(|| 2),
    };
    let called = Some(select! { recv(r) -> got => got? + made(), default => return Ok(0) });
    assert!(select! { recv(r) -> _ => false, default => true });
    loop {
        select! {
            recv(r) -> _ => continue,
            default => break,
        }
    }
    let outer = 'outer: loop {
        for n in 5..6 {
            select! { default => break 'outer n }
        }
    };
    assert_eq!(outer, 5);
    select! { recv(r) -> _ => return Err(RecvError), default => return Ok(called.unwrap_or(0)) }
}

fn moves(f: impl FnOnce() -> String, text: String) {
    let (s, r) = holding(String::from("a"));
    let got = select! {
        recv(r) -> got => { drop(text); got.unwrap() + &f() }
        recv(never::<()>()) -> _ => f(),
        default => text,
    };
    select! {
        send(s, got) -> sent => sent.unwrap(),
        recv(never::<()>()) -> _ => drop(got),
    }
}

struct Own<T>(Receiver<T>);

impl<T> Deref for Own<T> {
    type Target = Receiver<T>;

    fn deref(&self) -> &Receiver<T> {
        &self.0
    }
}

fn handles<R: Deref<Target = Receiver<u8>>>(generic: R) {
    let (s, r) = bounded::<u8>(1);
    let (s_box, r_arc) = (Box::new(s.clone()), Arc::new(r.clone()));
    let (s_rc, r_own) = (Rc::new(&s), Own(r.clone()));
    let (s_mutex, list) = (Mutex::new(s.clone()), [r.clone()]);
    select! { send(s_box, 1) -> _ => {} recv(generic) -> _ => {} }
    select! { recv(r_arc) -> _ => {} send(*s_box, 1) -> _ => {} }
    select! { send(s_rc, 1) -> _ => {} recv(&&generic) -> _ => {} }
    select! { recv(r_own) -> _ => {} send(&*s_box, 1) -> _ => {} }
    select! { send(s_mutex.lock().unwrap(), 1) -> _ => {} };
    select! { recv(list[0]) -> _ => {} send(&mut s.clone(), 1) -> _ => {} }
    select! { send(s.clone(), 1) -> _ => {} }
    select! { recv(if generic.try_recv().is_ok() { &r } else { &list[0] }) -> _ => {} }
}

struct Both {
    a: Option<Receiver<u8>>,
    b: Option<Receiver<u8>>,
    out: Option<Sender<u32>>,
    sum: u32,
}

impl Both {
    fn add(&mut self, n: u8) {
        self.sum += u32::from(n);
    }

    fn run(&mut self) {
        while self.a.is_some() || self.b.is_some() {
            select! {
                recv(self.a) -> n => match n {
                    Ok(n) => self.add(n),
                    Err(_) => self.a = None,
                },
                recv(self.b) -> n => {
                    let Ok(n) = n else {
                        self.b = None;
                        continue;
                    };
                    self.add(n);
                }
                send(self.out, self.sum) -> _ => self.out = None,
                default(SHORT) => (self.a, self.b) = (None, None),
            }
        }
    }
}

fn options() {
    let (s, r) = bounded::<u8>(1);
    for wanted in [false, true] {
        let sent = select! {
            send(wanted.then_some(&s), 1) -> _ => true,
            recv(wanted.then(never::<()>)) -> _ => unreachable!(),
            default => false,
        };
        assert_eq!(sent, wanted);
    }
    let owned = Some(r.clone());
    select! { recv(owned) -> _ => {} recv(None::<&Receiver<u8>>) -> _ => {} }
    select! { send(Some(s.clone()), 1) -> _ => {} recv([&r].get(1)) -> _ => {} }
    select! { recv(owned.as_ref()) -> _ => {} }
    select! { send(&Some(Arc::new(s)), 1) -> _ => {} }
    select! { recv(Box::new(Some(Rc::new(&r)))) -> _ => {} }
    let a = Some(holding(1).1);
    let b = Some(holding(2).1);
    let mut both = Both {
        a,
        b,
        out: Some(bounded(1).0),
        sum: 0,
    };
    both.run();
    assert_eq!(both.sum, 3);
}

fn changed_handles() {
    let (mut s, mut r) = holding(1);
    select! { recv(r) -> _ => r = never(), default => r = never() }
    select! { recv(r) -> _ => drop(r), default(SHORT) => drop(r) }
    select! { send(s, 1) -> _ => s = bounded(1).0 }
    select! { send(s, 1) -> _ => drop(s) }
}

fn inferred() {
    let (s, r) = bounded(1);
    select! { send(s, None) -> _ => {} }
    select! { recv(r) -> got => assert_eq!(got, Ok(None::<u8>)) }
    let (s, _r) = bounded::<Box<dyn Fn() -> u8>>(2);
    select! { send(s, Box::new(|| 1)) -> _ => {} }
    select! { send(Some(&s), Box::new(|| 1)) -> _ => {} }
}

fn in_macros(r: &Receiver<u8>) {
    macro_rules! either {
        ($a:expr, $b:expr, $pattern:pat => $body:expr) => {
            select! { recv($a) -> $pattern => $body, recv($b) -> $pattern => $body }
        };
    }
    macro_rules! or {
        ($other:block $($cases:tt)*) => {
            select! { $($cases)* default => $other }
        };
    }
    // Names that the macro uses too.
    let ((_s, operation), case) = (holding(1), never());
    assert_eq!(either!(operation, case, got => got), Ok(1));
    assert_eq!(
        or!({ 5 } recv(operation) -> operation => operation.unwrap(),),
        5
    );
    assert!(select! { recv(r) -> _ => select! { default => false }, default => true });
}

fn for_ever() -> ! {
    select! {}
}

fn main() {
    bodies();
    defaults();
    patterns();
    assert_eq!(values(&holding(1).1), Ok(3));
    let (_s, r) = bounded(2);
    assert_eq!(values(&r), Ok(0));
    moves(|| String::from("b"), String::from("c"));
    handles(&never());
    options();
    changed_handles();
    inferred();
    in_macros(&r);
    let _: fn() -> ! = for_ever;
}
