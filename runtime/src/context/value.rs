//! Values of a context, found by their types.

use std::any::Any;
use std::sync::Arc;

/// A list that only grows, at the front; tails are shared.
#[derive(Clone)]
pub(super) struct Values(Option<Arc<Link>>);

struct Link {
    value: Arc<dyn Any + Send + Sync>,
    next: Option<Arc<Link>>,
}

impl Values {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn with(&self, value: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(Link {
            value: Arc::new(value),
            next: self.0.clone(),
        })))
    }

    pub(super) fn get<K: Any + Send + Sync>(&self) -> Option<Arc<K>> {
        let mut next = &self.0;
        while let Some(link) = next {
            if link.value.is::<K>() {
                return link.value.clone().downcast().ok();
            }
            next = &link.next;
        }
        None
    }
}

/// One after the other: a list may be longer than a stack is deep.
impl Drop for Values {
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.next.take();
        }
    }
}
