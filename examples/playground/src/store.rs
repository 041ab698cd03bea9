//! Opens the store that `--store` names.

use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder};

use crate::options::Options;
use crate::start::StartError;

/// What `--store` takes.
pub(crate) const ALLOWED: &str = "memory:";

/// The store without the option.
pub(crate) const DEFAULT: &str = "memory:";

/// Opens the store; a missing database file or table is made.
#[expect(clippy::unused_async, reason = "the stores to come connect here")]
pub(crate) async fn open(options: &Options) -> Result<SessionLayerBuilder, StartError> {
    if let Some(l2) = options.l2.as_deref().filter(|l2| *l2 != "none") {
        let l2 = without_password(l2);
        return Err(StartError::new(format!(
            "--l2 {l2:?} is not built in; allowed: none"
        )));
    }
    match options.store.split_once(':') {
        Some(("memory", "")) => Ok(SessionLayer::builder(MemoryStore::new())),
        Some(("memory", _)) => Err(StartError::new(format!(
            "--store {:?}: nothing may follow memory:",
            options.store
        ))),
        _ => Err(StartError::new(format!(
            "--store {:?} is not built in; allowed: {ALLOWED}",
            without_password(&options.store)
        ))),
    }
}

/// A URL for messages: what stands before an `@` is left out, since it may hold a password.
pub(crate) fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => {
            let (scheme, rest) = (url.get(..start + 3), url.get(end..));
            format!(
                "{}***{}",
                scheme.unwrap_or_default(),
                rest.unwrap_or_default()
            )
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_left_out_of_messages() {
        assert_eq!(without_password("redis://u:p@h:1/0"), "redis://***@h:1/0");
        assert_eq!(without_password("redis://u:p@ss@h"), "redis://***@h");
        assert_eq!(without_password("memory:"), "memory:");
        assert_eq!(without_password("a@b"), "a@b");
    }
}
