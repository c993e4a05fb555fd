//! Wrong turns that a test build can switch on, one at a time, to see whether the simulation notices.
//!
//! Each is a mistake that somebody has made: an entry of the research on other controllers is named beside it. Without
//! the feature `bugs`, which nothing that ships has, [`on`] is `false` for all of them at compile time.

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $bug:ident = $source:literal,)*) => {
        /// A wrong turn.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $doc])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => stringify!($bug),)*
                }
            }

            /// The entry of the research that it is taken from.
            pub fn source(self) -> &'static str {
                match self {
                    $(Self::$bug => $source,)*
                }
            }
        }
    };
}

bugs! {
    /// Weight goes to a version before it has pods.
    ShiftBeforePods = "argo-rollouts §10, recently fixed: weight set before hash for an empty canary (#4564)",
    /// An old version loses its pods while a Service still selects it.
    PodsLeaveBeforeTraffic = "reliability R2 (#2235)",
    /// Destructive acts are done on what the cache says.
    TrustTheCache = "reliability R3 (#2050)",
    /// An abort of nothing in progress takes the stable version down.
    AbortAtRest = "reliability R4 (#1292)",
    /// The analysis of the version before counts for the present one.
    RunOfAnotherVersion = "reliability R6",
    /// Another AnalysisRun is made when the one that is there has not been seen in the status.
    SecondRun = "argo-rollouts §10.8",
    /// An answer that is no number is taken for a good one.
    BadAnswerIsGood = "reliability R11",
    /// A pause ends two seconds before its time.
    PauseEndsEarly = "reliability R12",
    /// A pause is counted by the server's clock.
    PauseByServerClock = "reliability R13",
    /// The delay of a version that has served is forgotten.
    DelayForgotten = "reliability R15",
    /// An aborted canary gives its traffic back before the stable version has its pods again.
    TrafficBackBeforePods = "reliability R16; argo-rollouts §10, recently fixed (#4900)",
    /// A preview is promoted without its analysis.
    PromotionWithoutAnalysis = "argo-rollouts §10.2",
    /// An active Service without a selector is given to the new version.
    LostSelectorPromotes = "argo-rollouts §10.2",
    /// A done step takes the next one with it.
    StepSkipped = "reliability R12",
    /// The name of a new ReplicaSet follows from the moment.
    NameOfTheMoment = "reliability R1, R8",
    /// The history is cut without a look at pods.
    HistoryTakesPods = "reliability R9",
    /// The status is written without the version that it was made from.
    StatusWithoutVersion = "argo-rollouts §10.10",
    /// Own writes are seen only when the watch shows them.
    OwnWritesUnseen = "argo-rollouts §10.7",
    /// A lost Lease changes nothing.
    LeaseForEver = "reliability R7",
    /// A conflict is answered by the same write without its version.
    BlindRetry = "argo-rollouts §10.10",
    /// Deletions in a watch are not heard.
    DeletionUnheard = "reliability, Sieve: unobserved states",
    /// What a new list has not is kept.
    GoneIsKept = "reliability, Sieve: stale states",
    /// A commit is dated when it is asked for, not when it was planned.
    CommitOfTheMoment = "reliability P1",
    /// A lost race for a branch is taken for a push.
    LostRaceIsSuccess = "reliability P2",
    /// The inventory is written after the objects.
    InventoryAfterCreate = "reliability G1",
    /// A failed render is taken for an empty one.
    PruneAfterFailedRender = "reliability G2 (argo-cd #2573)",
    /// The finalizer goes first.
    FinalizerFirst = "reliability G6",
    /// A hook that is not there any more runs again.
    HookAgain = "reliability G11",
    /// What comes after a hook does not wait for it.
    HookUnawaited = "reliability G11",
    /// Sync takes fields back that the rollout engine drives.
    ClaimsUnread = "reliability G9",
    /// A commit is told healthy when it is applied.
    HealthyTooEarly = "reliability G3, invariant I12",
    /// Objects are replaced, with what others put on them.
    ReplacedInsteadOfApplied = "reliability G9",
    /// The promotion that takes a commit back has another name each time.
    RollbackAgain = "reliability P1, P6",
    /// One answer is measured again and again.
    MeasurementTwice = "argo-rollouts §10.7",
    /// A failed analysis is not heard.
    FailureUnheard = "reliability R11; argo-rollouts §10, recently fixed (#4604)",
    /// The stable weight stays where it was.
    StableWeightStays = "argo-rollouts §10.5",
    /// The canary Service goes to a new version while the one before has traffic.
    CanaryServiceTooEarly = "reliability R14 (#3779)",
    /// A read that failed is taken for an object that is gone.
    ErrorIsAbsence = "argo-rollouts §10.1",
    /// A watch that broke is left.
    BrokenWatchLeft = "reliability §2.4: watches",
    /// What the server would refuse does not keep the rest of a transaction back.
    HalfTransaction = "reliability G1, sync onError: transaction",
}

/// Whether a wrong turn is taken.
#[cfg(not(feature = "bugs"))]
pub const fn on(_: Bug) -> bool {
    false
}

#[cfg(feature = "bugs")]
thread_local! {
    static TAKEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether a wrong turn is taken on this thread.
#[cfg(feature = "bugs")]
pub fn on(bug: Bug) -> bool {
    TAKEN.get() == Some(bug)
}

/// Takes a wrong turn on this thread from here on, or none.
#[cfg(feature = "bugs")]
pub fn take(bug: Option<Bug>) {
    TAKEN.set(bug);
}
