//! The example prints what it promises, and the embedded cluster answers as the real one did.

#[path = "../examples/script.rs"]
mod example;

use std::path::Path;

use script::embedded::{self, EmbeddedError};
use script::{Deviations, PlayError, Script, Transcript};

#[test]
fn the_example_prints_what_it_promises() {
    let expected = "\
> create configmaps/settings
HTTP 201
---
apiVersion: v1
data:
  color: blue
kind: ConfigMap
metadata:
  creationTimestamp: T
  name: settings
  namespace: no-change
  resourceVersion: R1
  uid: U1

> merge configmaps/settings only=data,metadata.resourceVersion
HTTP 200
---
data:
  color: blue
metadata:
  resourceVersion: R1

> merge configmaps/settings only=data,metadata.resourceVersion
HTTP 200
---
data:
  color: red
metadata:
  resourceVersion: R2

> delete configmaps/settings only=status,details.kind
HTTP 200
---
details:
  kind: configmaps
status: Success
";
    assert_eq!(example::run(), expected);
}

#[test]
fn a_script_that_expects_what_is_not_so_names_its_line() {
    let script = Script::parse("wrong", "create configmaps/a\n  data: {}\nexpect 409\n").unwrap();
    let error = embedded::play(&script).unwrap_err();
    let cause = std::error::Error::source(&error).and_then(std::error::Error::source).unwrap();
    assert!(cause.to_string().starts_with("wrong:3: the answer has status 201: "), "{cause}");
}

/// kubectl's transcripts are left to `cargo xtask conformance check`: a test may not depend on an installed program.
#[test]
fn the_embedded_cluster_answers_as_the_real_one_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/conformance");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut deviations = Deviations::parse(&read("DEVIATIONS")).unwrap();
    let mut unexplained = Vec::new();
    let mut played = 0;
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".txt").map(str::to_owned))
        .collect();
    names.sort();
    for name in names.iter().filter(|name| !name.starts_with("kubectl-")) {
        let script = Script::parse(name, &read(&format!("{name}.txt"))).unwrap();
        let recorded = Transcript::parse(&read(&format!("{name}.out"))).unwrap();
        // What was seen until a line failed is compared: the rest counts as missing.
        let answered = match embedded::play(&script) {
            Ok(answered) => answered,
            Err(EmbeddedError::Play { source: PlayError::Script { seen, .. } }) => *seen,
            Err(error) => panic!("{name}: {error:?}"),
        };
        let differences = script::compare(name, &recorded, &answered);
        unexplained.extend(differences.iter().filter(|one| !deviations.accept(one)).map(ToString::to_string));
        played += 1;
    }
    assert!(unexplained.is_empty(), "{} differences:\n{}", unexplained.len(), unexplained.join("\n"));
    assert!(played >= 150, "only {played} scripts were played");
}
