//! A repository in a directory: objects and references in the layout that Git itself uses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix_object::{Exists, Find, FindHeader, Header, Write};
use gix_ref::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix_ref::{FullName, Target};

use crate::id::{CommitId, GitId};
use crate::object::{GitObject, ObjectError, ObjectKind};
use crate::pack_index::{IndexedPack, index_pack};
use crate::remote::RefUpdate;

/// Why a directory is not a repository that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No repository is there.
    #[error("`{path}` is not a Git repository")]
    NotARepository {
        /// The path as given.
        path: PathBuf,
    },
    /// The repository uses a format that is not read.
    #[error("repository `{path}` uses {what}, which is not supported")]
    Unsupported {
        /// The path of the repository.
        path: PathBuf,
        /// The format.
        what: &'static str,
    },
    /// The directory to make already has something in it.
    #[error("`{path}` is not empty")]
    NotEmpty {
        /// The path as given.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("failed to open repository `{path}`")]
    Io {
        /// The path as given.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

/// How many bytes of commits and trees are kept after they were read.
const CACHE_BYTES_MAX: usize = 16 << 20;
/// The largest object that is read, in bytes.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// How long a reference's lock file of another process is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// From how many objects on a pack is written.
const PACK_OBJECTS_MIN: usize = 100;
/// The most references that are listed.
const REFS_MAX: usize = 200_000;

#[derive(Debug)]
pub(crate) struct DiskStore {
    git_dir: PathBuf,
    is_bare: bool,
    objects: Mutex<Objects>,
    cache: Mutex<Cache>,
}

struct Objects(gix_odb::HandleArc);

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Objects")
    }
}

/// Commits and trees read before; the oldest go first.
#[derive(Debug, Default)]
struct Cache {
    objects: BTreeMap<GitId, GitObject>,
    order: VecDeque<GitId>,
    bytes: usize,
}

impl Cache {
    fn insert(&mut self, object: &GitObject) {
        let bytes = object.bytes().len();
        if object.kind() == ObjectKind::Blob || bytes > CACHE_BYTES_MAX / 4 {
            return;
        }
        if self.objects.insert(object.id(), object.clone()).is_none() {
            self.bytes += bytes;
            self.order.push_back(object.id());
        }
        while self.bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front().and_then(|id| self.objects.remove(&id)) else { break };
            self.bytes -= oldest.bytes().len();
        }
    }
}

