//! Syntax of `select!`, no logic.
//!
//! One hidden macro reads the cases, two steps for each: `@case` its head,
//! `@body` its body. What they have read is one token tree, the state:
//!
//! ```text
//! { {biased operation} [numbers left] [handles] [arms] [default] }
//!
//! handles   { name [expression] lookup trait }     in the order written
//! arms      { (head) number [pattern] [finish] body }     the newest first
//! default   nothing, or { (head) function [timeout] body }
//! ```
//!
//! Then `@case` has no tokens left and writes the code. The newest arm comes
//! first so that the last case can be told from the others: it is the match's
//! `_`. `operation` and each `name` are spelled alike, but each belongs to the
//! step that wrote it: nobody else can mean them.

/// Waits until one of several operations can go on, and does that one.
///
/// | case | is ready when | then |
/// |---|---|---|
/// | `recv(receiver) -> pattern => body` | there is a message, or never will be | receives; `pattern` is the `Result<T, RecvError>` |
/// | `send(sender, value) -> pattern => body` | there is room or a receiver, or never will be | evaluates `value`, sends it; `pattern` is the `Result<(), SendError<T>>` |
/// | `default => body` | nothing else is | only runs its body |
/// | `default(timeout) => body` | nothing else was, for so long | only runs its body |
///
/// Up to 32 operations, in any order, and at most one `default`. When several
/// are ready, one of them is chosen by chance, each with the same. A body is a
/// block, or an expression with a comma after it; the last may do without.
/// The whole is an expression: its value is the value of the body that ran.
///
/// **Bodies stand where you wrote them**: `break`, `continue`, `return` and `?`
/// mean your loop and your function, and what a body moves is moved only if it
/// runs. A body may also change or drop the handles.
///
/// **Handles** are evaluated once each, in order, before anything else. A
/// handle may be whatever dereferences to a `Receiver` or `Sender` (a
/// reference, a `Box`, an `Arc`, a guard), and is not moved. A handle that is
/// made for the occasion lives until the whole `select!` is over, body
/// included: a lock's guard keeps its lock for as long.
///
/// **A handle may be an `Option`** of such: the case of a `None` is never
/// ready. So a loop forgets a channel that has ended by setting its variable
/// to `None`, and `recv(wanted.then_some(&receiver))` takes part on a
/// condition.
///
/// **A pattern** must fit every result: take `message` or `_`, not
/// `Ok(message)`, and look at the result in the body.
///
/// **The value** of a send may not change its handle: `send(self.out,
/// self.next())` does not compile if `next` takes `&mut self`. Clone the
/// sender first.
///
/// `select! {}` has nothing to wait for: it blocks for ever and has type `!`.
/// For a number of channels known only at run time there is [`Select`](crate::Select).
///
/// # Blocking
/// Parks until a case is ready. With `default` it never blocks, with
/// `default(timeout)` for no longer than that. A value or a body that blocks
/// blocks the caller, as anywhere.
///
/// # Panics
/// Where an expression of yours does. When the value of a chosen send is left
/// by a `?`, `return` or `break`, nothing is sent, and it panics, for the
/// operation was not finished.
///
/// # Examples
/// ```
/// use raddle_chan::{bounded, select};
///
/// let (numbers_in, numbers) = bounded(1);
/// let (words_in, words) = bounded::<&str>(1);
/// numbers_in.send(42).unwrap();
///
/// let seen = select! {
///     recv(numbers) -> number => format!("number {}", number.unwrap()),
///     recv(words) -> word => format!("word {}", word.unwrap()),
/// };
/// assert_eq!(seen, "number 42");
///
/// // Nothing is left, but there is room.
/// select! {
///     recv(numbers) -> _ => unreachable!(),
///     send(words_in, "comb") -> sent => assert_eq!(sent, Ok(())),
/// }
/// assert_eq!(words.recv(), Ok("comb"));
/// ```
///
/// Not to wait, or not for long:
/// ```
/// use raddle_chan::{bounded, select};
/// use std::time::Duration;
///
/// let (_sender, receiver) = bounded::<u32>(0);
/// let at_once = select! {
///     recv(receiver) -> number => number.ok(),
///     default => None,
/// };
/// let soon = select! {
///     recv(receiver) -> number => number.ok(),
///     default(Duration::from_millis(5)) => None,
/// };
/// assert_eq!((at_once, soon), (None, None));
/// ```
///
/// Two channels into one, until both have ended:
/// ```
/// use raddle_chan::{Receiver, bounded, select};
/// use std::thread;
///
/// fn three_from(first: u32) -> Receiver<u32> {
///     let (sender, receiver) = bounded(0);
///     thread::spawn(move || (first..first + 3).for_each(|n| sender.send(n).unwrap()));
///     receiver
/// }
///
/// let (mut a, mut b) = (Some(three_from(0)), Some(three_from(10)));
/// let mut sum = 0;
/// while a.is_some() || b.is_some() {
///     select! {
///         recv(a) -> number => match number {
///             Ok(number) => sum += number,
///             Err(_) => a = None,
///         },
///         recv(b) -> number => match number {
///             Ok(number) => sum += number,
///             Err(_) => b = None,
///         },
///     }
/// }
/// assert_eq!(sum, 36);
/// ```
///
/// # Go
/// The `select` statement. Two things differ: a send's value is evaluated only
/// when its case is chosen, and a receive tells of a closed channel by `Err`.
/// A nil channel is `None`, or `never()`.
#[macro_export]
macro_rules! select {
    ($($cases:tt)*) => {
        $crate::__select! { @start false $($cases)* }
    };
}

