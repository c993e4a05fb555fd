//! Plays one schedule of one story and tells what went wrong in it, and that nothing broke.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use simulation::fault::Fault;
use simulation::{Ready, story};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", run()?);
    Ok(())
}

/// Returns the lines that are printed.
pub fn run() -> Result<String, Box<dyn std::error::Error>> {
    let ready = Ready::new(story("canary-of-pods").ok_or("there is no such story")?)?;
    let crash = ready.writes().into_iter().next().ok_or("it writes nothing")?;
    let outcome = ready.replay([(crash, Fault::CrashAfterCommit.number(0))].into());
    let mut text = String::new();
    for (place, number) in &outcome.log {
        let fault = Fault::of(*number).map(|(fault, _)| fault.to_string()).unwrap_or_default();
        text.push_str(&format!("{} the {}. time: {fault}\n", place.label, place.nth));
    }
    text.push_str(&format!("{} deaths, broken: {}\n", outcome.counts.crashes, outcome.broken.is_some()));
    Ok(text)
}
