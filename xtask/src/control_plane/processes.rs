//! Programs that go on after this one ends: started into a folder that remembers them, ended by that memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Starts `program`; its output goes to LOGS/NAME.log and its process id to PIDS/NAME.
pub(super) fn start(state: &Path, name: &str, program: &Path, arguments: &[String], own_group: bool) -> Result<()> {
    fs::create_dir_all(state.join("logs"))?;
    fs::create_dir_all(state.join("pids"))?;
    let log = fs::File::create(log_path(state, name))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(state).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // kwok and kubectl keep folders under HOME: they get one that goes away with the rest.
    command.env("HOME", state);
    if own_group {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    let child = command.spawn().with_context(|| format!("failed to start {}", program.display()))?;
    fs::write(state.join("pids").join(name), format!("{} {}", child.id(), program.display()))?;
    Ok(())
}

/// The log of one program.
pub(super) fn log_path(state: &Path, name: &str) -> PathBuf {
    state.join("logs").join(format!("{name}.log"))
}

/// Says whether the program that was started under `name` still runs.
pub(super) fn is_running(state: &Path, name: &str) -> bool {
    recorded(state, name).is_some_and(|(id, program)| is_process(id, &program))
}

/// Asks the program to end and waits until it has; after a while it is ended without being asked.
pub(super) fn stop(state: &Path, name: &str) -> Result<()> {
    let Some((id, program)) = recorded(state, name) else { return Ok(()) };
    for (signal, patience) in [("-TERM", Duration::from_secs(70)), ("-KILL", Duration::from_secs(10))] {
        if !is_process(id, &program) {
            break;
        }
        // The process may end between the question and the signal, so a failing `kill` means nothing.
        Command::new("kill").arg(signal).arg(id.to_string()).stderr(Stdio::null()).status()?;
        let since = Instant::now();
        while is_process(id, &program) && since.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    if is_process(id, &program) {
        bail!("{name} (process {id}) does not end");
    }
    fs::remove_file(state.join("pids").join(name))?;
    Ok(())
}

fn recorded(state: &Path, name: &str) -> Option<(u32, String)> {
    let text = fs::read_to_string(state.join("pids").join(name)).ok()?;
    let (id, program) = text.split_once(' ')?;
    Some((id.parse().ok()?, program.to_owned()))
}

/// Says whether process `id` lives and is `program`: ids are used again, so the number alone proves nothing.
fn is_process(id: u32, program: &str) -> bool {
    let Ok(listed) = Command::new("ps").args(["-o", "stat=,args=", "-p", &id.to_string()]).output() else {
        return false;
    };
    let listed = String::from_utf8_lossy(&listed.stdout);
    let line = listed.trim();
    // A process that has ended and was not yet collected by its parent is shown as Z.
    !line.is_empty() && !line.starts_with('Z') && line.contains(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ended_by_its_record_and_its_end_is_awaited() {
        let state = std::env::temp_dir().join(format!("xtask-processes-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        let sleep = ["/bin/sleep", "/usr/bin/sleep"].map(PathBuf::from).into_iter().find(|path| path.exists()).unwrap();
        start(&state, "sleeper", &sleep, &["600".to_owned()], true).unwrap();
        assert!(is_running(&state, "sleeper"));
        stop(&state, "sleeper").unwrap();
        assert!(!is_running(&state, "sleeper"));
        stop(&state, "sleeper").unwrap();
        fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn a_process_id_that_now_belongs_to_another_program_is_left_alone() {
        let state = std::env::temp_dir().join(format!("xtask-reused-{}", std::process::id()));
        fs::create_dir_all(state.join("pids")).unwrap();
        fs::write(state.join("pids/other"), format!("{} /nowhere/etcd", std::process::id())).unwrap();
        assert!(!is_running(&state, "other"));
        stop(&state, "other").unwrap();
        fs::remove_dir_all(&state).unwrap();
    }
}
