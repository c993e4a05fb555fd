//! Fetch, read, merge, commit and push Git repositories without a checkout.
