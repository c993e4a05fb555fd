//! Templates as Go's `text/template` runs them: parsed once, executed within a budget, open to functions of your own.
//!
//! [`Templates`] is a set of named templates; it is parsed once and may be executed by many threads. [`Value`] is what
//! they see: Go's kinds, with maps that all holders share. [`Functions`] are what they may call: Go's builtins, and
//! whatever [`Function`] you add, with Go's checks of arguments. Messages are Go's, with the same positions.
//!
//! What it leaves out of Go: complex numbers, functions as values, channels, and maps whose keys are no strings.
//!
//! It knows no Helm chart and does no I/O; clock and randomness come from the caller by an [`Environment`], and what an
//! execution may use is bounded by its [`Budget`].
//!
//! ```
//! use std::sync::Arc;
//! use go_template::{CountingEntropy, Environment, Functions, Templates, from_json};
//!
//! let mut templates = Templates::new("greetings", Arc::new(Functions::builtins()));
//! templates.parse("hello", "{{ range .names }}Hello, {{ . | printf \"%q\" }}!\n{{ end }}").unwrap();
//!
//! let data = from_json(&serde_json::json!({"names": ["Ada", "Grace"]}));
//! let mut entropy = CountingEntropy::default();
//! let text = templates.execute("hello", &data, &mut Environment::new(&mut entropy)).unwrap();
//! assert_eq!(text, "Hello, \"Ada\"!\nHello, \"Grace\"!\n");
//!
//! let error = templates.parse("bad", "{{ nothing }}").unwrap_err();
//! assert_eq!(error.to_string(), "template: bad:1: function \"nothing\" not defined");
//! ```

mod budget;
mod builtins;
mod environment;
mod error;
mod execute;
mod format;
mod function;
pub mod functions;
mod number;
mod parse;
mod quote;
mod templates;
mod text;
mod tree;
mod unicode;
mod value;

pub use budget::{Budget, Exhausted, Limits};
pub use environment::{CountingEntropy, Entropy, Environment, Timestamp};
pub use error::{ExecuteError, ParseError};
pub use format::{float_text, is_printable, quoted, quoted_char, sprint, sprintf, sprintln};
pub use function::{Args, Call, CallError, Engine, Function, Functions, Signature};
pub use templates::{MissingKey, Templates};
pub use text::Str;
pub use value::{
    IntKind, JsonError, Kind, List, Map, MapScope, NilMap, Object, Type, UintKind, Value, deep_equal, from_json,
    to_json,
};
