//! The example prints what it promises.

#[path = "../../examples/git-source.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
mod example;

#[test]
fn the_example_takes_a_bad_commit_back() {
    insta::assert_snapshot!(example::run().unwrap(), @r"
    pushed
    2a0754ce Sluice: Restore web: the analysis failed (web/image)
    8c8be9db Bob: Ship v3 and fix the notes (docs/notes, web/image)
    fe8ace21 Ada: Ship v2 (docs/notes, web/image)
    web/image = v2
    docs/notes = new
    ");
}
