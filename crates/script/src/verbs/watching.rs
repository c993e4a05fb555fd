//! Watches: opened by one line, read by later ones.

use http::Method;
use serde_json::Value;

use super::{requests, waits};
use crate::script::Call;
use crate::stage::{Stage, Verb};

pub(crate) const WATCHES: &[Verb] = &[
    Verb { name: "watch", usage: "watch TARGET as=NAME", play: |stage, call| Box::pin(watch(stage, call)) },
    Verb {
        name: "events",
        usage: "events NAME COUNT|to-end|for=DURATION",
        play: |stage, call| Box::pin(events(stage, call)),
    },
    Verb { name: "close", usage: "close NAME", play: |stage, call| Box::pin(close(stage, call)) },
];

async fn watch(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let target = requests::target(stage, call, 0)?;
    let name = call.option("as").ok_or("a watch needs a name: as=NAME")?;
    let mut options = requests::options(call);
    options.push(("watch", "true"));
    let address = target.object_address(&options);
    let request = requests::request(call, Method::GET, &address, None, None)?;
    let response = requests::send(stage, request).await?;
    let status = response.status().as_u16();
    if status == 200 {
        stage.watches.open(name, response.into_body());
        stage.record(call, Some(status), Vec::new(), Value::Null);
        return Ok(());
    }
    let body = requests::read(response.into_body()).await?;
    stage.record(call, Some(status), Vec::new(), body);
    Ok(())
}

async fn events(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let usage = "events NAME COUNT|to-end|for=DURATION";
    let (Some(name), Some(amount)) = (call.words.first(), call.words.get(1)) else { return Err(usage.to_owned()) };
    let patience = waits::patience(call)?;
    let events = if let Some(time) = call.option("for") {
        stage.watches.take_for(name, waits::duration(time)?).await?
    } else if amount == "to-end" {
        stage.watches.take_until_end(name, patience).await?
    } else {
        let count = amount.parse().map_err(|_| usage.to_owned())?;
        stage.watches.take(name, count, patience).await?
    };
    stage.answer.body = Value::Array(events.clone());
    stage.record(call, None, Vec::new(), Value::Array(events));
    Ok(())
}

async fn close(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let name = call.words.first().ok_or("close NAME")?;
    stage.watches.close(name)
}
