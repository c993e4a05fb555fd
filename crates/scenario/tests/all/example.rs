//! The example prints what its page says.

#[expect(unreachable_pub, dead_code, reason = "the example is a program of its own")]
#[path = "../../examples/scenario.rs"]
mod scenario_example;

#[test]
fn the_example_reads_back_what_it_committed() {
    assert_eq!(scenario_example::run().unwrap(), "Begin by Ann Author; the head is the commit: true\n");
}
