//! Uses the ordered queue alone: the same key added twice is worked on once, and a failed one waits longer each time.

use std::time::Duration;

use reconcile_core::Key;
use reconcile_runtime::{Queue, TaskKey};

/// Returns what the example prints.
///
/// # Errors
/// When the async runtime can't start.
pub fn run() -> std::io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async {
        let queue = Queue::default();
        queue.enable(0, true);
        let task = TaskKey::new(0, Key::new("qa", "web"));
        queue.add(task.clone());
        queue.add(task.clone());
        let taken = queue.take().await;
        queue.done(&taken);
        let waits: Vec<Duration> = (0..3).map(|_| queue.add_after_failure(task.clone())).collect();
        format!("took {:?}, then waits of {waits:?}\n", taken == task)
    }))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
fn main() {
    match run() {
        Ok(text) => print!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}
