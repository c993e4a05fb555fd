//! The operator as a process, the visitors, the versions that answer them, and the metrics.

use std::time::Duration;

use script::{Call, Stage, Verb};
use sim_traffic::{Behaviour, Load};

use super::{duration, world};
use crate::setting::{Effect, MetricsState};
use crate::world::kinds::within;
use crate::world::{Unready, World};

pub(super) const OPERATION: &[Verb] = &[
    Verb {
        name: "operator",
        usage: "operator start|stop|crash [before|after the next push|write]",
        play: |stage, call| Box::pin(operator(stage, call)),
    },
    Verb { name: "load", usage: "load RATE to HOST [in NAMESPACE]", play: |stage, call| Box::pin(load(stage, call)) },
    Verb { name: "fault", usage: "fault rate IMAGE RATE", play: |stage, call| Box::pin(fault(stage, call)) },
    Verb { name: "latency", usage: "latency IMAGE DURATION", play: |stage, call| Box::pin(latency(stage, call)) },
    Verb {
        name: "make",
        usage: "make unready image IMAGE|pods LABEL=VALUE[,...] [in NAMESPACE] | make ready all",
        play: |stage, call| Box::pin(make(stage, call)),
    },
    Verb { name: "metrics", usage: "metrics broken|empty|back", play: |stage, call| Box::pin(metrics(stage, call)) },
    Verb { name: "count", usage: "count from zero", play: |stage, call| Box::pin(count(stage, call)) },
];

async fn operator(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let trap = &world.setting.overheard.trap;
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["start"] => return world.operator.start(&world.setting).await,
        ["stop"] => return world.operator.stop().await,
        ["crash"] => world.operator.crash().await,
        ["crash", "before", "the", "next", "push"] => trap.arm(Effect::BeforePush),
        ["crash", "after", "the", "next", "push"] => trap.arm(Effect::AfterPush),
        ["crash", "before", "the", "next", "write"] => trap.arm(Effect::BeforeWrite),
        ["crash", "after", "the", "next", "write"] => trap.arm(Effect::AfterWrite),
        _ => return Err("operator start|stop|crash [before|after the next push|write]".to_owned()),
    }
    Ok(())
}

async fn load(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let usage = "load RATE to HOST [in NAMESPACE]";
    let [rate, to, host, rest @ ..] = call.words.as_slice() else { return Err(usage.to_owned()) };
    let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` is no rate"))?;
    let (namespace, rest) = within(rest, &stage.namespace);
    if to != "to" || !rest.is_empty() {
        return Err(usage.to_owned());
    }
    let client = format!("visitors of {host} in {namespace}");
    world.setting.with_traffic(|traffic| traffic.set_load(&client, Load::new(host, namespace, rate)));
    Ok(())
}

/// Changes how an image behaves. Without its registry it goes by its last part.
fn behave(world: &World, image: &str, change: impl FnOnce(&mut Behaviour)) {
    let has_registry = image.split_once('/').is_some_and(|(host, _)| host.contains('.'));
    let image = if has_registry { image } else { image.rsplit('/').next().unwrap_or(image) };
    let behaviour = {
        let mut notes = world.notes();
        let behaviour = notes.behaviours.entry(image.to_owned()).or_default();
        change(behaviour);
        *behaviour
    };
    world.setting.with_traffic(|traffic| traffic.set_behaviour(image, behaviour));
}

async fn fault(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let [word, image, rate] = call.words.as_slice() else { return Err("fault rate IMAGE RATE".to_owned()) };
    let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` is no rate"))?;
    if word != "rate" || !(0.0..=1.0).contains(&rate) {
        return Err("fault rate IMAGE RATE, from 0 to 1".to_owned());
    }
    behave(&world, image, |behaviour| behaviour.error_rate = rate);
    Ok(())
}

async fn latency(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let [image, time] = call.words.as_slice() else { return Err("latency IMAGE DURATION".to_owned()) };
    let time: Duration = duration(time)?;
    behave(&world, image, |behaviour| behaviour.latency = time);
    Ok(())
}

async fn make(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let usage = "make unready image IMAGE|pods LABEL=VALUE[,...] [in NAMESPACE] | make ready all";
    let (first, rest) = call.words.split_first().ok_or(usage)?;
    let unready = match (first.as_str(), rest) {
        ("ready", [all]) if all == "all" => return crate::world::end_unready(&world).await,
        ("unready", [word, image]) if word == "image" => Unready::Image(image.clone()),
        ("unready", [word, labels, rest @ ..]) if word == "pods" => {
            let (namespace, rest) = within(rest, &stage.namespace);
            let pairs = labels.split(',').map(|pair| pair.split_once('=').ok_or(usage));
            let labels = pairs.map(|pair| pair.map(|(key, value)| (key.to_owned(), value.to_owned())));
            let labels = labels.collect::<Result<Vec<_>, _>>()?;
            if !rest.is_empty() {
                return Err(usage.to_owned());
            }
            Unready::Labels { namespace: namespace.to_owned(), labels }
        }
        _ => return Err(usage.to_owned()),
    };
    world.notes().unready.push(unready);
    Ok(())
}

async fn metrics(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let state = match words.as_slice() {
        ["broken"] => MetricsState::Broken,
        ["empty"] => MetricsState::Empty,
        ["back"] => MetricsState::Working,
        _ => return Err("metrics broken|empty|back".to_owned()),
    };
    *world.setting.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    Ok(())
}

async fn count(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    if words != ["from", "zero"] {
        return Err("count from zero".to_owned());
    }
    world(stage)?.count_from_zero();
    Ok(())
}
