//! Ends the control plane with the program that started it, however that one ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::Folders;

/// Reads until nobody holds the other end any more, then ends every recorded program that is still itself, and after ten
/// seconds without asking.
const WATCH: &str = r#"
end() {
  left=0
  for file in "$2"/pids/*; do
    [ -f "$file" ] || continue
    read -r id program < "$file"
    case "$(ps -o args= -p "$id" 2>/dev/null)" in *"$program"*) left=1; kill "$1" "$id" ;; esac
  done
}
read -r _
end -TERM "$1"
[ "$left" = 0 ] && exit
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1
  end -0 "$1"
  [ "$left" = 0 ] && exit
done
end -KILL "$1"
"#;

/// While it lives, the control plane may run; it is ended too when this program is killed or interrupted.
pub(crate) struct Leash {
    watcher: Child,
}

impl Leash {
    /// Puts the control plane of these folders on a leash.
    pub(crate) fn tie(folders: &Folders) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "watcher"]).arg(&folders.state);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // An interrupt of the terminal is for this program; the watcher sees it by the end of its input.
        command.process_group(0);
        let watcher = command.spawn().context("failed to start the watcher of the control plane")?;
        Ok(Self { watcher })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // A watcher that can't be waited for has ended.
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::super::processes;
    use super::*;

    #[test]
    fn what_is_left_running_ends_with_the_leash() {
        let state = std::env::temp_dir().join(format!("xtask-leash-{}", std::process::id()));
        let folders = Folders { tools: PathBuf::new(), state: state.clone() };
        let leash = Leash::tie(&folders).unwrap();
        let sleep = ["/bin/sleep", "/usr/bin/sleep"].map(PathBuf::from).into_iter().find(|path| path.exists()).unwrap();
        processes::start(&state, "sleeper", &sleep, &["600".to_owned()], true).unwrap();
        assert!(processes::is_running(&state, "sleeper"));
        drop(leash);
        let since = Instant::now();
        while processes::is_running(&state, "sleeper") && since.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!processes::is_running(&state, "sleeper"));
        std::fs::remove_dir_all(&state).unwrap();
    }
}
