//! Lets an operator fall right before or right after one of its effects, without any clean-up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A place at which an operator can fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is about to push.
    BeforePush,
    /// It has pushed and has not heard the answer.
    AfterPush,
    /// It is about to write to the cluster; Events and Leases do not count.
    BeforeWrite,
    /// It has written to the cluster and has not heard the answer.
    AfterWrite,
}

/// A trap for the operator of a setting. Whoever arms it ends the operator when it has [sprung](Trap::sprung); until then
/// the step that met it hangs.
#[derive(Debug, Clone, Default)]
pub struct Trap {
    armed: Arc<Mutex<Option<Effect>>>,
    sprung: Arc<Notify>,
}

impl Trap {
    /// Arms the trap for the next effect of this kind.
    pub fn arm(&self, effect: Effect) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(effect);
    }

    /// Takes the trap away.
    pub fn disarm(&self) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until somebody is in the trap.
    pub async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Goes on, or never again when the trap is armed for this effect.
    pub(super) async fn pass(&self, effect: Effect) {
        let is_caught = {
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            armed.take_if(|armed| *armed == effect).is_some()
        };
        if is_caught {
            self.sprung.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
