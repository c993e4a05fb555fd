#![no_main]

use std::sync::{Arc, LazyLock};

use go_template::functions::Helm;
use go_template::{Functions, Templates};
use libfuzzer_sys::fuzz_target;

static FUNCTIONS: LazyLock<Arc<Functions>> = LazyLock::new(|| {
    let mut functions = Functions::builtins();
    Helm::default().add(&mut functions);
    Arc::new(functions)
});

fuzz_target!(|data: &[u8]| {
    let mut templates = Templates::new("fuzz", FUNCTIONS.clone());
    if let Err(error) = templates.parse("fuzz", data) {
        let text = error.to_string();
        let line = text.strip_prefix("template: fuzz:").and_then(|rest| rest.split(':').next());
        let line: usize = line.and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no line in `{text}`"));
        assert!(line <= data.iter().filter(|byte| **byte == b'\n').count() + 1, "{text}");
    }
});
