//! `go!`, form by form: what is evaluated now, what in the goroutine, what is
//! moved, and what the handle carries.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use raddle::sync::WaitGroup;
use raddle::{JoinHandle, go};

fn value<T>(handle: JoinHandle<T>) -> T {
    handle
        .join()
        .unwrap_or_else(|payload| resume_unwind(payload))
}

/// Who was evaluated, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note<T>(&self, name: &'static str, value: T) -> T {
        self.0.lock().unwrap().push(name);
        value
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// Holds a goroutine back until the test opens it: what is in the log before
/// that was evaluated by the caller.
struct Gate(WaitGroup);

#[derive(Clone)]
struct Shut(WaitGroup);

fn gate() -> (Gate, Shut) {
    let group = WaitGroup::new();
    group.add(1);
    (Gate(group.clone()), Shut(group))
}

impl Gate {
    fn open(self) {
        self.0.done();
    }
}

impl Shut {
    fn pass(&self) {
        self.0.wait();
    }
}

fn add_behind(shut: Shut, a: u32, b: u32) -> u32 {
    shut.pass();
    a + b
}

/// A value with a method of every kind.
struct Counter {
    count: u32,
    shut: Shut,
    log: Log,
}

impl Counter {
    fn new(shut: Shut, log: Log) -> Counter {
        Counter {
            count: 1,
            shut,
            log,
        }
    }

    fn peek(&self, by: u32) -> u32 {
        self.shut.pass();
        self.count + by
    }

    fn bump(&mut self, by: u32) -> u32 {
        self.shut.pass();
        self.count += by;
        self.count
    }

    fn take(self, by: u32) -> u32 {
        self.shut.pass();
        self.count + by
    }

    fn peek_shared(self: Arc<Self>, by: u32) -> u32 {
        self.peek(by)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.log.note("dropped", ());
    }
}

// Calls.

#[raddle::test]
fn a_calls_arguments_are_evaluated_now_in_order() {
    let (log, (gate, shut)) = (Log::default(), gate());
    let sum = go!(add_behind(
        log.note("gate", shut),
        log.note("a", 1),
        log.note("b", 2)
    ));
    assert_eq!(log.names(), ["gate", "a", "b"]);
    assert!(!sum.is_finished());
    gate.open();
    assert_eq!(value(sum), 3);
    assert_eq!(log.names(), ["gate", "a", "b"], "once");
}

/// What an argument borrows is free again at once.
#[raddle::test]
fn an_argument_may_borrow_while_it_is_evaluated() {
    let mut text = String::from("abc");
    let length = go!(usize::max(text.len(), 1));
    text.push('d');
    assert_eq!(value(length), 3);
    assert_eq!(text, "abcd");
}

/// A lock taken in an argument is let go before the goroutine starts.
#[raddle::test]
fn temporaries_of_an_argument_end_before_the_spawn() {
    let shared = Arc::new(Mutex::new(5));
    let sum = go!(u32::wrapping_add(*shared.lock().unwrap(), 1));
    assert!(shared.try_lock().is_ok());
    assert_eq!(value(sum), 6);
}

/// Only what is moved must be `Send`, not what the arguments are made from.
#[raddle::test]
fn an_argument_may_use_what_is_not_send() {
    let local = Rc::new(7);
    assert_eq!(value(go!(u32::wrapping_add(*local, 1))), 8);
}

#[raddle::test]
fn a_question_mark_in_an_argument_belongs_to_the_caller() {
    fn start(text: &str) -> Result<JoinHandle<u32>, std::num::ParseIntError> {
        Ok(go!(u32::wrapping_add(text.parse()?, 1)))
    }
    assert_eq!(value(start("41").unwrap()), 42);
    assert!(start("many").is_err());
}

#[raddle::test]
fn a_call_keeps_its_type_arguments() {
    fn size<T: Send + 'static, const N: usize>(_: [T; N]) -> usize {
        size_of::<[T; N]>()
    }
    assert_eq!(value(go!(size::<u16, 3>([1, 2, 3]))), 6);
    assert_eq!(value(go!(size([0_u64]))), 8);
    assert_eq!(value(go!(Vec::<u8>::with_capacity(4))).len(), 0);
    assert_eq!(value(go!(<u8 as Default>::default())), 0);
    assert_eq!(value(go!(<[u8]>::len(&[1, 2]))), 2);
}

