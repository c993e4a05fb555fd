//! Operators that are started again whenever they die, as a Deployment does it.

use std::sync::Arc;
use std::time::Duration;

use reconcile_runtime::{Clock, LeaseOptions, Options};
use scenario::comparison::operator_user;
use scenario::setting::{OperatorOptions, Setting};

use crate::play::{Life, Play};
use crate::skin::Skin;
use crate::ways::Ways;

/// Seconds until a dead operator is started again.
const PAUSES: [u64; 8] = [0, 1, 3, 8, 12, 20, 45, 90];
/// What a wrong clock differs by, in seconds.
const SKEWS: [i64; 5] = [0, 600, -600, 4_000, -4_000];
/// Watches are short, so that their ends are met often.
const WATCH_SECONDS: u64 = 45;

/// How a play is staffed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Staff {
    /// Whether a second operator stands by; then both use Leases.
    pub(crate) is_double: bool,
    /// How wrong the operators' clock is.
    pub(crate) skew_seconds: i64,
}

impl Staff {
    /// Draws who works; a story that asks what the time is elsewhere has right clocks.
    pub(crate) fn draw(play: &Play, may_skew: bool) -> Self {
        let is_double = play.choose("two operators", |random| u64::from(random.is_multiple_of(6))) == 1;
        let skew = play.choose("clock skew", |random| if random.is_multiple_of(5) { 1 + (random >> 8) % 4 } else { 0 });
        let skew = usize::try_from(skew).ok().filter(|_| may_skew).and_then(|skew| SKEWS.get(skew)).copied();
        Self { is_double, skew_seconds: skew.unwrap_or(0) }
    }
}

/// Runs the operators of a play until dropped.
pub(crate) async fn work(play: &Arc<Play>, setting: &Setting, staff: Staff) {
    let first = run(play, setting, staff, "a");
    match staff.is_double {
        false => first.await,
        true => {
            tokio::join!(first, async {
                // The one that stands by comes second.
                tokio::time::sleep(Duration::from_secs(1)).await;
                run(play, setting, staff, "b").await;
            });
        }
    }
}

async fn run(play: &Arc<Play>, setting: &Setting, staff: Staff, name: &'static str) {
    for number in 1.. {
        let life = Life::new(name, number);
        let runtime = prepare(play, setting, staff, &life).operator_runtime(&options(staff, &life));
        let _opinion = SecondOpinion { play: play.clone(), handle: runtime.handle() };
        play.tell(name, "starts", &format!("life {number}"));
        tokio::select! {
            biased;
            () = life.died() => {}
            () = runtime.run(std::future::pending()) => {}
        }
        play.tell(name, "is dead", "");
        let pause = play.choose(&format!("{name} is started again"), |random| random % 8);
        let pause = usize::try_from(pause).ok().and_then(|pause| PAUSES.get(pause)).copied().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(200 + pause * 1_000)).await;
    }
}

/// Tells, when a life is over, whether a plan was made that the second opinion refused.
struct SecondOpinion {
    play: Arc<Play>,
    handle: reconcile_runtime::Handle,
}

impl Drop for SecondOpinion {
    fn drop(&mut self) {
        let metrics = self.handle.metrics();
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with("sluice_violations_total") || line.starts_with("sluice_panics_total") {
                self.play.broke("check", format!("a plan was refused or a decision panicked: {line}"));
            }
        }
    }
}

/// The same world, seen through the faults of one life.
fn prepare(play: &Arc<Play>, setting: &Setting, staff: Staff, life: &Arc<Life>) -> Setting {
    let mut own = setting.clone();
    if let Clock::Virtual { epoch, origin } = own.clock {
        let skew = Duration::from_secs(staff.skew_seconds.unsigned_abs());
        let wrong = match staff.skew_seconds < 0 {
            true => epoch.checked_sub(skew),
            false => epoch.checked_add(skew),
        };
        own.clock = Clock::Virtual { epoch: wrong.unwrap_or(epoch), origin };
    }
    let user = sim_cluster::User::new(&operator_user());
    let inner = play.handle.service_as(user);
    own.operator = kube::Client::new(Skin { inner, play: play.clone(), life: life.clone() }, "default");
    own.around = Some(Arc::new(Ways {
        play: play.clone(),
        life: life.clone(),
        remote: own.fleet.memory().cloned(),
        clock: own.clock,
    }));
    own
}

fn options(staff: Staff, life: &Life) -> OperatorOptions {
    let identity = format!("operator-{}", life.name);
    let leases = staff.is_double.then(|| LeaseOptions::new(api::install::NAMESPACE, &identity));
    let runtime = Options { leases, watch_seconds: WATCH_SECONDS, record_actual: false, ..Options::default() };
    OperatorOptions { runtime, ..OperatorOptions::default() }
}
