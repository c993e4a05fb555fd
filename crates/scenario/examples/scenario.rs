//! Commits to a repository in memory and reads its history back: the part of a world that needs no cluster.

use scenario::setting::{Change, Fleet, FleetError};

/// Returns what the example prints.
///
/// # Errors
/// When the commit can't be made.
pub fn run() -> Result<String, FleetError> {
    let fleet = Fleet::in_memory();
    let files = vec![("qa/web.yaml".to_owned(), Some(b"image: web:v1\n".to_vec()))];
    let change = Change {
        subject: "Begin",
        author: "Ann Author <ann@example.com>",
        trailers: &[("Sluice-Build", "412")],
        files,
    };
    let commit = fleet.commit(&change, object_model::Timestamp::UNIX_EPOCH)?;
    let entries = fleet.log(1);
    let newest =
        entries.first().map(|entry| format!("{} by {}", entry.subject(), entry.author.name)).unwrap_or_default();
    let same = fleet.head().as_deref() == Some(commit.as_str());
    Ok(format!("{newest}; the head is the commit: {same}\n"))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
fn main() {
    match run() {
        Ok(text) => print!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}
