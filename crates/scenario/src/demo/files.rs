//! The files of the demonstration's repository, as they are in fixtures/demo/repository.

macro_rules! fixtures {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../../fixtures/demo/repository/", $path)))),*]
    };
}

/// Every file of the first commit.
pub fn repository_files() -> Vec<(String, Option<Vec<u8>>)> {
    let files = fixtures![
        "README.md",
        "docs/runbook.md",
        "environments/qa/guestbook/analysis.yaml",
        "environments/qa/guestbook/frontend.yaml",
        "environments/qa/guestbook/redis.yaml",
        "environments/qa/guestbook/routing.yaml",
        "environments/e2e/guestbook/analysis.yaml",
        "environments/e2e/guestbook/frontend.yaml",
        "environments/e2e/guestbook/redis.yaml",
        "environments/e2e/guestbook/routing.yaml",
    ];
    files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect()
}

/// The line of a manifest that names the image.
pub fn image_line(text: &str) -> Option<String> {
    text.lines().find(|line| line.contains("image:")).map(|line| line.trim().to_owned())
}