#[raddle::test]
fn whatever_can_be_called_by_name_can_be_started() {
    let factor = 3;
    let times = move |n: u32| n * factor;
    assert_eq!(value(go!(times(2))), 6);
    let name = String::from("owned");
    let once = move || name;
    assert_eq!(value(go!(once())), "owned");
    let mut sum = 1;
    let mut add = move |n: u32| {
        sum += n;
        sum
    };
    assert_eq!(value(go!(add(2))), 3);
    assert_eq!(value(go!(Some(4))), Some(4));
    let pointer: fn(u32) -> Option<u32> = Some;
    assert_eq!(value(go!(pointer(5))), Some(5));
}

/// The names the macro uses are not the caller's.
#[raddle::test]
fn our_names_stay_out_of_sight() {
    let (argument_0, argument_1, receiver) = (1_u32, 2_u32, 3_u32);
    assert_eq!(value(go!(u32::wrapping_sub(argument_1, argument_0))), 1);
    assert_eq!(value(go!(argument_1.pow(receiver))), 8);
    assert_eq!(value(go!(u32::wrapping_add(receiver, argument_0))), 4);
}

#[raddle::test]
fn a_users_macro_may_stand_in_front() {
    macro_rules! start {
        (call $call:expr) => {
            go!($call)
        };
        (path $function:path, $($argument:expr),*) => {
            go!($function($($argument),*))
        };
        (method $place:expr, $method:ident) => {
            go!($place.$method())
        };
    }
    let (log, (gate, shut)) = (Log::default(), gate());
    let sum = start!(call add_behind(shut, log.note("a", 1), 2));
    assert_eq!(
        log.names(),
        ["a"],
        "still a call: its arguments are evaluated now"
    );
    gate.open();
    assert_eq!(value(sum), 3);
    assert_eq!(value(start!(path u32::wrapping_add, 1, 2)), 3);
    let text = String::from("abc");
    assert_eq!(value(start!(method text, len)), 3);
}

// Methods.

#[raddle::test]
fn a_methods_receiver_and_arguments_are_evaluated_now() {
    let (log, (gate, shut)) = (Log::default(), gate());
    let counter = Counter::new(shut, log.clone());
    let count = go!(counter.peek(log.note("by", 2)));
    assert_eq!(log.names(), ["by"]);
    gate.open();
    assert_eq!(value(count), 3);
    assert_eq!(log.names(), ["by", "dropped"], "the goroutine owned it");
}

/// The receiver comes first: an argument that changes it comes too late.
#[raddle::test]
fn a_receiver_is_evaluated_before_the_arguments() {
    let mut base = 2_u32;
    let power = go!(base.pow({
        base = 10;
        3
    }));
    assert_eq!(value(power), 8);
    assert_eq!(base, 10);
}

#[raddle::test]
fn methods_take_self_as_they_like() {
    let counter = || {
        let (gate, shut) = gate();
        gate.open();
        Counter {
            count: 1,
            shut,
            log: Log::default(),
        }
    };
    let (by_ref, by_mut) = (counter(), counter());
    assert_eq!(value(go!(by_ref.peek(1))), 2);
    assert_eq!(value(go!(by_mut.bump(2))), 3);
    let shared = Arc::new(counter());
    let other = shared.clone();
    assert_eq!(value(go!(other.peek_shared(4))), 5);
    assert_eq!(value(go!(shared.peek(5))), 6);
    let boxed = Box::new(counter());
    assert_eq!(value(go!(boxed.bump(6))), 7);

    let mut text = String::from("a");
    text.push('b');
    assert_eq!(value(go!(text.into_bytes())), b"ab");
    let list = vec![3, 1, 2];
    value(go!(list.sort()));
    let by_value = Some(3);
    assert_eq!(value(go!(by_value.unwrap_or_default())), 3);
    assert_eq!(value(go!("4".parse::<u8>())), Ok(4));
    let (digits, radix) = ("1f", 16);
    assert_eq!(value(go!(digits.replace("1", "f"))), "ff");
    assert_eq!(value(go!(u32::from_str_radix(digits, radix))), Ok(31));
    assert_eq!(value(go!(digits.parse::<f32>())).ok(), None);
}

