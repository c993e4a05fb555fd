//! Moments and spans.

use object_model::{Duration, Timestamp};

/// The moment `span` after `since`; `None` beyond the calendar.
pub(crate) fn after(since: Timestamp, span: Duration) -> Option<Timestamp> {
    let span = jiff::SignedDuration::try_from(span).ok()?;
    since.checked_add(span).ok()
}
