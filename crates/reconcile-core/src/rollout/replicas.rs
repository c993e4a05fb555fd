//! How many pods each version should have: pure arithmetic, Argo's to the last pod (`fixtures/argo` holds its answers).

use api::argo::IntOrPercent;
use object_model::Weight;

use super::model::Scale;

/// Pods of the two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaCounts {
    /// Of the canary.
    pub canary: u32,
    /// Of stable.
    pub stable: u32,
}

/// What decides the sizes of a canary whose traffic a provider splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutedState {
    /// Pods of the Rollout.
    pub replicas: u32,
    /// The share of traffic that the canary should have.
    pub weight: Weight,
    /// What shares are of.
    pub total: u32,
    /// The canary's size apart from its weight.
    pub scale: Option<Scale>,
    /// The least pods of a version that has any.
    pub floor: Option<u32>,
    /// The share that stable really has now, when it gives up the pods that its traffic does not need.
    pub dynamic_stable: Option<Weight>,
}

/// Pods of both versions when a provider splits the traffic.
pub fn routed_counts(state: &RoutedState) -> ReplicaCounts {
    let RoutedState { replicas, floor, total, .. } = *state;
    // A fixed count of pods leaves stable whole: as if no traffic were wanted for the canary.
    let (fixed, wanted) = match state.scale {
        Some(Scale::Replicas(count)) => (Some(count), 0),
        Some(Scale::Share(share)) => (None, share),
        None => (None, state.weight.get()),
    };
    let pods = |share: u32| with_floor(share_of(replicas, share, total), floor, replicas);
    let Some(actual) = state.dynamic_stable else {
        return ReplicaCounts { canary: fixed.unwrap_or_else(|| pods(wanted)), stable: replicas };
    };
    // What stable still serves it keeps; it shrinks after the traffic has left.
    let left = total.saturating_sub(wanted);
    ReplicaCounts {
        canary: fixed.map_or_else(|| pods(wanted), |count| with_floor(count, floor, replicas)),
        stable: pods(left.max(actual.get())),
    }
}

/// The share of the replicas rounded up, so that a weight above zero has a pod.
fn share_of(replicas: u32, share: u32, total: u32) -> u32 {
    u32::try_from((u64::from(replicas) * u64::from(share)).div_ceil(u64::from(total.max(1)))).unwrap_or(u32::MAX)
}

/// The count with the floor that a strategy sets for versions that have pods at all.
fn with_floor(count: u32, floor: Option<u32>, replicas: u32) -> u32 {
    match floor {
        Some(floor) if count > 0 => count.max(floor.min(replicas)),
        _ => count,
    }
}

/// What decides how an aborted update goes back whose stable version gave up the pods that its traffic did not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBackState {
    /// Pods of the Rollout.
    pub replicas: u32,
    /// What weights are shares of.
    pub total: u32,
    /// The weights of its steps, in their order.
    pub weights: Vec<Weight>,
    /// What the canary really has.
    pub current: Weight,
    /// Available pods of the canary.
    pub canary_available: u32,
    /// Available pods of stable.
    pub stable_available: u32,
    /// Whether the canary keeps its pods until a delay is over, so that its size says nothing.
    pub canary_stays: bool,
    /// The least pods of a version that has any.
    pub floor: Option<u32>,
}

/// The next weight and sizes on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayBack {
    /// What the canary is to have.
    pub weight: Weight,
    /// Pods of both versions.
    pub counts: ReplicaCounts,
}

