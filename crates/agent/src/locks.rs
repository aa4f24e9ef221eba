//! What keeps agents apart: one of a state directory, and one of an instance, whose pins and links are the other's, too.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{Flock, FlockArg};

use crate::config::Config;
use crate::host::StartError;
use crate::kernel::bpffs;
use crate::run::RunError;

/// How often it is opened again that somebody removed meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// Both locks, for as long as the process has them. They end with it, however it ends.
#[derive(Debug)]
pub(crate) struct Locks {
    /// Of the state directory.
    pub(crate) directory: Flock<File>,
    /// Of the instance.
    pub(crate) instance: Flock<File>,
}

impl Locks {
    /// Takes both.
    ///
    /// # Errors
    /// Another agent has one of them, or the file system's.
    pub(crate) fn take(config: &Config) -> Result<Self, RunError> {
        std::fs::create_dir_all(&config.state_dir).map_err(io("make the state directory"))?;
        let file = File::create(config.state_dir.join("lock")).map_err(io("make the lock"))?;
        Ok(Self {
            directory: of_directory(file, config)?,
            instance: of_instance(None, config)?,
        })
    }

    /// From the program whose place this one took: its files hold the locks already. An older one had none of the
    /// instance.
    ///
    /// # Errors
    /// Another agent has one of them, or the file system's.
    pub(crate) fn inherited(
        directory: File,
        instance: Option<File>,
        config: &Config,
    ) -> Result<Self, RunError> {
        Ok(Self {
            directory: of_directory(directory, config)?,
            instance: of_instance(instance, config)?,
        })
    }
}

fn of_directory(file: File, config: &Config) -> Result<Flock<File>, RunError> {
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    locked.map_err(|_| RunError::Locked(config.state_dir.clone()))
}

/// The lock of something that is no longer at its place keeps nobody out: then it is taken anew.
fn of_instance(mut held: Option<File>, config: &Config) -> Result<Flock<File>, RunError> {
    for _ in 0..ATTEMPTS_MAX {
        let (path, opened) = bpffs::lockable(&config.instance, &config.state_dir)
            .map_err(io("open what keeps the agents of an instance apart"))?;
        let file = held.take().filter(|held| is_same(held, &opened));
        let locked = Flock::lock(file.unwrap_or(opened), FlockArg::LockExclusiveNonblock)
            .map_err(|_| RunError::SameInstance(config.instance.clone()))?;
        if File::open(path).is_ok_and(|there| is_same(&locked, &there)) {
            return Ok(locked);
        }
    }
    Err(RunError::SameInstance(config.instance.clone()))
}

fn is_same(one: &File, other: &File) -> bool {
    let number = |file: &File| file.metadata().map(|of| (of.dev(), of.ino())).ok();
    number(one).is_some() && number(one) == number(other)
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::Start(StartError::Io { what, source })
}
