//! The example prints what it promises, and a wrong script says where.

#[path = "../examples/script.rs"]
mod example;

use script::{Script, embedded};

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
