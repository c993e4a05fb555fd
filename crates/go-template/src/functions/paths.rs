//! Functions of slash-separated paths. The `os` ones are those of a Unix system.

use super::{STRING, path, text};
use crate::function::{Function, Functions, Signature};
use crate::value::Value;

const PATH: Signature = Signature::fixed(&[STRING]);

pub(super) fn add(functions: &mut Functions) {
    for (names, body) in [
        (["base", "osBase"], (|given| path::base(given).to_vec()) as fn(&[u8]) -> Vec<u8>),
        (["dir", "osDir"], path::dir),
        (["clean", "osClean"], path::clean),
        (["ext", "osExt"], |given| path::ext(given).to_vec()),
    ] {
        for name in names {
            functions.add(Function::new(name, PATH, move |call, args| text(call, body(args.string(0)?.as_bytes()))));
        }
    }
    for name in ["isAbs", "osIsAbs"] {
        functions
            .add(Function::new(name, PATH, |_, args| Ok(Value::Bool(path::is_absolute(args.string(0)?.as_bytes())))));
    }
}
