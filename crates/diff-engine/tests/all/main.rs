//! Everything that needs more than one module, in one binary.

#![cfg(test)]

mod cases;
mod claims_on_live;
mod comparison;
mod example;
mod kstatus;
mod properties;
mod pruning;
mod recorded_health;
mod recorded_pairs;
mod secrets;

use object_model::Object;

/// Reads one YAML document as an object.
fn object(text: &str) -> Object {
    let mut documents = yaml::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    Object::from_json(documents.remove(0).value).unwrap()
}
