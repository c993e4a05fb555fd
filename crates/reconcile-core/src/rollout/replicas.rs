//! Replica arithmetic: how many pods a weight needs.

use object_model::Weight;

use super::model::Scale;

/// Pods of a canary whose traffic a provider splits: the share rounded up, so that a weight above zero has a pod.
pub fn routed_canary(replicas: u32, weight: Weight, scale: Option<Scale>) -> u32 {
    let share =
        |percent: u32| u32::try_from((u64::from(replicas) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX);
    match scale {
        Some(Scale::Replicas(count)) => count,
        Some(Scale::Percent(percent)) => share(percent),
        None => share(weight.get()),
    }
}

/// The count with the floor that a strategy sets for versions that have pods at all.
pub(super) fn with_floor(count: u32, floor: Option<u32>, replicas: u32) -> u32 {
    match floor {
        Some(floor) if count > 0 => count.max(floor.min(replicas)),
        _ => count,
    }
}

/// The least canary weight that leaves stable no more traffic than its available pods can serve.
pub(super) fn least_weight(replicas: u32, stable_available: u32) -> Weight {
    let share = match replicas {
        0 => 100,
        replicas => u64::from(stable_available.min(replicas)) * 100 / u64::from(replicas),
    };
    Weight::new(100 - i64::try_from(share).unwrap_or(100)).unwrap_or(Weight::ZERO)
}

/// Pods of stable and canary when the ratio of pods is the split (no provider): the closest to `weight`, ties to the
/// larger canary; a weight strictly between 0 and 100 leaves neither side empty when there are two pods to share.
pub fn ratio_goal(replicas: u32, weight: Weight, surge: u32) -> (u32, u32) {
    if replicas == 0 || weight == Weight::ZERO {
        return (replicas, 0);
    }
    if weight == Weight::FULL {
        return (0, replicas);
    }
    let mut best: Option<(u64, u32, u32)> = None;
    for total in replicas..=replicas.saturating_add(u32::from(surge > 0)) {
        let exact = u64::from(total) * u64::from(weight.get());
        for canary in [exact / 100, exact.div_ceil(100)] {
            let canary = u32::try_from(canary).unwrap_or(total);
            let canary = canary.clamp(1, if total > 1 { total - 1 } else { 1 });
            let error = (u64::from(canary) * 100).abs_diff(exact) * 1_000 / u64::from(total);
            let better = best.is_none_or(|(least, _, most)| error < least || (error == least && canary > most));
            if better {
                best = Some((error, total - canary, canary));
            }
        }
    }
    best.map_or((replicas, 0), |(_, stable, canary)| (stable, canary))
}

/// The next step towards a goal without a provider: grow within the surge, shrink only what availability can spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatioState {
    /// Asked for, by the stable ReplicaSet.
    pub stable_spec: u32,
    /// Available pods of stable.
    pub stable_available: u32,
    /// Asked for, by the canary ReplicaSet.
    pub canary_spec: u32,
    /// Available pods of the canary.
    pub canary_available: u32,
    /// Asked for, by all older ReplicaSets.
    pub older_spec: u32,
    /// Available pods of older ReplicaSets.
    pub older_available: u32,
}

