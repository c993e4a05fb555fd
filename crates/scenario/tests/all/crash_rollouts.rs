//! The crash test for what a Rollout does: stories of Argo's features are cut before and after every write, deed by deed,
//! and must come to the same rest.

use std::sync::Arc;

use scenario::setting::{Moment, install};
use scenario::tale::{TALES, Tale, Told};

use crate::crash::{Case, Crashed, People, crash_and_go_on};
use crate::world::{in_virtual_time, pass, with_operator, world};

/// Longer than any delay of the stories: Argo's own for the pods of a version that served.
const QUIET_SECONDS: u64 = 33;
/// Within this time every deed comes to rest.
const SECONDS: u64 = 75;
const NAMESPACE: &str = "tale";

/// What is there before the first deed, at rest.
fn opened(told: &Told) -> Moment {
    in_virtual_time(async || {
        let setting = world(7);
        with_operator(&setting, async {
            install(&setting.people, std::time::Duration::from_secs(60)).await.unwrap();
            told.open(&setting, NAMESPACE).await.unwrap();
            pass(QUIET_SECONDS).await;
        })
        .await;
        Moment::of(&setting).unwrap()
    })
}

/// The phase of the Rollout.
fn phase(moment: &Moment) -> String {
    let rollout = moment.cluster.get("rollouts.argoproj.io", NAMESPACE, "web").unwrap();
    rollout.text("/status/phase").to_owned()
}

/// Cuts a tale everywhere; tells how many points it had and what differed.
fn cut(tale: Tale) -> (usize, Vec<String>) {
    let told = Arc::new(tale.read().unwrap());
    let mut from = opened(&told);
    let (mut points, mut differences) = (0, Vec::new());
    for (place, rest) in tale.rests.iter().enumerate() {
        from.cluster.clear_requests();
        let name = format!("{}, deed {place} ({})", tale.name, told.line(place));
        let people: &People<'_> = &|setting| {
            let (told, setting) = (told.clone(), setting.clone());
            Box::pin(async move { told.act(&setting, NAMESPACE, place).await.unwrap() })
        };
        let case = Case { name: &name, seconds: SECONDS, quiet_seconds: QUIET_SECONDS, people };
        let Crashed { end, points: count, differences: found } = crash_and_go_on(&case, &from);
        assert_eq!(phase(&end), rest.phase(), "{name}");
        assert!(count > 0, "{name} writes nothing");
        points += count;
        differences.extend(found);
        from = end;
    }
    (points, differences)
}

/// Cuts some of the tales everywhere.
#[expect(clippy::print_stdout, reason = "the number of points is asked for")]
fn survive(tales: &[Tale]) {
    let (mut points, mut differences) = (0, Vec::new());
    for tale in tales {
        let begun = std::time::Instant::now();
        let (count, found) = cut(*tale);
        println!("{}: {count} points, {} differences, {:.1} s", tale.name, found.len(), begun.elapsed().as_secs_f32());
        points += count;
        differences.extend(found);
    }
    println!("crash test: {} stories, {points} points, {} differences", tales.len(), differences.len());
    assert!(differences.is_empty(), "{}", differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n"));
    assert!(points >= 12 * tales.len(), "only {points} points");
}

/// The tables are cut at this tale: the first ones are about providers.
const FIRST_OF_STRATEGIES: &str = "rollback-window";

fn halves() -> (&'static [Tale], &'static [Tale]) {
    let middle = TALES.iter().position(|tale| tale.name == FIRST_OF_STRATEGIES).unwrap();
    TALES.split_at(middle)
}

#[test]
fn a_crash_around_any_write_behind_any_provider_reaches_the_same_rest() {
    survive(halves().0);
}

#[test]
fn a_crash_around_any_write_of_any_strategy_reaches_the_same_rest() {
    survive(halves().1);
}