#[raddle::test]
fn by_value_methods_consume_their_receiver() {
    struct Once(Log);
    impl Once {
        fn run(self) -> Log {
            self.0
        }
    }
    let once = Once(Log::default());
    assert!(value(go!(once.run())).names().is_empty());
    let (gate, shut) = gate();
    gate.open();
    let log = Log::default();
    let counter = Counter::new(shut, log.clone());
    assert_eq!(value(go!(counter.take(1))), 2);
    assert_eq!(log.names(), ["dropped"]);
}

/// A field moves, and the rest of its owner stays.
#[raddle::test]
fn a_field_can_be_the_place() {
    struct Pair {
        name: String,
        list: (Vec<u8>, u32),
    }
    let pair = Pair {
        name: "abc".into(),
        list: (vec![1], 2),
    };
    assert_eq!(value(go!(pair.name.len())), 3);
    assert_eq!(value(go!(pair.list.0.len())), 1);
    assert_eq!(value(go!(pair.list.1.pow(2))), 4);
    assert_eq!(pair.list.1, 2);
}

#[raddle::test]
fn self_can_be_the_place() {
    struct Job {
        name: String,
        size: u32,
    }
    impl Job {
        fn area(&self) -> u32 {
            self.size * self.size
        }
        fn start(self: Arc<Self>) -> JoinHandle<u32> {
            go!(self.area())
        }
        fn start_static(&'static self, by: u32) -> JoinHandle<u32> {
            go!(self.larger(by))
        }
        fn larger(&self, by: u32) -> u32 {
            self.size + by
        }
        fn start_size(&self) -> JoinHandle<u32> {
            go!(self.size.pow(3))
        }
        fn start_name(self) -> JoinHandle<usize> {
            go!(self.name.len())
        }
    }
    static JOB: Job = Job {
        name: String::new(),
        size: 4,
    };
    let job = || Job {
        name: "abc".into(),
        size: 3,
    };
    assert_eq!(value(Arc::new(job()).start()), 9);
    assert_eq!(value(job().start_size()), 27);
    assert_eq!(value(job().start_name()), 3);
    assert_eq!(value(JOB.start_static(1)), 5);
}

#[raddle::test]
fn a_static_is_not_moved() {
    static HITS: AtomicUsize = AtomicUsize::new(0);
    static TABLE: (Mutex<u32>, &str) = (Mutex::new(0), "abc");
    const LIMIT: u32 = 3;
    let before = HITS.load(Relaxed);
    value(go!(HITS.fetch_add(2, Relaxed)));
    assert!(HITS.load(Relaxed) >= before + 2);
    assert_eq!(value(go!(TABLE.1.len())), 3);
    assert_eq!(value(go!(LIMIT.pow(2))), 9);
}

// Closures.

#[raddle::test]
fn closures_are_spawned_as_written() {
    let text = String::from("abc");
    assert_eq!(value(go!(move || text.len())), 3);
    assert_eq!(value(go!(|| 1 + 1)), 2);
    assert_eq!(value(go!(|| -> u8 { 3 })), 3);
    let text = String::from("abc");
    assert_eq!(
        value(go!(|| text)),
        "abc",
        "a use by value moves without `move`"
    );
}

// Bodies.

/// A call in the receiver makes it a body: all of it waits for the goroutine.
#[raddle::test]
fn a_body_is_evaluated_in_the_goroutine() {
    fn noted_behind(shut: Shut, log: Log) -> &'static str {
        shut.pass();
        log.note("chained", "abc")
    }
    let (log, (gate, shut)) = (Log::default(), gate());
    let also_shut = shut.clone();
    let inside = log.clone();
    let sum = go! {
        shut.pass();
        add_behind(shut, inside.note("a", 1), 2)
    };
    let inside = log.clone();
    let chained = go!(noted_behind(also_shut, inside).to_uppercase());
    assert!(log.names().is_empty());
    assert!(!sum.is_finished());
    gate.open();
    assert_eq!(value(sum), 3);
    assert_eq!(value(chained), "ABC");
    let mut names = log.names();
    names.sort_unstable();
    assert_eq!(names, ["a", "chained"]);
}

