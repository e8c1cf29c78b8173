//! The types around channels: errors and what they say, what `Debug` shows,
//! and which auto traits hold.

use raddle::chan::{self, IntoIter, Iter, Receiver, Select, SelectedOperation, Sender, TryIter};
use raddle::chan::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
use raddle::chan::{RecvError, RecvTimeoutError, SendError, SendTimeoutError};
use raddle::chan::{TryRecvError, TrySendError};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// Has neither `Debug` nor `PartialEq`, and is not `Send`.
struct Opaque(#[allow(dead_code)] Cell<*const u8>);

fn opaque() -> Opaque {
    Opaque(Cell::new(std::ptr::null()))
}

fn display(it: impl Display) -> String {
    format!("{it}")
}

/// As shown, without the quotes that some have around it.
fn debug(it: impl Debug) -> String {
    format!("{it:?}").trim_matches('"').into()
}

#[test]
fn errors_of_sending_say_what_happened_and_give_the_value_back() {
    assert_eq!(debug(SendError(opaque())), "SendError(..)");
    assert_eq!(
        display(SendError(opaque())),
        "sending on a disconnected channel"
    );
    assert_eq!(SendError(4).into_inner(), 4);

    let full = TrySendError::Full("it");
    assert_eq!(debug(TrySendError::Full(opaque())), "Full(..)");
    assert_eq!(display(full), "sending on a full channel");
    assert!(full.is_full() && !full.is_disconnected());
    assert_eq!(full.into_inner(), "it");
    let gone = TrySendError::Disconnected("it");
    assert_eq!(
        debug(TrySendError::Disconnected(opaque())),
        "Disconnected(..)"
    );
    assert_eq!(display(gone), "sending on a disconnected channel");
    assert!(!gone.is_full() && gone.is_disconnected());
    assert_eq!(gone.into_inner(), "it");

    let late = SendTimeoutError::Timeout("it");
    assert_eq!(
        debug(SendTimeoutError::Timeout(opaque())),
        "SendTimeoutError(..)"
    );
    assert_eq!(display(late), "timed out waiting on send operation");
    assert!(late.is_timeout() && !late.is_disconnected());
    assert_eq!(late.into_inner(), "it");
    let gone = SendTimeoutError::Disconnected("it");
    assert_eq!(
        debug(SendTimeoutError::Disconnected(opaque())),
        "SendTimeoutError(..)"
    );
    assert_eq!(display(gone), "sending on a disconnected channel");
    assert!(!gone.is_timeout() && gone.is_disconnected());
    assert_eq!(gone.into_inner(), "it");
}

#[test]
fn errors_of_receiving_say_what_happened() {
    assert_eq!(debug(RecvError), "RecvError");
    assert_eq!(
        display(RecvError),
        "receiving on an empty and disconnected channel"
    );

    let (empty, gone) = (TryRecvError::Empty, TryRecvError::Disconnected);
    assert_eq!(
        (debug(empty), debug(gone)),
        ("Empty".into(), "Disconnected".into())
    );
    assert_eq!(display(empty), "receiving on an empty channel");
    assert_eq!(
        display(gone),
        "receiving on an empty and disconnected channel"
    );
    assert!(empty.is_empty() && !empty.is_disconnected());
    assert!(!gone.is_empty() && gone.is_disconnected());

    let (late, gone) = (RecvTimeoutError::Timeout, RecvTimeoutError::Disconnected);
    assert_eq!(
        (debug(late), debug(gone)),
        ("Timeout".into(), "Disconnected".into())
    );
    assert_eq!(display(late), "timed out waiting on receive operation");
    assert_eq!(display(gone), "channel is empty and disconnected");
    assert!(late.is_timeout() && !late.is_disconnected());
    assert!(!gone.is_timeout() && gone.is_disconnected());
}

#[test]
fn errors_of_selecting_say_what_happened() {
    assert_eq!(debug(TrySelectError), "TrySelectError");
    assert_eq!(
        display(TrySelectError),
        "all operations in select would block"
    );
    assert_eq!(debug(SelectTimeoutError), "SelectTimeoutError");
    assert_eq!(display(SelectTimeoutError), "timed out waiting on select");
    assert_eq!(debug(TryReadyError), "TryReadyError");
    assert_eq!(debug(ReadyTimeoutError), "ReadyTimeoutError");
}

#[test]
fn blocking_errors_turn_into_those_of_the_other_calls() {
    assert_eq!(
        TrySendError::from(SendError(1)),
        TrySendError::Disconnected(1)
    );
    assert_eq!(
        SendTimeoutError::from(SendError(1)),
        SendTimeoutError::Disconnected(1)
    );
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(
        RecvTimeoutError::from(RecvError),
        RecvTimeoutError::Disconnected
    );
    fn boxes() -> Result<(), Box<dyn Error + Send + Sync>> {
        let (tx, rx) = chan::unbounded();
        tx.send(5)?;
        assert_eq!(rx.recv()?, 5);
        rx.try_recv()?;
        Ok(())
    }
    let outcome = boxes().unwrap_err();
    assert_eq!(outcome.downcast_ref(), Some(&TryRecvError::Empty));
}

#[test]
fn errors_are_plain_values() {
    fn plain<T: Error + PartialEq + Eq + Clone + Copy + Send + Sync + UnwindSafe + 'static>() {}
    plain::<SendError<u8>>();
    plain::<TrySendError<u8>>();
    plain::<SendTimeoutError<u8>>();
    plain::<RecvError>();
    plain::<TryRecvError>();
    plain::<RecvTimeoutError>();
    plain::<TrySelectError>();
    plain::<SelectTimeoutError>();
    // Those two have no text of their own.
    fn bare<T: Debug + PartialEq + Eq + Clone + Copy + Send + Sync>() {}
    bare::<TryReadyError>();
    bare::<ReadyTimeoutError>();
}

#[test]
fn handles_show_their_kind_alone() {
    for capacity in [Some(0), Some(3), None] {
        let (tx, rx) = match capacity {
            Some(capacity) => chan::bounded::<Opaque>(capacity),
            None => chan::unbounded(),
        };
        assert_eq!(debug(&tx), "Sender { .. }");
        assert_eq!(debug(&rx), "Receiver { .. }");
        assert_eq!(format!("{tx:#?} {rx:#?}"), "Sender { .. } Receiver { .. }");
        assert_eq!(debug(rx.iter()), "Iter { .. }");
        assert_eq!(debug(rx.try_iter()), "TryIter { .. }");
        assert_eq!(debug(rx.clone().into_iter()), "IntoIter { .. }");
    }
    assert_eq!(
        debug(chan::after(Duration::from_secs(1000))),
        "Receiver { .. }"
    );
    assert_eq!(
        debug(chan::tick(Duration::from_secs(1000))),
        "Receiver { .. }"
    );
    assert_eq!(debug(chan::never::<Opaque>()), "Receiver { .. }");

    let (tx, _rx) = chan::bounded(1);
    let mut select = Select::new();
    select.send(&tx);
    assert_eq!(debug(&select), "Select { .. }");
    let operation = select.select();
    assert_eq!(debug(&operation), "SelectedOperation { .. }");
    operation.send(&tx, opaque()).ok().unwrap();
}

#[test]
fn handles_go_and_are_shared_where_their_messages_may_go() {
    fn shared<T: Send + Sync>() {}
    // `Cell` may go to another thread but not be shared: channels move.
    shared::<Sender<Cell<u8>>>();
    shared::<Receiver<Cell<u8>>>();
    shared::<Iter<Cell<u8>>>();
    shared::<IntoIter<Cell<u8>>>();
    shared::<TryIter<Cell<u8>>>();
    shared::<Select>();
}

#[test]
fn handles_are_unwind_safe_whatever_they_carry() {
    fn safe<T: UnwindSafe + RefUnwindSafe>() {}
    safe::<Sender<&mut Cell<u8>>>();
    safe::<Receiver<&mut Cell<u8>>>();
}

/// What holds of no type is shown by two answers for one question: only one
/// applies where the trait does not hold, and inference would fail otherwise.
macro_rules! is_not {
    ($($type:ty: $bound:ident),*) => {$(
        const _: () = {
            trait Ambiguous<A> {
                fn ask() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $bound> Ambiguous<u8> for T {}
            let _ = <$type as Ambiguous<_>>::ask;
        };
    )*};
}

type Local = std::rc::Rc<u8>;

is_not! {
    Sender<Local>: Send,
    Sender<Local>: Sync,
    Receiver<Local>: Send,
    Receiver<Local>: Sync,
    Iter<'static, Local>: Send,
    IntoIter<Local>: Send
}

#[test]
fn handles_clone_without_a_clone_of_the_message() {
    fn cloned<T: Clone>(_: &T) {}
    let (tx, rx) = chan::bounded::<Opaque>(1);
    cloned(&tx);
    cloned(&rx);
    fn names<'a>(_: Option<SelectedOperation<'a>>, _: Select<'a>) {}
    names(None, Select::default());
    let mut select = Select::new();
    select.recv(&rx);
    let mut copy = select.clone();
    assert_eq!(copy.send(&tx), 1);
    assert_eq!(select.send(&tx), 1);
    let operation = copy.try_select().unwrap();
    assert_eq!(operation.index(), 1);
    operation.send(&tx, opaque()).ok().unwrap();
}
