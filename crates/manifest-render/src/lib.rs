//! Plain YAML, Handlebars and Jsonnet sources to objects.
