//! The example prints what its page says.

#[expect(unreachable_pub, dead_code, reason = "the example is a program of its own")]
#[path = "../../examples/simulation.rs"]
mod simulation_example;

#[test]
fn the_example_dies_once_and_nothing_breaks() {
    let text = simulation_example::run().unwrap();
    assert!(text.contains("crash after commit") && text.ends_with("1 deaths, broken: false\n"), "{text}");
}
