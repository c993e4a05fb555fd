//! YAML as Kubernetes tools read and write it: parse with positions, emit byte-equal to Go's, edit in place.
//!
//! [`parse`] resolves scalars as `sigs.k8s.io/yaml` does (YAML 1.1 booleans, octals, merge keys) and knows line and
//! column of every value; it refuses what would be read differently elsewhere or never end (duplicate keys, unknown
//! tags, alias bombs). [`to_yaml`] writes the same bytes as `sigs.k8s.io/yaml`. [`set_scalar`] replaces one scalar and
//! keeps every other byte of the file.
//!
//! Where readers of YAML 1.1 and 1.2 take a text for different values, it is refused rather than guessed.
//!
//! It does no I/O, keeps no comments in its values and does not know what a Kubernetes object is.
//!
//! ```
//! let documents = yaml::parse("image: web:1.0 # current\nready: yes\n").unwrap();
//! assert_eq!(documents[0].value, serde_json::json!({"image": "web:1.0", "ready": true}));
//! assert_eq!(documents[0].position(&["ready".into()]).unwrap().to_string(), "2:8");
//! assert_eq!(yaml::to_yaml(&documents[0].value), "image: web:1.0\nready: true\n");
//! ```

mod diagnostic;
mod edit;
mod emit;
mod key_order;
mod layout;
mod limits;
mod load;
mod number;
mod resolve;
mod timestamp;

pub use diagnostic::Diagnostic;
pub use edit::{Edit, EditError, set_scalar, set_scalars};
pub use emit::{to_yaml, to_yaml_indented};
pub use layout::{Document, Position, Step};
pub use limits::Limits;
pub use load::{json_number, parse, parse_first_as_go, parse_with};
pub use number::format_go_single;