/// A lock that a panicking thread left is still a lock on whole values: every write here is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DiskStore {
    /// Opens a bare repository, or the one of a checkout.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let (git_dir, is_bare) =
            locate(path).map_err(io)?.ok_or(OpenError::NotARepository { path: path.to_owned() })?;
        let config = std::fs::read_to_string(git_dir.join("config")).unwrap_or_default().to_ascii_lowercase();
        let has = |key: &str, value: &str| {
            let is_line = |line: &str| line.split_once('=').is_some_and(|(k, v)| k.trim() == key && v.trim() == value);
            config.lines().any(is_line)
        };
        for (key, value, what) in
            [("objectformat", "sha256", "SHA-256 object ids"), ("refstorage", "reftable", "the reftable format")]
        {
            if has(key, value) {
                return Err(OpenError::Unsupported { path: path.to_owned(), what });
            }
        }
        let objects = gix_odb::at(git_dir.join("objects"), gix_hash::Kind::Sha1).map_err(io)?;
        let objects = Mutex::new(Objects(objects.into_arc().map_err(io)?));
        Ok(Self { git_dir, is_bare, objects, cache: Mutex::default() })
    }

    /// Makes an empty bare repository; the directory must not exist or be empty.
    pub(crate) fn init_bare(path: &Path, branch: &str) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        if std::fs::read_dir(path).map_err(io)?.next().is_some() {
            return Err(OpenError::NotEmpty { path: path.to_owned() });
        }
        for directory in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            std::fs::create_dir_all(path.join(directory)).map_err(io)?;
        }
        let config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
        std::fs::write(path.join("config"), config).map_err(io)?;
        std::fs::write(path.join("description"), "A repository made by Sluice\n").map_err(io)?;
        // HEAD comes last: without it the directory is no repository, so a half-made one is never opened.
        std::fs::write(path.join("HEAD"), format!("ref: refs/heads/{branch}\n")).map_err(io)?;
        Self::open(path)
    }

    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.is_bare
    }

    pub(crate) fn find(&self, id: &GitId) -> Result<Option<GitObject>, ObjectError> {
        if let Some(object) = lock(&self.cache).objects.get(id) {
            return Ok(Some(object.clone()));
        }
        let gix_id = id.to_gix();
        let mut buffer = Vec::new();
        let kind = {
            let objects = lock(&self.objects);
            let header: Option<Header> = objects.0.try_header(&gix_id).map_err(ObjectError::storage)?;
            let Some(header) = header else { return Ok(None) };
            if header.size > OBJECT_BYTES_MAX {
                return Err(ObjectError::TooLarge { id: *id, size: header.size, limit: OBJECT_BYTES_MAX });
            }
            match objects.0.try_find(&gix_id, &mut buffer).map_err(ObjectError::storage)? {
                None => return Ok(None),
                Some(data) => ObjectKind::from_gix(data.kind),
            }
        };
        let object = GitObject::new(kind, buffer)?;
        if object.id() != *id {
            return Err(object.malformed(format!("it is stored under the id {id}")));
        }
        lock(&self.cache).insert(&object);
        Ok(Some(object))
    }

    pub(crate) fn insert(&self, object: &GitObject) -> Result<(), ObjectError> {
        let objects = lock(&self.objects);
        if objects.0.exists(&object.id().to_gix()) {
            return Ok(());
        }
        objects.0.write_buf(object.kind().to_gix(), object.bytes()).map_err(ObjectError::storage)?;
        Ok(())
    }

    /// Stores many objects as one pack, a few as files of their own.
    pub(crate) fn insert_all(&self, objects: &[GitObject]) -> Result<(), ObjectError> {
        if objects.len() < PACK_OBJECTS_MIN {
            return objects.iter().try_for_each(|object| self.insert(object));
        }
        let IndexedPack { pack, index, name } = index_pack(objects).map_err(ObjectError::storage)?;
        let folder = self.git_dir.join("objects/pack");
        // A pack is found by its index, so that comes last.
        for (bytes, extension) in [(pack, "pack"), (index, "idx")] {
            let path = folder.join(format!("pack-{name}.{extension}"));
            if !path.exists() {
                write_durably(&path, &bytes).map_err(ObjectError::storage)?;
            }
        }
        Ok(())
    }

    fn refs(&self) -> gix_ref::file::Store {
        let options =
            gix_ref::store::init::Options { write_reflog: gix_ref::store::WriteReflog::Disable, ..Default::default() };
        gix_ref::file::Store::at_opts(self.git_dir.clone(), gix_hash::Kind::Sha1, options)
    }

    /// Lists all references that lead to an object; a broken one is left out, as Git does.
    pub(crate) fn list_refs(&self) -> Result<BTreeMap<String, GitId>, ObjectError> {
        let store = self.refs();
        let platform = store.iter().map_err(ObjectError::storage)?;
        let mut direct = BTreeMap::new();
        let mut symbolic = Vec::new();
        for reference in platform.all().map_err(ObjectError::storage)?.take(REFS_MAX) {
            let Ok(reference) = reference else { continue };
            let name = reference.name.as_bstr().to_string();
            match reference.target {
                Target::Object(id) => {
                    if let Some(id) = GitId::from_gix(&id).filter(|id| !id.is_zero()) {
                        direct.insert(name, id);
                    }
                }
                Target::Symbolic(target) => symbolic.push((name, target.as_bstr().to_string())),
            }
        }
        for (name, target) in symbolic {
            if let Some(id) = direct.get(&target).copied() {
                direct.insert(name, id);
            }
        }
        Ok(direct)
    }

    /// The branch that `HEAD` names.
    pub(crate) fn head(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        text.strip_prefix("ref:").map(|name| name.trim().to_owned())
    }

    /// Moves all references or none, each only from its old value, under Git's own lock files.
    pub(crate) fn update_refs(&self, updates: &[RefUpdate]) -> Result<(), String> {
        let edits = updates.iter().map(ref_edit).collect::<Result<Vec<_>, _>>()?;
        let wait = gix_lock::acquire::Fail::AfterDurationWithBackoff(LOCK_WAIT);
        let store = self.refs();
        let prepared = store.transaction().prepare(edits, wait, wait).map_err(|error| error.to_string())?;
        prepared.commit(None).map_err(|error| error.to_string())?;
        Ok(())
    }

    pub(crate) fn shallow(&self) -> BTreeSet<CommitId> {
        let text = std::fs::read_to_string(self.git_dir.join("shallow")).unwrap_or_default();
        text.lines().filter_map(|line| GitId::from_hex(line.trim().as_bytes())).collect()
    }

    pub(crate) fn set_shallow(&self, shallow: &BTreeSet<CommitId>) -> Result<(), ObjectError> {
        let path = self.git_dir.join("shallow");
        if shallow.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ObjectError::storage(error)),
                _ => Ok(()),
            };
        }
        let text: String = shallow.iter().map(|id| format!("{id}\n")).collect();
        write_durably(&path, text.as_bytes()).map_err(ObjectError::storage)
    }
}

/// Writes a file under another name, waits until it is on disk, and moves it into place.
fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_extension(format!("tmp{}-{number}", std::process::id()));
    let mut file = std::fs::File::create(&draft)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Finds the directory that holds objects and references, and whether there is no checkout beside it.
fn locate(path: &Path) -> std::io::Result<Option<(PathBuf, bool)>> {
    let is_git_dir = |dir: &Path| dir.join("HEAD").is_file() && dir.join("objects").is_dir();
    if is_git_dir(path) {
        return Ok(Some((path.to_owned(), true)));
    }
    let inner = path.join(".git");
    if is_git_dir(&inner) {
        return Ok(Some((inner, false)));
    }
    if !inner.is_file() {
        return Ok(None);
    }
    // A linked work tree: `.git` is a file that names a directory, which names the shared one.
    let text = std::fs::read_to_string(&inner)?;
    let Some(linked) = text.strip_prefix("gitdir:").map(|target| path.join(target.trim())) else { return Ok(None) };
    let shared = match std::fs::read_to_string(linked.join("commondir")) {
        Ok(common) => linked.join(common.trim()),
        Err(_) => linked,
    };
    Ok(is_git_dir(&shared).then_some((shared, false)))
}

fn ref_edit(update: &RefUpdate) -> Result<RefEdit, String> {
    let name = FullName::try_from(update.name.as_str()).map_err(|error| error.to_string())?;
    let matching = |id: GitId| PreviousValue::MustExistAndMatch(Target::Object(id.to_gix()));
    let expected = update.old.map_or(PreviousValue::MustNotExist, matching);
    let change = match update.new {
        Some(new) => Change::Update { log: LogChange::default(), expected, new: Target::Object(new.to_gix()) },
        None => Change::Delete { expected, log: RefLog::AndReference },
    };
    Ok(RefEdit { change, name, deref: false })
}
