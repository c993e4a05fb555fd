//! Links the program at a fixed address, as Go's programs are: `sluice render` is short enough that moving tens of
//! thousands of addresses in memory at each start, about a millisecond, was a sixth of it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bin=sluice=-no-pie");
    }
}
