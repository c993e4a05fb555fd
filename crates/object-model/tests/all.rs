//! The example prints what it promises.

#[path = "../examples/object-model.rs"]
mod example;

#[test]
fn the_example_prints_what_it_promises() {
    let expected = r#"Deployment.apps qa/web: selected true
Job.batch qa/report: selected false
{"type":"Ready","status":"True","lastTransitionTime":"2026-11-22T07:15:00Z","reason":"Available","message":"2 of 2"}
"#;
    assert_eq!(example::run(), expected);
}
