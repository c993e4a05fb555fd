//! Plays a script on an embedded cluster and prints what was answered.

use script::{Script, embedded};

const TEXT: &str = "\
# A write that changes nothing makes no new version.
create configmaps/settings
  data: {color: blue}
merge configmaps/settings only=data,metadata.resourceVersion
  data: {color: blue}
merge configmaps/settings only=data,metadata.resourceVersion
  data: {color: red}
expect data.color == red
delete configmaps/settings only=status,details.kind
";

/// Returns what the program prints.
pub(crate) fn run() -> String {
    let played = Script::parse("no-change", TEXT)
        .map_err(|error| error.to_string())
        .and_then(|script| embedded::play(&script).map_err(|error| error.to_string()));
    match played {
        Ok(transcript) => transcript.to_text(),
        Err(message) => message,
    }
}

#[expect(clippy::print_stdout, reason = "an example talks to its reader")]
#[cfg_attr(test, expect(dead_code, reason = "the test calls run"))]
fn main() {
    print!("{}", run());
}
