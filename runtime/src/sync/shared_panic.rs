//! One panic that reaches many.

use crate::shim::Mutex;
use raddle_scheduler::{is_panic, resume};
use std::any::Any;
use std::fmt;

type Payload = Box<dyn Any + Send>;

/// A payload that goes on in more than one goroutine: whole in the first,
/// then as a copy if it is a text, else as a text that says so.
pub(crate) struct SharedPanic {
    whole: Mutex<Option<Payload>>,
    text: Option<Text>,
    /// A goroutine's end, not a panic.
    is_end: bool,
}

#[derive(Clone, Debug)]
enum Text {
    Static(&'static str),
    Owned(String),
}

impl SharedPanic {
    pub(crate) fn new(payload: Payload) -> Self {
        let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Some(Text::Static(text))
        } else {
            payload.downcast_ref::<String>().cloned().map(Text::Owned)
        };
        Self {
            is_end: !is_panic(payload.as_ref()),
            text,
            whole: Mutex::new(Some(payload)),
        }
    }

    /// It goes on in the calling goroutine.
    pub(crate) fn resume(&self) -> ! {
        let whole = self
            .whole.lock().take();
        resume(whole.unwrap_or_else(|| self.copy()))
    }

    fn copy(&self) -> Payload {
        match &self.text {
            Some(Text::Static(text)) => Box::new(*text),
            Some(Text::Owned(text)) => Box::new(text.clone()),
            None if self.is_end => Box::new("its goroutine was ended in the midst of it"),
            None => Box::new("it panicked, with a payload that another has"),
        }
    }
}

impl fmt::Debug for SharedPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPanic")
            .field("text", &self.text)
            .field("is_end", &self.is_end)
            .finish_non_exhaustive()
    }
}
