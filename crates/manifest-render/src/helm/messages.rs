//! Helm's form of the errors of templates.

/// What `fail` and `required` put around their message.
const WARNING_START: &str = "HELM_ERR_START";
const WARNING_END: &str = "HELM_ERR_END";

/// The message for a template that does not parse.
pub(crate) fn parse_message(name: &str, error: &str) -> String {
    let tokens: Vec<&str> = error.split(": ").collect();
    match tokens.as_slice() {
        [_, location, .., last] | [_, location @ last] => format!("parse error at ({location}): {last}"),
        _ => format!("parse error in ({name}): {error}"),
    }
}

/// The message for a template that fails: bare for `fail` and `required`, one place a line where all are known, else
/// as the engine says it.
pub(crate) fn execute_message(name: &str, error: &str) -> String {
    let mut tokens = error.splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return format!("execution error in ({name}): {error}");
    };
    let start = rest.find(WARNING_START).map(|at| at + WARNING_START.len());
    let end = rest.rfind(WARNING_END);
    if let (Some(start), Some(end)) = (start, end)
        && let Some(message) = rest.get(start..end)
    {
        return format!("execution error at ({location}): {message}");
    }
    if error.starts_with("template: no template ") {
        return error.to_owned();
    }
    trace(error).unwrap_or_else(|| error.to_owned())
}

/// One place of a trace.
#[derive(PartialEq, Eq)]
struct Step<'e> {
    location: &'e str,
    executing: &'e str,
    message: &'e str,
}

/// The places of an error that is nested in others; None when one of them is not an error of a template.
fn trace(error: &str) -> Option<String> {
    let mut text = String::new();
    let mut last = None;
    let mut current = error;
    // Each turn goes on with a shorter text.
    loop {
        let (step, inner) = step(current)?;
        if last.as_ref() != Some(&step) {
            if !step.location.is_empty() {
                text.push_str(&format!("{}\n  ", step.location));
            }
            if !step.executing.is_empty() {
                text.push_str(&format!("{}\n    ", step.executing));
            }
            text.push_str(&format!("{}\n", step.message));
        }
        last = Some(step);
        match inner {
            Some(inner) => current = inner,
            None => return Some(text.trim().to_owned()),
        }
    }
}

/// The outermost place of an error, and the error that it wraps.
fn step(error: &str) -> Option<(Step<'_>, Option<&str>)> {
    let rest = error.strip_prefix("template: ")?;
    if rest.starts_with("no template ") {
        return Some((Step { location: "", executing: "", message: error }, None));
    }
    let Some((location, after)) = rest.split_once(": executing ") else {
        let (location, message) = rest.rsplit_once(": ")?;
        return Some((Step { location, executing: "", message: until_next(message) }, None));
    };
    let function = after.strip_prefix('"')?;
    let (_, at) = function.split_once('"')?;
    let context = at.strip_prefix(" at <")?;
    let (context, message) = context.split_once(">: ")?;
    let executing_length = after.len() - message.len() - 1;
    let start = error.len() - after.len() - "executing ".len();
    let executing = error.get(start..start + "executing ".len() + executing_length)?;
    debug_assert!(executing.contains(context), "the context is part of what is shown");
    let inner = message.strip_prefix("error calling ").and_then(|call| call.split_once(": ")).map(|(_, inner)| inner);
    Some((Step { location, executing, message: until_next(message) }, inner))
}

/// A message up to the next error of a template in it.
fn until_next(message: &str) -> &str {
    message.split_once(" template:").map_or(message, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_form_that_helm_gives_them() {
        let nested = "template: a/templates/x.yaml:1:3: executing \"a/templates/x.yaml\" at <include \"b\" .>: error \
                      calling include: template: a/templates/_h.tpl:2:5: executing \"b\" at <.Values.x.y>: nil pointer \
                      evaluating interface {}.y";
        assert_eq!(
            execute_message("a/templates/x.yaml", nested),
            "a/templates/x.yaml:1:3\n  executing \"a/templates/x.yaml\" at <include \"b\" .>:\n    error calling \
             include:\na/templates/_h.tpl:2:5\n  executing \"b\" at <.Values.x.y>:\n    nil pointer evaluating \
             interface {}.y"
        );
        let plain = "template: x:1:2: executing \"x\" at <index .a 5>: error calling index: index out of range: 5";
        assert_eq!(execute_message("x", plain), plain);
        let failed =
            "template: x:1:2: executing \"x\" at <fail \"no\">: error calling fail: HELM_ERR_STARTnoHELM_ERR_END";
        assert_eq!(execute_message("x", failed), "execution error at (x:1:2): no");
        assert_eq!(
            parse_message("x", "template: a/templates/x.yaml:3: unexpected EOF"),
            "parse error at (a/templates/x.yaml:3): unexpected EOF"
        );
    }
}