/// The way back takes the weights of the steps in reverse order, so that stable never asks for all its pods at once:
/// its pods come first, then the traffic, then the canary's pods go.
pub fn way_back(state: &WayBackState) -> WayBack {
    let WayBackState { replicas, total, floor, current, .. } = *state;
    let missing = replicas.saturating_sub(state.stable_available);
    let has = if state.canary_stays { missing } else { missing.max(state.canary_available) };
    let is_next = |weight: &&Weight| share_of(replicas, weight.get(), total) < has;
    let next = state.weights.iter().rev().find(is_next).copied().unwrap_or(Weight::ZERO);
    let least = least_weight(replicas, state.stable_available, total);
    let weight = if next == Weight::ZERO {
        least.min(current)
    } else if least > next {
        // Stable can't serve that much yet.
        current
    } else {
        next.min(current)
    };
    let share = |weight: Weight| share_of(replicas, weight.get(), total);
    let rest = |weight: Weight| share_of(replicas, weight.complement(total).get(), total);
    let canary = with_floor(share(current).max(share(next)), floor, replicas);
    let stable = with_floor(rest(current).max(rest(next)), floor, replicas);
    WayBack { weight, counts: ReplicaCounts { canary, stable } }
}

/// The least canary weight that leaves stable no more traffic than its available pods can serve.
pub(super) fn least_weight(replicas: u32, stable_available: u32, total: u32) -> Weight {
    let share = match replicas {
        0 => total,
        replicas => {
            let share = u64::from(stable_available.min(replicas)) * u64::from(total) / u64::from(replicas);
            u32::try_from(share).unwrap_or(total)
        }
    };
    Weight::capped(share, total).complement(total)
}

/// How many pods may be there above the replicas, and how many may be missing: never both none, or no pod would move.
pub fn surge_and_unavailable(surge: IntOrPercent, unavailable: IntOrPercent, replicas: u32) -> (u32, u32) {
    let surge = surge.ceil_of(replicas);
    let unavailable = match unavailable.floor_of(replicas) {
        0 if surge == 0 => 1,
        count => count,
    };
    (surge, unavailable.min(replicas))
}

/// Pods of the new version of a blue-green Rollout before and after its promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewState {
    /// Pods of the Rollout.
    pub replicas: u32,
    /// `previewReplicaCount`.
    pub preview: Option<u32>,
    /// Whether another version is active that exists.
    pub other_is_active: bool,
    /// Whether a person promoted it past everything.
    pub promote_full: bool,
    /// Whether the status knows the version already.
    pub is_known: bool,
    /// Whether it pauses.
    pub is_paused: bool,
    /// Whether its preview was seen at its own size.
    pub check_point: bool,
}

/// The size of the new version of a blue-green Rollout.
pub fn preview_count(state: &PreviewState) -> u32 {
    match state.preview {
        Some(preview) if state.other_is_active && !state.promote_full => {
            let has_shown_itself = state.is_known && !state.is_paused && state.check_point;
            if has_shown_itself { state.replicas } else { preview }
        }
        _ => state.replicas,
    }
}

/// Pods of stable and canary when the ratio of pods is the split (no provider): the closest to `weight`, ties to the
/// larger canary; a weight strictly between 0 and 100 leaves neither side empty when there are two pods to share.
pub fn ratio_goal(replicas: u32, weight: Weight, surge: u32) -> ReplicaCounts {
    if replicas == 0 {
        return ReplicaCounts { canary: 0, stable: 0 };
    }
    let exact = u64::from(replicas) * u64::from(weight.get());
    let ceil = u32::try_from(exact.div_ceil(100)).unwrap_or(u32::MAX);
    let floor = u32::try_from(exact / 100).unwrap_or(u32::MAX);
    let may_be_empty = weight == Weight::ZERO || weight == Weight::FULL || (replicas == 1 && surge == 0);
    let mut options = Vec::with_capacity(4);
    if ceil < replicas || may_be_empty {
        options.push((ceil, replicas));
    }
    let takes_floor = |total: u32| !is_tied(total, weight) && (floor != 0 || may_be_empty);
    if takes_floor(replicas) {
        options.push((floor, replicas));
    }
    if surge > 0 {
        let total = replicas.saturating_add(1);
        options.push((ceil, total));
        if takes_floor(total) {
            options.push((floor, total));
        }
    }
    // The first of equals counts, so the order of the options matters; floating point, so that rounding is Argo's too.
    let mut best: Option<(f64, u32, u32)> = None;
    for (canary, total) in options {
        let share = f64::from(canary) * 100.0 / f64::from(total);
        let error = (share - f64::from(weight.get())).abs();
        if best.is_none_or(|(least, _, _)| error < least) {
            best = Some((error, canary, total));
        }
    }
    let (canary, total) = best.map_or((0, replicas), |(_, canary, total)| (canary, total));
    ReplicaCounts { canary, stable: total.saturating_sub(canary) }
}

