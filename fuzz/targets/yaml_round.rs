#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = yaml::Limits::default();
    for document in yaml::parse(data).unwrap_or_default() {
        let text = yaml::to_yaml(&document.value);
        let again = yaml::parse(&text).unwrap_or_else(|faults| panic!("{faults:?} in what was written: {text:?}"));
        let value = again.first().map(|document| document.value.clone()).unwrap_or_default();
        assert_eq!(value, document.value, "{text:?}");
    }
    if let Ok(value) = yaml::parse_first_as_go(data, &limits) {
        for text in [yaml::to_yaml(&value), yaml::to_yaml_indented(&value)] {
            let again = yaml::parse_first_as_go(text.as_bytes(), &limits);
            let again = again.unwrap_or_else(|fault| panic!("{fault:?} in what was written: {text:?}"));
            assert_eq!(again, value, "{text:?}");
        }
    }
});
