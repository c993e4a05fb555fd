//! The example prints what its page says.

#[expect(unreachable_pub, dead_code, reason = "the example is a program of its own")]
#[path = "../../examples/reconcile-core.rs"]
mod reconcile_core_example;

#[test]
fn the_example_creates_the_first_replica_set() {
    let text = reconcile_core_example::run().unwrap();
    assert!(text.starts_with("create ReplicaSet web-"), "{text}");
    assert!(text.ends_with("violations: 0\n"), "{text}");
}
