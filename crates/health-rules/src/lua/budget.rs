//! What a script may still do.

use std::cell::Cell;
use std::rc::Rc;

/// Steps that are left; shared by the interpreter and the functions that it calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Rc<Cell<u64>>);

impl Budget {
    pub(super) fn refill(&self, steps: u64) {
        self.0.set(steps);
    }

    /// Takes steps; `false` when there are not so many.
    pub(super) fn spend(&self, steps: u64) -> bool {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}
