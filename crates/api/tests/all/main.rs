//! The example prints what its page says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(unreachable_pub, dead_code, reason = "the example is a program of its own")]
#[path = "../../examples/api.rs"]
mod example;

#[test]
fn the_example_names_both_mistakes() {
    assert_eq!(
        example::run().unwrap(),
        "spec.branch: must be a string, not a number\nspec.path: `../other` leaves the repository\npolled every 30s\n"
    );
}
