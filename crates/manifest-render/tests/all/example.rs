//! The example prints what it promises.

#[path = "../../examples/manifest-render.rs"]
#[expect(dead_code, reason = "the example's main is not called")]
mod program;

#[test]
fn the_example_prints_what_it_promises() {
    insta::assert_snapshot!(program::run().unwrap(), @"
    Namespace qa from qa/namespace.yaml
    Service web from qa/services.jsonnet
    Service api from qa/services.jsonnet
    Pod web from qa/web.hbs
    read qa/namespace.yaml, qa/service.libsonnet, qa/services.jsonnet, qa/values.yaml, qa/web.hbs
    prod/broken.yaml:2:1: while parsing a node, did not find expected node content
    prod/web.yaml:4:9: Service: `metadata.name` is a number, not a string (quote it)
    ");
}
