//! Functions that tell Go's types and kinds.

use super::{ANY, STRING};
use crate::function::{Function, Functions, Signature};
use crate::value::{Value, deep_equal};

fn type_name(value: &Value) -> String {
    value.go_type().map_or_else(|| "<nil>".to_owned(), ToString::to_string)
}

pub(super) fn add(functions: &mut Functions) {
    const ONE: Signature = Signature::fixed(&[ANY]);
    const NAMED: Signature = Signature::fixed(&[STRING, ANY]);
    functions.add(Function::new("typeOf", ONE, |_, args| Ok(type_name(args.value(0)).into())));
    functions.add(Function::new("kindOf", ONE, |_, args| Ok(Value::text(args.value(0).kind().name()))));
    functions.add(Function::new("typeIs", NAMED, |_, args| {
        Ok(Value::Bool(args.string(0)? == type_name(args.value(1)).as_str()))
    }));
    functions.add(Function::new("typeIsLike", NAMED, |_, args| {
        let name = type_name(args.value(1));
        let asked = args.string(0)?;
        Ok(Value::Bool(asked == name.as_str() || format!("*{}", asked.to_str_lossy()) == name))
    }));
    functions
        .add(Function::new("kindIs", NAMED, |_, args| Ok(Value::Bool(args.string(0)? == args.value(1).kind().name()))));
    functions.add(Function::new("deepEqual", Signature::fixed(&[ANY, ANY]), |call, args| {
        Ok(Value::Bool(deep_equal(args.value(0), args.value(1), call.budget())?))
    }));
}
