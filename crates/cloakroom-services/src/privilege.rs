//! Database servers refuse to run as root: then they run as `nobody`.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{Missing, find};

/// `nobody` and `nogroup` have this number on every Debian.
const NOBODY: u32 = 65_534;

/// Who a server runs as.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// Whoever runs the tests.
    Same,
    /// `nobody`, by way of `setpriv`.
    Nobody { setpriv: PathBuf },
}

impl Identity {
    /// One that `PostgreSQL` and `MariaDB` agree to run as.
    pub(crate) fn unprivileged() -> Result<Self, Missing> {
        if !is_root() {
            return Ok(Self::Same);
        }
        let setpriv = find::program("setpriv")
            .ok_or_else(|| Missing::new("setpriv", "setpriv", &["util-linux"]))?;
        Ok(Self::Nobody { setpriv })
    }

    /// The owner that files of the server must have, if it is another one than ours.
    pub(crate) fn owner(&self) -> Option<u32> {
        match self {
            Self::Same => None,
            Self::Nobody { .. } => Some(NOBODY),
        }
    }

    /// The command that runs this program so. It replaces itself by the program: the process id stays.
    pub(crate) fn command(&self, program: &Path) -> Vec<OsString> {
        match self {
            Self::Same => vec![program.into()],
            Self::Nobody { setpriv } => vec![
                setpriv.into(),
                format!("--reuid={NOBODY}").into(),
                format!("--regid={NOBODY}").into(),
                "--clear-groups".into(),
                program.into(),
            ],
        }
    }
}

/// Whether this program runs as root, as the owner of its own entry in `/proc` says.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}