/// [`select!`], but of several ready cases the first as written is chosen.
///
/// Everything else is as there. A case that is always ready keeps those below
/// it from ever being chosen: put the rare and urgent ones first.
///
/// # Blocking
/// As `select!`.
///
/// # Panics
/// As `select!`.
///
/// # Examples
/// ```
/// use raddle_chan::{bounded, select_biased};
///
/// let (urgent_in, urgent) = bounded(8);
/// let (usual_in, usual) = bounded(8);
/// for n in 0..3 {
///     usual_in.send(n).unwrap();
///     urgent_in.send(n + 100).unwrap();
/// }
///
/// let mut order = Vec::new();
/// loop {
///     select_biased! {
///         recv(urgent) -> n => order.push(n.unwrap()),
///         recv(usual) -> n => order.push(n.unwrap()),
///         default => break,
///     }
/// }
/// assert_eq!(order, [100, 101, 102, 0, 1, 2]);
/// ```
///
/// # Go
/// There is none: `select` there is always by chance.
#[macro_export]
macro_rules! select_biased {
    ($($cases:tt)*) => {
        $crate::__select! { @start true $($cases)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@start $biased:literal $($cases:tt)*) => {
        $crate::__select! {
            @case
            {
                {$biased operation}
                [
                    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
                    16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
                ]
                [] [] []
            }
            $($cases)*
        }
    };

    // All is read: nothing, a default alone, cases, cases and a default.

    (@case { $names:tt $numbers:tt [] [] [] }) => {
        $crate::__private::block_for_ever()
    };

    (@case {
        {$biased:literal $operation:ident} $numbers:tt [] []
        [{ $head:tt $function:ident [$($timeout:expr)?] $body:tt }]
    }) => {{
        let _ = $crate::__private::$function([], $biased $(, $timeout)?);
        $crate::__select!(@run $body)
    }};

    (@case { {$biased:literal $operation:ident} $numbers:tt $handles:tt [$($arms:tt)+] [] }) => {
        $crate::__select! {
            @handles $handles
            {
                let $operation = $crate::__select!(@call select $handles $biased);
                $crate::__select!(@choose $operation $($arms)+)
            }
        }
    };

    (@case {
        {$biased:literal $operation:ident} $numbers:tt $handles:tt [$($arms:tt)+]
        [{ $head:tt $function:ident [$($timeout:expr)?] $body:tt }]
    }) => {
        $crate::__select! {
            @handles $handles
            {
                let $operation =
                    $crate::__select!(@call $function $handles $biased $(, $timeout)?);
                // Either way the whole `Option` is moved, so that it borrows no
                // handle any more when a body runs.
                match $operation {
                    ::core::option::Option::None => {
                        ::core::mem::drop($operation);
                        $crate::__select!(@run $body)
                    }
                    $operation => {
                        let $operation = ::core::option::Option::unwrap($operation);
                        $crate::__select!(@choose $operation $($arms)+)
                    }
                }
            }
        }
    };

    // Every handle is borrowed as the place it is, then looked up.
    (@handles [$({ $name:ident [$handle:expr] $lookup:ident $case:ident })+] $code:tt) => {
        match ($(&$handle,)+) {
            ($($name,)+) => {
                let ($($name,)+) = {
                    #[allow(unused_imports)]
                    use $crate::__private::{OptionReceiver as _, OptionSender as _};
                    ($($name.$lookup(),)+)
                };
                $code
            }
        }
    };

    (@call $function:ident
        [$({ $name:ident $handle:tt $lookup:ident $case:ident })+]
        $biased:literal $(, $timeout:expr)?
    ) => {
        $crate::__private::$function(
            [$($crate::__private::$case::case($name)),+],
            $biased
            $(, $timeout)?
        )
    };

    (@choose $operation:ident
        { $last_head:tt $last:literal [$last_pattern:pat] [$($last_finish:tt)+] $last_body:expr }
        $({ $head:tt $number:literal [$pattern:pat] [$($finish:tt)+] $body:expr })*
    ) => {
        match $crate::__private::SelectedOperation::index(&$operation) {
            $($number => {
                let $pattern = $($finish)+;
                $crate::__select!(@run $body)
            })*
            _ => {
                let $last_pattern = $($last_finish)+;
                $crate::__select!(@run $last_body)
            }
        }
    };

    // As the end of a block a body would be told that its braces are not
    // needed, and what it borrows from its pattern might live too long.
    (@run $body:expr) => {
        match () {
            () => $body,
        }
    };

    // A pattern, or a body after a forgotten `=>`? Asked before it is read as
    // a pattern, for then there is no way back.

    (@case $state:tt $kind:ident($($argument:tt)*) -> $name:ident { $($body:tt)* }
        $(, $($rest:tt)*)?
    ) => {
        $crate::__select! { @no_arrow $kind($($argument)*) -> $name }
    };
    (@case $state:tt $kind:ident($($argument:tt)*) -> $name:ident { $($body:tt)* }
        $next:ident $($rest:tt)*
    ) => {
        $crate::__select! { @no_arrow $kind($($argument)*) -> $name }
    };

    // A head. `@body` gets what stands before the body in the state, the
    // record the body belongs to, the records after it, and what else follows.

    (@case {
        {$biased:literal $operation:ident}
        [$number:literal $($numbers:tt)*] [$($handles:tt)*] [$($arms:tt)*] $default:tt
    }
        recv($receiver:expr $(,)?) -> $pattern:pat => $($rest:tt)*
    ) => {
        $crate::__select! {
            @body
            (
                {$biased $operation} [$($numbers)*]
                [$($handles)* { case [$receiver] __receiver RecvCase }]
            )
            {
                (recv($receiver)) $number [$pattern]
                [$crate::__private::RecvCase::finish(case, $operation)]
            }
            [$($arms)*]
            ($default)
            $($rest)*
        }
    };

    (@case {
        {$biased:literal $operation:ident}
        [$number:literal $($numbers:tt)*] [$($handles:tt)*] [$($arms:tt)*] $default:tt
    }
        send($sender:expr, $value:expr $(,)?) -> $pattern:pat => $($rest:tt)*
    ) => {
        $crate::__select! {
            @body
            (
                {$biased $operation} [$($numbers)*]
                [$($handles)* { case [$sender] __sender SendCase }]
            )
            {
                (send($sender, $value)) $number [$pattern]
                [$crate::__private::SendCase::finish(case, $operation, $value)]
            }
            [$($arms)*]
            ($default)
            $($rest)*
        }
    };

    (@case { $names:tt $numbers:tt $handles:tt $arms:tt [] } default $(())? => $($rest:tt)*) => {
        $crate::__select! {
            @body ($names $numbers $handles $arms) { (default) try_select [] } [] () $($rest)*
        }
    };

    (@case { $names:tt $numbers:tt $handles:tt $arms:tt [] }
        default($timeout:expr $(,)?) => $($rest:tt)*
    ) => {
        $crate::__select! {
            @body
            ($names $numbers $handles $arms)
            { (default($timeout)) select_timeout [$timeout] }
            [] ()
            $($rest)*
        }
    };

    // A body. An expression comes first, for what a user's macro passes on as
    // one may be no block any more.

    (@body ($($before:tt)*) { $($record:tt)* } [$($records:tt)*] ($($after:tt)*)
        $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__select! {
            @case { $($before)* [{ $($record)* $body } $($records)*] $($after)* } $($($rest)*)?
        }
    };
    (@body ($($before:tt)*) { $($record:tt)* } [$($records:tt)*] ($($after:tt)*)
        $body:block $($rest:tt)*
    ) => {
        $crate::__select! {
            @case { $($before)* [{ $($record)* $body } $($records)*] $($after)* } $($rest)*
        }
    };

    // Mistakes, the narrower first.

    (@body $before:tt { ($($head:tt)+) $($record:tt)* } $records:tt $after:tt
        $(, $($rest:tt)*)?
    ) => {
        ::core::compile_error!(::core::concat!(
            "no body: after the `=>` of `", ::core::stringify!($($head)+),
            "` comes a block, or an expression and a comma",
        ));
    };
    (@body $before:tt { ($($head:tt)+) $($record:tt)* } $records:tt $after:tt $($rest:tt)+) => {
        ::core::compile_error!(::core::concat!(
            "no comma after the body of `", ::core::stringify!($($head)+),
            "`: only a block can do without, or what comes last",
        ));
    };
    (@no_arrow $kind:ident($($argument:tt)*) -> $name:ident) => {
        ::core::compile_error!(::core::concat!(
            "no `=>` in `",
            ::core::stringify!($kind), "(", ::core::stringify!($($argument)*), ") -> ",
            ::core::stringify!($name), "`: after the pattern comes `=> body`",
        ));
    };
    (@case { $names:tt [] $handles:tt $arms:tt $default:tt } recv $($rest:tt)*) => {
        $crate::__select! { @too_many }
    };
    (@case { $names:tt [] $handles:tt $arms:tt $default:tt } send $($rest:tt)*) => {
        $crate::__select! { @too_many }
    };
    (@too_many) => {
        ::core::compile_error!(
            "too many cases: up to 32 and a `default`; `Select` takes any number"
        );
    };
    (@case $state:tt recv($receiver:expr $(,)?) $($rest:tt)*) => {
        $crate::__select! { @after_head recv($receiver) $($rest)* }
    };
    (@case $state:tt send($sender:expr, $value:expr $(,)?) $($rest:tt)*) => {
        $crate::__select! { @after_head send($sender, $value) $($rest)* }
    };
    (@after_head $kind:ident($($argument:tt)+) => $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "no `-> pattern` in `",
            ::core::stringify!($kind), "(", ::core::stringify!($($argument)+), ")",
            "`: write `-> pattern => body`, with `_` for a result you do not need",
        ));
    };
    (@after_head $kind:ident($($argument:tt)+) $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "after `", ::core::stringify!($kind), "(", ::core::stringify!($($argument)+),
            ")` comes `-> pattern => body`",
        ));
    };
    (@case $state:tt recv $($rest:tt)*) => {
        ::core::compile_error!(
            "`recv` takes a receiver: `recv(receiver) -> pattern => body`"
        );
    };
    (@case $state:tt send $($rest:tt)*) => {
        ::core::compile_error!(
            "`send` takes a sender and a value: `send(sender, value) -> pattern => body`"
        );
    };
    (@case { $names:tt $numbers:tt $handles:tt $arms:tt [$first:tt] } default $($rest:tt)*) => {
        ::core::compile_error!("two `default` cases: at most one can be");
    };
    (@case $state:tt default $($rest:tt)*) => {
        ::core::compile_error!(
            "`default` is `default => body` or `default(timeout) => body`, without `-> pattern`"
        );
    };
    (@case $state:tt $unknown:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($unknown), "` begins no case: a case is ",
            "`recv(receiver) -> pattern => body`, `send(sender, value) -> pattern => body`, ",
            "`default => body` or `default(timeout) => body`",
        ));
    };
}
