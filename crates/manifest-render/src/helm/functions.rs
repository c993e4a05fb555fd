//! The functions that templates of charts may call.

use std::sync::{Arc, LazyLock};

use go_template::Functions;
use go_template::functions::{Helm, Strictness};
pub use go_template::functions::{Lookup, LookupError};

use super::release::Mode;

/// The functions of charts without a cluster: they are the same for every render.
static FAILING: LazyLock<Arc<Functions>> = LazyLock::new(|| Arc::new(functions_of(&Helm::default())));

/// The same, for a linter.
static LENIENT: LazyLock<Arc<Functions>> =
    LazyLock::new(|| Arc::new(functions_of(&Helm { strictness: Strictness::Lenient, cluster: None })));

/// Returns the functions for a mode, with or without a cluster to look things up in.
pub(crate) fn chart_functions(mode: Mode, cluster: Option<Arc<dyn Lookup>>) -> Arc<Functions> {
    match (mode, cluster) {
        (Mode::Lint, _) => LENIENT.clone(),
        (_, None) => FAILING.clone(),
        (_, cluster) => Arc::new(functions_of(&Helm { strictness: Strictness::Failing, cluster })),
    }
}

/// Go's own functions with sprig's and Helm's over them.
fn functions_of(helm: &Helm) -> Functions {
    let mut functions = Functions::builtins();
    helm.add(&mut functions);
    functions
}