#[raddle::test]
fn any_expression_is_a_body() {
    let list = [1_u32, 2, 3];
    assert_eq!(value(go!(list[0] + list[1])), 3);
    assert_eq!(value(go!({ 5 })), 5);
    assert_eq!(value(go!(-1_i32)), -1);
    assert_eq!(value(go!((1, "b"))), (1, "b"));
    assert_eq!(value(go!(format!("{}{}", 1, 2))), "12");
    assert_eq!(value(go!(vec![0_u8; 3])).len(), 3);
    assert_eq!(
        value(go!(if size_of::<u8>() == 1 { "byte" } else { "odd" })),
        "byte"
    );
    assert_eq!(
        value(go!(match 1 {
            1 => 'a',
            _ => 'b',
        })),
        'a'
    );
    assert_eq!(value(go!('out: { break 'out 3 })), 3);
    let call = || 6;
    assert_eq!(value(go!((call)())), 6);
    assert_eq!(value(go!("abc".len() as u8)), 3);
    value(go!(drop(String::new());));
}

#[raddle::test]
fn a_body_takes_items_and_statements() {
    let total = go! {
        fn double(n: u32) -> u32 {
            n * 2
        }
        let mut total = 0;
        for n in 0..3 {
            total += double(n);
        }
        total
    };
    assert_eq!(value(total), 6);
}

#[raddle::test]
fn a_question_mark_in_a_body_leaves_the_goroutine() {
    let parse = |text: &'static str| {
        go! {
            let n: u32 = text.parse()?;
            if n == 0 {
                return Ok(100);
            }
            Ok::<u32, std::num::ParseIntError>(n + 1)
        }
    };
    assert_eq!(value(parse("41")), Ok(42));
    assert_eq!(value(parse("0")), Ok(100));
    assert!(value(parse("many")).is_err());
}

#[raddle::test]
fn goroutines_start_goroutines() {
    let nested = go! {
        let inner = go!(u32::wrapping_add(1, 2));
        let outer = go!(go!(go!(3_u32.pow(2))));
        value(inner) + value(value(value(outer)))
    };
    assert_eq!(value(nested), 12);
    let as_argument = go!(value(go!(u32::wrapping_add(2, 3))));
    assert_eq!(value(as_argument), 5);
}

// The handle.

#[raddle::test]
fn every_form_is_an_expression_that_gives_a_handle() {
    let handles: Vec<JoinHandle<u32>> = vec![
        go!(u32::wrapping_add(0, 1)),
        go!(2_u32.pow(1)),
        go!(move || 3),
        go!(|| 4),
        go! { let n = 4; n + 1 },
        { go!(2 * 3) },
    ];
    let values: Vec<u32> = handles.into_iter().map(value).collect();
    assert_eq!(values, [1, 2, 3, 4, 5, 6]);
}

#[raddle::test]
fn a_handle_carries_the_panic() {
    fn fail(text: &'static str) {
        panic!("{text}");
    }
    let payload = go!(fail("call")).join().expect_err("it panicked");
    assert_eq!(
        payload.downcast_ref::<String>().map(String::as_str),
        Some("call")
    );
    let payload = go!(panic!("body")).join().expect_err("it panicked");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"body"));
}

/// An argument that panics is the caller's panic, and nothing is started.
#[raddle::test]
fn a_panicking_argument_stays_with_the_caller() {
    fn bad() -> u32 {
        panic!("argument")
    }
    fn note(log: Log, _: u32) {
        log.note("started", ());
    }
    let log = Log::default();
    let inside = log.clone();
    let caught = catch_unwind(AssertUnwindSafe(|| go!(note(inside, bad()))));
    assert!(caught.is_err());
    assert!(log.names().is_empty());
}
