//! Every scenario file on the embedded cluster, and the page that describes their language.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use scenario::end_to_end::{Scenario, fixtures, on_embedded, scenarios};

#[test]
fn every_scenario_passes_on_the_embedded_cluster() {
    let all = scenarios().unwrap();
    assert!(all.len() >= 18, "only {} scenarios were found", all.len());
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    let play = || {
        while let Some(scenario) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = on_embedded(scenario, 7).unwrap();
            if !outcome.has_passed() {
                problems.lock().unwrap().push(format!("{}\n{}", outcome.problems().join("\n"), outcome.diagnosis));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(8) {
            scope.spawn(play);
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} of {} scenarios failed:\n{}", problems.len(), all.len(), problems.join("\n"));
}

#[test]
fn every_scenario_says_first_what_it_shows_and_the_short_list_is_short() {
    let all = scenarios().unwrap();
    for scenario in &all {
        let first = scenario.script.about.lines().next().unwrap_or_default();
        assert!(first.ends_with('.') && first.len() > 30, "{}: {first}", scenario.name());
    }
    let short = all.iter().filter(|scenario| scenario.is_short).count();
    assert!((4..=8).contains(&short), "{short} scenarios are in the short list");
}

#[test]
fn a_line_that_is_not_so_is_named_with_what_was_seen() {
    for (line, expected) in [
        ("expect namespace/default /status/phase is Gone", "/status/phase is Active"),
        ("wait operator is up within 2s", "after 2 s `wait operator is up within 2s` is not so: down"),
        ("expect git head subject is Begin", "absent"),
        ("merge configmap/nothing\n  data: {}", "not found"),
        ("commit Begin by Ann\n  edit nowhere.txt replace a by b", "there is no file nowhere.txt"),
    ] {
        let scenario = Scenario::parse("wrong", &format!("# Wrong.\n\n{line}\n")).unwrap();
        let outcome = on_embedded(&scenario, 7).unwrap();
        let failure = outcome.failure.unwrap();
        assert!(failure.starts_with("wrong:3: ") && failure.contains(expected), "{failure}");
    }
}

#[test]
fn what_must_never_be_ends_the_play_when_it_is_so() {
    let text = "# Wrong.\nnever operator is up\noperator start\npass 5s\n";
    let outcome = on_embedded(&Scenario::parse("wrong", text).unwrap(), 7).unwrap();
    assert_eq!(outcome.failure.unwrap(), "wrong: line 2: never operator is up: it is so: up");
}

#[test]
fn the_page_describes_every_verb_as_it_is() {
    let page = std::fs::read_to_string(fixtures().join("scenarios/README.md")).unwrap();
    let described: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(usage, _)| usage.replace("\\|", "|"))
        .collect();
    assert_eq!(described, scenario::verbs::usages());
}
