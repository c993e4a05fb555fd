//! Domains of any snapshot type behind one face.

use object_model::Object;
use reconcile_core::{Domain, Key, Kind, Plan, View, Violation};

/// A plan with what its second opinion says about it.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) plan: Plan,
    pub(crate) violations: Vec<Violation>,
}

/// A snapshot that knows how to be decided on.
pub(crate) type Undecided<'a> = Box<dyn FnOnce() -> Decision + Send + 'a>;

/// [`Domain`] without its snapshot type.
pub(crate) trait AnyDomain: Send + Sync {
    fn name(&self) -> &'static str;
    fn watches(&self) -> Vec<Kind>;
    fn reads(&self) -> Vec<Kind>;
    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key>;
    fn observe<'a>(&'a self, view: &dyn View, key: &Key) -> Option<Undecided<'a>>;
}

impl<D: Domain> AnyDomain for D {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn watches(&self) -> Vec<Kind> {
        Domain::watches(self)
    }

    fn reads(&self) -> Vec<Kind> {
        Domain::reads(self)
    }

    fn keys_for(&self, view: &dyn View, object: &Object) -> Vec<Key> {
        Domain::keys_for(self, view, object)
    }

    fn observe<'a>(&'a self, view: &dyn View, key: &Key) -> Option<Undecided<'a>> {
        let snapshot = Domain::observe(self, view, key)?;
        Some(Box::new(move || {
            let plan = self.decide(&snapshot);
            let violations = self.check(&snapshot, &plan);
            Decision { plan, violations }
        }))
    }
}
