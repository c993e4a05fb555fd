//! The example, run as a user runs it.

#[path = "../../examples/analysis.rs"]
#[expect(unreachable_pub, reason = "it is an example's own function")]
mod analysis;

#[test]
fn the_example_prints_the_course_of_a_run() {
    insta::assert_snapshot!(analysis::run(), @r#"
1970-01-01T00:00:00Z success-rate #1 = 0.99
1970-01-01T00:00:10Z success-rate #2 = 0.97
1970-01-01T00:00:20Z success-rate #3 = 0.91
1970-01-01T00:00:30Z success-rate #4 = 0.88
1970-01-01T00:00:30Z Failed: Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)
"#);
}
