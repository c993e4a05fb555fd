//! Sizes and hashes held against what Argo Rollouts' own packages answered (`fixtures/argo`).

use std::io::Read;

use api::argo::IntOrPercent;
use object_model::Weight;
use reconcile_core::rollout::{
    PreviewState, RatioSet, RatioStable, RatioState, RoutedState, Scale, pod_hash, preview_count, ratio_next,
    routed_counts, step_hash, surge_and_unavailable,
};
use serde_json::Value;

fn answers() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/argo/answers.txt.gz");
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// The inputs and the answers of every line of a kind, with what our own arithmetic says of it.
fn compare(kind: &str, least: usize, ours: impl Fn(&[&str]) -> Vec<u32>) {
    let text = answers();
    let lines: Vec<&str> = text.lines().filter(|line| line.split(' ').next() == Some(kind)).collect();
    assert!(lines.len() >= least, "only {} lines of {kind}", lines.len());
    let mut differences = Vec::new();
    for line in lines {
        let (inputs, wanted) = line.split_once(" = ").unwrap();
        let inputs: Vec<&str> = inputs.split(' ').skip(1).collect();
        let wanted: Vec<u32> = wanted.split(' ').map(|word| word.parse().unwrap()).collect();
        let found = ours(&inputs);
        if found != wanted {
            differences.push(format!("{line}, not {found:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

fn number(word: &str) -> u32 {
    word.parse().unwrap()
}

fn weight(word: &str) -> Weight {
    Weight::new(word.parse().unwrap()).unwrap()
}

fn amount(word: &str) -> IntOrPercent {
    IntOrPercent::parse(&serde_json::from_str(word).unwrap()).unwrap()
}

#[test]
fn a_canary_by_the_ratio_of_pods_has_argos_sizes() {
    compare("ratio", 9_000, |inputs| {
        let [replicas, surge, unavailable, share, canary, available, kind, stable, stable_available, older] = inputs
        else {
            panic!("{inputs:?}");
        };
        let set = |spec: &str, available: &str| RatioSet { spec: number(spec), available: number(available) };
        let (surge, unavailable) = surge_and_unavailable(amount(surge), amount(unavailable), number(replicas));
        let next = ratio_next(&RatioState {
            replicas: number(replicas),
            weight: weight(share),
            surge,
            unavailable,
            canary: set(canary, available),
            stable: match *kind {
                "absent" => RatioStable::Absent,
                "same" => RatioStable::Same,
                _ => RatioStable::Other(set(stable, stable_available)),
            },
            older: number(older),
        });
        vec![next.canary, next.stable]
    });
}

#[test]
fn a_routed_canary_has_argos_sizes() {
    compare("routed", 3_000, |inputs| {
        let [replicas, share, how, scale, floor, dynamic, actual] = inputs else { panic!("{inputs:?}") };
        let counts = routed_counts(&RoutedState {
            replicas: number(replicas),
            weight: weight(share),
            total: 100,
            scale: match *how {
                "replicas" => Some(Scale::Replicas(number(scale))),
                "percent" => Some(Scale::Share(number(scale))),
                _ => None,
            },
            floor: floor.parse().ok(),
            dynamic_stable: (*dynamic == "dynamic").then(|| weight(actual)),
        });
        vec![counts.canary, counts.stable]
    });
}

#[test]
fn a_preview_has_argos_size() {
    compare("preview", 1_500, |inputs| {
        let [replicas, preview, other, full, known, paused, checked] = inputs else { panic!("{inputs:?}") };
        let count = preview_count(&PreviewState {
            replicas: number(replicas),
            preview: preview.parse().ok(),
            other_is_active: *other == "true",
            promote_full: *full == "true",
            is_known: *known == "true",
            is_paused: *paused == "true",
            check_point: *checked == "true",
        });
        vec![count]
    });
}

#[test]
fn surge_and_unavailability_are_rounded_as_argo_does() {
    compare("fence", 500, |inputs| {
        let [replicas, surge, unavailable] = inputs else { panic!("{inputs:?}") };
        let (surge, unavailable) = surge_and_unavailable(amount(surge), amount(unavailable), number(replicas));
        vec![surge, unavailable]
    });
}

#[test]
fn hashes_of_templates_and_steps_are_argos() {
    let text = answers();
    let (mut templates, mut steps) = (0, 0);
    for line in text.lines() {
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        let Some((inputs, answer)) = rest.split_once("= ") else { continue };
        let parse = || -> (&str, Value) {
            let (hash, json) = answer.split_once(' ').unwrap();
            (hash, serde_json::from_str(json).unwrap())
        };
        match kind {
            "template" => {
                let (hash, template) = parse();
                assert_eq!(pod_hash(&template, inputs.trim().parse().ok()).as_str(), hash, "{template}");
                templates += 1;
            }
            "steps" => {
                let (hash, list) = parse();
                assert_eq!(step_hash(&list), hash, "{list}");
                steps += 1;
            }
            _ => {}
        }
    }
    assert!(templates >= 300 && steps >= 200, "{templates} templates, {steps} lists of steps");
}
