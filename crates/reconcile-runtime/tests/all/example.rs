//! The example prints what its page says.

#[expect(unreachable_pub, dead_code, reason = "the example is a program of its own")]
#[path = "../../examples/reconcile-runtime.rs"]
mod reconcile_runtime_example;

#[test]
fn the_example_waits_longer_after_each_failure() {
    assert_eq!(reconcile_runtime_example::run().unwrap(), "took true, then waits of [1s, 2s, 4s]\n");
}
