//! Waiting, expecting, and taking values from answers.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::requests;
use crate::paths;
use crate::script::Call;
use crate::stage::{Answer, Stage, Verb};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) const WAITS: &[Verb] = &[
    Verb {
        name: "wait",
        usage: "wait TARGET exists|gone|until PATH ==|!=|contains VALUE [and ...] [within=DURATION]",
        play: |stage, call| Box::pin(wait(stage, call)),
    },
    Verb { name: "sleep", usage: "sleep DURATION", play: |stage, call| Box::pin(sleep(stage, call)) },
    Verb {
        name: "expect",
        usage: "expect STATUS | expect PATH ==|!=|contains VALUE [and ...] | expect PATH missing",
        play: |stage, call| Box::pin(expect(stage, call)),
    },
    Verb { name: "let", usage: "let NAME = PATH|$VARIABLE", play: |stage, call| Box::pin(set(stage, call)) },
    Verb { name: "in", usage: "in NAMESPACE", play: |stage, call| Box::pin(enter(stage, call)) },
    Verb { name: "show", usage: "show managed-fields", play: |stage, call| Box::pin(show(stage, call)) },
];

/// Reads `500ms`, `3s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no duration"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("`{text}` is no duration: write ms, s or m")),
    }
}

/// How long a call may wait: `within=` or a minute.
pub(super) fn patience(call: &Call) -> Result<Duration, String> {
    call.option("within").map_or(Ok(Duration::from_secs(60)), duration)
}

async fn wait(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let target = requests::target(stage, call, 0)?;
    let address = target.object_address(&requests::options(call));
    let words: Vec<&str> =
        call.words.iter().skip(1).map(String::as_str).filter(|word| !word.contains("within=")).collect();
    let patience = patience(call)?;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let request = requests::request(call, Method::GET, &address, None, None)?;
        let response = requests::send(stage, request).await?;
        let status = response.status().as_u16();
        stage.answer = Answer { status, body: requests::read(response.into_body()).await? };
        let is_so = match words.split_first() {
            Some((&"gone", [])) => Ok((status == 404).then_some(()).ok_or_else(|| "it is still there".to_owned())),
            Some((&"exists", [])) => Ok((status == 200).then_some(()).ok_or_else(|| "it is not there".to_owned())),
            Some((&"until", condition)) => hold(&stage.answer, condition),
            _ => Err("wait TARGET exists|gone|until CONDITION".to_owned()),
        }?;
        let Err(reason) = is_so else { return Ok(()) };
        if tokio::time::Instant::now() >= deadline {
            return Err(format!("waited {} s: {reason}", patience.as_secs()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn sleep(_: &mut Stage, call: &Call) -> Result<(), String> {
    let time = call.words.first().ok_or("sleep DURATION")?;
    tokio::time::sleep(duration(time)?).await;
    Ok(())
}

async fn expect(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    if let [status] = words.as_slice()
        && let Ok(status) = status.parse::<u16>()
    {
        return match stage.answer.status {
            answered if answered == status => Ok(()),
            answered => Err(format!("the answer has status {answered}: {}", shorten(&stage.answer.body))),
        };
    }
    hold(&stage.answer, &words)?
}

/// Says whether all conditions, joined by `and`, hold; the outer error is a condition that cannot be read.
fn hold(answer: &Answer, words: &[&str]) -> Result<Result<(), String>, String> {
    for condition in words.split(|word| *word == "and") {
        let (path, found, is_so) = match condition {
            [path, "missing"] => {
                let found = paths::find(&answer.body, path);
                let is_so = found.is_none();
                (path, found, is_so)
            }
            [path, operator, value] => {
                let found = paths::find(&answer.body, path);
                let text = found.as_ref().map(text_of);
                let is_so = match *operator {
                    "==" => text.as_deref() == Some(value),
                    "!=" => text.as_deref() != Some(value),
                    "contains" => text.is_some_and(|text| text.contains(value)),
                    ">=" => at_least(text.as_deref(), value),
                    other => return Err(format!("unknown operator `{other}`")),
                };
                (path, found, is_so)
            }
            _ => return Err(format!("`{}` is no condition", condition.join(" "))),
        };
        if !is_so {
            let found = found.as_ref().map_or_else(|| "missing".to_owned(), shorten);
            return Ok(Err(format!("`{}` does not hold: {path} is {found}", condition.join(" "))));
        }
    }
    Ok(Ok(()))
}

fn at_least(found: Option<&str>, value: &str) -> bool {
    match (found.and_then(|found| found.parse::<f64>().ok()), value.parse::<f64>()) {
        (Some(found), Ok(value)) => found >= value,
        _ => false,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shorten(value: &Value) -> String {
    const SHOWN_MAX: usize = 300;
    let text = text_of(value);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

async fn set(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let [name, equals, value] = call.words.as_slice() else { return Err("let NAME = PATH|$VARIABLE".to_owned()) };
    if equals != "=" {
        return Err("let NAME = PATH|$VARIABLE".to_owned());
    }
    // A variable is replaced before the call is played; what still looks like a path is one.
    let is_variable = call.text.split_once('=').is_some_and(|(_, right)| right.trim().starts_with('$'));
    let value = if is_variable {
        value.clone()
    } else {
        let found = paths::find(&stage.answer.body, value);
        text_of(&found.ok_or_else(|| format!("the last answer has no {value}"))?)
    };
    stage.variables.set(name, &value);
    Ok(())
}

async fn enter(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let namespace = call.words.first().ok_or("in NAMESPACE")?;
    stage.namespace.clone_from(namespace);
    stage.variables.set("ns", namespace);
    Ok(())
}

async fn show(stage: &mut Stage, call: &Call) -> Result<(), String> {
    match call.words.first().map(String::as_str) {
        Some("managed-fields") => stage.shown.managed_fields = true,
        _ => return Err("show managed-fields".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_are_judged_by_the_last_answer() {
        let answer = Answer { status: 200, body: json!({"a": {"b": 3}, "c": "word"}) };
        let judge = |text: &str| hold(&answer, &text.split(' ').collect::<Vec<_>>());
        assert_eq!(judge("a.b == 3 and c contains or"), Ok(Ok(())));
        assert_eq!(judge("a.b >= 2"), Ok(Ok(())));
        assert_eq!(judge("a.x missing"), Ok(Ok(())));
        assert_eq!(judge("a.b == 4"), Ok(Err("`a.b == 4` does not hold: a.b is 3".to_owned())));
        assert_eq!(judge("c missing"), Ok(Err("`c missing` does not hold: c is word".to_owned())));
        assert_eq!(judge("a.b ~ 4"), Err("unknown operator `~`".to_owned()));
    }
}
