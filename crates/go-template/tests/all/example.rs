//! The example prints what it promises.

#[path = "../../examples/go-template.rs"]
#[expect(dead_code, reason = "the example's main is not called")]
mod program;

#[test]
fn the_example_prints_what_it_promises() {
    insta::assert_snapshot!(program::run().unwrap(), @r#"
    shop/WEB is at 40 %
      step 0: Successful|
      step 1: Failed    |
    template: wrong.txt:1:11: executing "wrong.txt" at <.rollout.name.first>: can't evaluate field first in type interface {}
    template: endless.txt:1:9: executing "endless.txt" at <1000000000>: more than 10000 steps were needed
    "#);
}