/// Returns the sizes of stable, canary and older ReplicaSets to ask for now (Argo: `CalculateReplicaCountsForBasicCanary`).
pub fn ratio_next(goal: (u32, u32), replicas: u32, surge: u32, unavailable: u32, at: RatioState) -> (u32, u32, u32) {
    let (stable_goal, canary_goal) = goal;
    let most = replicas.saturating_add(surge).max(stable_goal.saturating_add(canary_goal));
    let least = replicas.saturating_sub(unavailable);
    let asked = at.stable_spec.saturating_add(at.canary_spec).saturating_add(at.older_spec);
    let mut room = most.saturating_sub(asked);
    // Stable comes first when growing: it is what an abort needs.
    let stable_up = stable_goal.saturating_sub(at.stable_spec).min(room);
    room -= stable_up;
    let canary_up = canary_goal.saturating_sub(at.canary_spec).min(room);
    let mut stable = at.stable_spec + stable_up;
    let mut canary = at.canary_spec + canary_up;
    let mut older = at.older_spec;
    let available = at.stable_available.saturating_add(at.canary_available).saturating_add(at.older_available);
    let mut spare = available.saturating_sub(least);
    // Pods that are asked for but not available can go without costing availability.
    let drop = |spec: u32, goal: u32, available: u32, spare: &mut u32| {
        let surplus = spec.saturating_sub(goal);
        let idle = spec.saturating_sub(available).min(surplus);
        let costly = (surplus - idle).min(*spare);
        *spare -= costly;
        spec - idle - costly
    };
    older = drop(older, 0, at.older_available, &mut spare);
    if stable > stable_goal {
        stable = drop(stable, stable_goal, at.stable_available, &mut spare);
    }
    if canary > canary_goal {
        canary = drop(canary, canary_goal, at.canary_available, &mut spare);
    }
    (stable, canary, older)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(value: i64) -> Weight {
        Weight::new(value).unwrap()
    }

    #[test]
    fn a_routed_canary_rounds_up() {
        for (replicas, percent, want) in
            [(5, 20, 1), (5, 40, 2), (5, 1, 1), (5, 0, 0), (5, 100, 5), (3, 50, 2), (0, 50, 0)]
        {
            assert_eq!(routed_canary(replicas, weight(percent), None), want, "{percent} % of {replicas}");
        }
        assert_eq!(routed_canary(10, weight(10), Some(Scale::Replicas(4))), 4);
        assert_eq!(routed_canary(10, weight(10), Some(Scale::Percent(25))), 3);
    }

    #[test]
    fn stable_keeps_no_more_traffic_than_its_pods_can_serve() {
        for (replicas, available, least) in [(5, 5, 0), (5, 0, 100), (5, 4, 20), (3, 2, 34), (0, 0, 0), (5, 9, 0)] {
            assert_eq!(i64::from(least_weight(replicas, available).get()), least, "{available} of {replicas}");
        }
        assert_eq!([with_floor(0, Some(2), 5), with_floor(1, Some(2), 5), with_floor(1, Some(9), 5)], [0, 2, 5]);
    }

    #[test]
    fn the_ratio_is_the_closest_one_and_leaves_neither_side_empty() {
        for (replicas, percent, surge, want) in [
            (10, 10, 1, (9, 1)),
            (10, 0, 1, (10, 0)),
            (10, 100, 1, (0, 10)),
            (1, 50, 1, (1, 1)),
            (4, 20, 1, (4, 1)),
            (10, 1, 1, (10, 1)),
            (10, 99, 1, (1, 10)),
            (5, 50, 0, (2, 3)),
        ] {
            assert_eq!(ratio_goal(replicas, weight(percent), surge), want, "{percent} % of {replicas}, surge {surge}");
        }
    }

    #[test]
    fn nothing_shrinks_below_what_must_be_available() {
        let at = RatioState {
            stable_spec: 4,
            stable_available: 4,
            canary_spec: 0,
            canary_available: 0,
            older_spec: 0,
            older_available: 0,
        };
        assert_eq!(ratio_next((2, 2), 4, 1, 0, at), (4, 1, 0));
        let grown = RatioState { canary_spec: 1, ..at };
        assert_eq!(ratio_next((2, 2), 4, 1, 0, grown), (4, 1, 0));
        let ready = RatioState { canary_available: 1, ..grown };
        assert_eq!(ratio_next((2, 2), 4, 1, 0, ready), (3, 1, 0));
    }

    #[test]
    fn pods_that_never_became_available_go_at_once() {
        let at = RatioState {
            stable_spec: 4,
            stable_available: 4,
            canary_spec: 1,
            canary_available: 0,
            older_spec: 2,
            older_available: 0,
        };
        assert_eq!(ratio_next((4, 0), 4, 1, 0, at), (4, 0, 0));
    }
}
