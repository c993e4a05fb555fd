//! The example, run as a user runs it.

#[path = "../../examples/traffic-split.rs"]
#[expect(unreachable_pub, reason = "it is an example's own function")]
mod traffic_split;

#[test]
fn the_example_prints_the_course_of_a_canary() {
    insta::assert_snapshot!(traffic_split::run(), @r#"
20: {"op":"replace","path":"/spec/http/0/route/0/weight","value":80}
    {"op":"replace","path":"/spec/http/0/route/1/weight","value":20}
60: {"op":"replace","path":"/spec/http/0/route/0/weight","value":40}
    {"op":"replace","path":"/spec/http/0/route/1/weight","value":60}
60: nothing to do
VirtualService.networking.istio.io qa/frontend /spec/http/0: canary 60, stable 40
restore: VirtualService `frontend` set to desiredWeight '0'
"#);
}