/// Whether the two counts around the exact one are equally far from it.
fn is_tied(total: u32, weight: Weight) -> bool {
    let exact = f64::from(total) * (f64::from(weight.get()) / 100.0);
    exact.fract().to_bits() == 0.5_f64.to_bits()
}

/// Pods of one ReplicaSet as a ratio sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RatioSet {
    /// Asked for.
    pub spec: u32,
    /// Available.
    pub available: u32,
}

impl RatioSet {
    /// Pods that may be counted on. Of a version that is drained those that are asked for count whether they are
    /// available or not, or pods that never became available would keep theirs from going.
    fn usable(self, is_drained: bool) -> i64 {
        if is_drained || self.spec < self.available { i64::from(self.spec) } else { i64::from(self.available) }
    }
}

/// The stable version beside a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatioStable {
    /// There is none yet.
    Absent,
    /// The canary is it.
    Same,
    /// Another ReplicaSet.
    Other(RatioSet),
}

/// What decides the next step towards the ratio of a canary without a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatioState {
    /// Pods of the Rollout.
    pub replicas: u32,
    /// The share that the canary should have.
    pub weight: Weight,
    /// Pods that may be there above the replicas.
    pub surge: u32,
    /// Pods that may be missing.
    pub unavailable: u32,
    /// The canary.
    pub canary: RatioSet,
    /// The stable version.
    pub stable: RatioStable,
    /// Pods that all older versions ask for.
    pub older: u32,
}

/// Returns the sizes to ask for now: growth within the surge, stable first because an abort needs it; then what
/// availability can spare, older versions before either of the two.
pub fn ratio_next(state: &RatioState) -> ReplicaCounts {
    let canary = state.canary;
    let other = match state.stable {
        RatioStable::Other(set) => Some(set),
        RatioStable::Absent | RatioStable::Same => None,
    };
    let goal = match other {
        Some(_) => ratio_goal(state.replicas, state.weight, state.surge),
        None => ReplicaCounts { canary: state.replicas, stable: 0 },
    };
    let (canary_goal, stable_goal) = (i64::from(goal.canary), i64::from(goal.stable));
    let most = i64::from(state.replicas) + i64::from(state.surge);
    let other_spec = other.map_or(0, |set| i64::from(set.spec));
    let mut room = most - i64::from(state.older) - i64::from(canary.spec) - other_spec;
    let mut next = Sizes { canary: i64::from(canary.spec), stable: other_spec };
    if room > 0 && next.stable < stable_goal {
        let grown = stable_goal.min(next.stable + room);
        room -= grown - next.stable;
        next.stable = grown;
    }
    if room > 0 && next.canary < canary_goal {
        next.canary = canary_goal.min(next.canary + room);
    }
    if state.older > 0 {
        return next.counts();
    }
    let least = i64::from(state.replicas) - i64::from(state.unavailable);
    let grows = canary_goal >= i64::from(canary.spec);
    let stable_set = match state.stable {
        RatioStable::Absent => None,
        RatioStable::Same => Some(canary),
        RatioStable::Other(set) => Some(set),
    };
    let usable = canary.usable(!grows) + stable_set.map_or(0, |set| set.usable(grows));
    let spare = usable - least;
    if spare <= 0 {
        return next.counts();
    }
    let limits = Limits { most, least };
    if !grows {
        let drained = canary_goal.max(i64::from(canary.spec) - spare);
        (next.canary, next.stable) = limits.apply((drained, canary), (next.stable, stable_set));
    } else if let Some(set) = other {
        let drained =
            if i64::from(set.spec) > stable_goal { stable_goal.max(i64::from(set.spec) - spare) } else { next.stable };
        (next.stable, next.canary) = limits.apply((drained, set), (next.canary, Some(canary)));
    }
    next.counts()
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    canary: i64,
    stable: i64,
}

