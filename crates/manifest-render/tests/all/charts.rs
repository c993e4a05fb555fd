//! Public charts give the bytes that Helm gave.

use std::path::Path;

#[path = "../../examples/helm-oracle/main.rs"]
#[expect(dead_code, reason = "only the comparison with recorded output is run here")]
mod oracle;

#[test]
fn public_charts_render_to_the_bytes_that_helm_wrote() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../../../shared/data/charts", "../../../../shared/data/charts"];
    let Some(folder) = places.iter().map(|place| own.join(place)).find(|folder| folder.is_dir()) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "../shared/data/charts is missing");
        println!("skipped: ../shared/data/charts is missing");
        return;
    };
    let comparison = oracle::compare_all(&folder).unwrap();
    assert!(comparison.charts > 0);
    assert_eq!(comparison.others, Vec::<String>::new(), "{} of {}", comparison.equal, comparison.charts);
}
