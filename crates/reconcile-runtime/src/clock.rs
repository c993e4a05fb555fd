//! The one place that reads a clock.

use std::time::Duration;

use object_model::Timestamp;
use tokio::time::Instant;

/// Where the runtime takes the present moment from. Everything else sees time as data.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    Wall,
    /// A fixed epoch plus what tokio's clock has run since; under a paused tokio clock time is fully virtual.
    Virtual {
        /// The moment at `origin`.
        epoch: Timestamp,
        /// When the clock was made.
        origin: Instant,
    },
}

impl Clock {
    /// Returns a clock that stands at `epoch` now and advances with tokio's clock.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self::Virtual { epoch, origin: Instant::now() }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this module is the runtime's clock")]
            Self::Wall => Timestamp::now(),
            Self::Virtual { epoch, origin } => epoch.saturating_add(origin.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// How long it is until `moment`; zero when it has passed.
    pub fn until(&self, moment: Timestamp) -> Duration {
        Duration::try_from(moment.duration_since(self.now())).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_moves_with_tokio() {
        let epoch: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(epoch);
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now().to_string(), "2030-01-01T00:01:30Z");
        assert_eq!(clock.until("2030-01-01T00:02:00Z".parse().unwrap()), Duration::from_secs(30));
        assert_eq!(clock.until(epoch), Duration::ZERO);
    }
}