impl Sizes {
    fn counts(self) -> ReplicaCounts {
        let count = |size: i64| u32::try_from(size.max(0)).unwrap_or(u32::MAX);
        ReplicaCounts { canary: count(self.canary), stable: count(self.stable) }
    }
}

/// The most pods that there may be, and the least that must be available.
#[derive(Debug, Clone, Copy)]
struct Limits {
    most: i64,
    least: i64,
}

impl Limits {
    /// Brings the size of a drained version and of the other one within the limits: what is above the surge the other one
    /// gives, as far as its available pods can be spared, and the drained one the rest.
    fn apply(self, drained: (i64, RatioSet), other: (i64, Option<RatioSet>)) -> (i64, i64) {
        let (mut drained_count, drained) = drained;
        let (mut other_count, Some(other)) = other else { return (drained_count, other.0) };
        other_count -= (other_count + drained_count - self.most).max(0);
        let available = drained_count.min(i64::from(drained.available)) + other_count.min(i64::from(other.available));
        let given = (i64::from(other.available) - other_count).max(0);
        other_count += given.min((self.least - available).max(0));
        drained_count -= (other_count + drained_count - self.most).max(0);
        (drained_count, other_count)
    }
}

/// The size that all older versions together may keep: what is not available goes at once, the rest as far as
/// availability can spare it.
pub(super) fn older_next(replicas: u32, unavailable: u32, available: u32, older: RatioSet) -> u32 {
    let least = replicas.saturating_sub(unavailable);
    let kept = older.spec.min(older.available);
    kept.saturating_sub(available.saturating_sub(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(value: i64) -> Weight {
        Weight::new(value).unwrap()
    }

    fn routed(replicas: u32, percent: i64) -> RoutedState {
        RoutedState { replicas, weight: weight(percent), total: 100, scale: None, floor: None, dynamic_stable: None }
    }

    #[test]
    fn a_routed_canary_rounds_up() {
        for (replicas, percent, want) in
            [(5, 20, 1), (5, 40, 2), (5, 1, 1), (5, 0, 0), (5, 100, 5), (3, 50, 2), (0, 50, 0)]
        {
            assert_eq!(routed_counts(&routed(replicas, percent)).canary, want, "{percent} % of {replicas}");
        }
        let scaled = |scale| routed_counts(&RoutedState { scale: Some(scale), ..routed(10, 10) });
        assert_eq!(scaled(Scale::Replicas(4)), ReplicaCounts { canary: 4, stable: 10 });
        assert_eq!(scaled(Scale::Share(25)), ReplicaCounts { canary: 3, stable: 10 });
    }

    #[test]
    fn a_share_of_another_total_is_as_many_pods_as_argo_has_for_it() {
        for (replicas, share, total, canary, stable) in [
            (5, 1, 1000, 1, 5),
            (5, 200, 1000, 1, 4),
            (5, 201, 1000, 2, 4),
            (5, 1000, 1000, 5, 0),
            (3, 1, 3, 1, 2),
            (1000, 5, 1000, 5, 995),
        ] {
            let weight = Weight::capped(share, total);
            let state = RoutedState { weight, total, ..routed(replicas, 0) };
            assert_eq!(routed_counts(&state), ReplicaCounts { canary, stable: replicas }, "{share} of {total}");
            let dynamic = RoutedState { dynamic_stable: Some(weight.complement(total)), ..state };
            assert_eq!(routed_counts(&dynamic), ReplicaCounts { canary, stable }, "{share} of {total}");
        }
        assert_eq!([5, 4, 0].map(|available| least_weight(5, available, 1000).get()), [0, 200, 1000]);
    }

    #[test]
    fn stable_keeps_no_more_traffic_than_its_pods_can_serve() {
        for (replicas, available, least) in [(5, 5, 0), (5, 0, 100), (5, 4, 20), (3, 2, 34), (0, 0, 0), (5, 9, 0)] {
            assert_eq!(i64::from(least_weight(replicas, available, 100).get()), least, "{available} of {replicas}");
        }
        assert_eq!([with_floor(0, Some(2), 5), with_floor(1, Some(2), 5), with_floor(1, Some(9), 5)], [0, 2, 5]);
    }

    #[test]
    fn an_aborted_dynamic_stable_gets_pods_then_traffic_by_the_steps_in_reverse() {
        let state = |current, canary, stable, stays| WayBackState {
            replicas: 4,
            total: 100,
            weights: vec![weight(25), weight(75)],
            current: weight(current),
            canary_available: canary,
            stable_available: stable,
            canary_stays: stays,
            floor: None,
        };
        for ((current, canary, stable, stays), (to, canary_pods, stable_pods)) in [
            ((75, 3, 1, false), (75, 3, 3)),
            ((75, 3, 2, false), (75, 3, 3)),
            ((75, 3, 3, false), (25, 3, 3)),
            ((25, 3, 3, false), (25, 1, 3)),
            ((25, 1, 3, false), (25, 1, 4)),
            ((25, 1, 4, false), (0, 1, 4)),
            ((0, 1, 4, false), (0, 0, 4)),
            ((75, 3, 1, true), (75, 3, 3)),
            ((75, 3, 3, true), (25, 3, 4)),
            ((25, 3, 3, true), (25, 1, 4)),
            ((25, 3, 4, true), (0, 1, 4)),
        ] {
            let way = way_back(&state(current, canary, stable, stays));
            let counts = ReplicaCounts { canary: canary_pods, stable: stable_pods };
            assert_eq!(way, WayBack { weight: weight(to), counts }, "{current} {canary} {stable} {stays}");
        }
    }

    #[test]
    fn a_dynamic_stable_keeps_what_its_traffic_needs_now_or_soon() {
        let state = |percent, actual| RoutedState { dynamic_stable: Some(weight(actual)), ..routed(10, percent) };
        assert_eq!(routed_counts(&state(40, 100)), ReplicaCounts { canary: 4, stable: 10 });
        assert_eq!(routed_counts(&state(40, 60)), ReplicaCounts { canary: 4, stable: 6 });
        assert_eq!(routed_counts(&state(0, 60)), ReplicaCounts { canary: 0, stable: 10 });
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
            (0, 50, 1, (0, 0)),
        ] {
            let goal = ratio_goal(replicas, weight(percent), surge);
            assert_eq!((goal.stable, goal.canary), want, "{percent} % of {replicas}, surge {surge}");
        }
    }

    fn ratio(canary: (u32, u32), stable: (u32, u32), older: u32) -> RatioState {
        let set = |(spec, available)| RatioSet { spec, available };
        let stable = RatioStable::Other(set(stable));
        RatioState { replicas: 4, weight: weight(50), surge: 1, unavailable: 0, canary: set(canary), stable, older }
    }

    #[test]
    fn nothing_shrinks_below_what_must_be_available() {
        for (canary, stable, older, want) in [
            ((0, 0), (4, 4), 0, (1, 4)),
            ((1, 0), (4, 4), 0, (1, 4)),
            ((1, 1), (4, 4), 0, (1, 3)),
            ((1, 1), (4, 4), 2, (1, 4)),
        ] {
            let next = ratio_next(&ratio(canary, stable, older));
            assert_eq!((next.canary, next.stable), want, "{canary:?} {stable:?} {older}");
        }
    }

    #[test]
    fn older_pods_that_never_became_available_go_at_once() {
        for (available, older, want) in [(4, (2, 0), 0), (5, (2, 1), 0), (4, (2, 2), 2), (5, (2, 2), 1)] {
            let set = RatioSet { spec: older.0, available: older.1 };
            assert_eq!(older_next(4, 0, available, set), want, "{available} {older:?}");
        }
    }
}
