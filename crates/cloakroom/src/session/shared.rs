use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::ChangeLog;

/// A log that a commit and its handle share; whoever changes it while it is shared gets a copy. An
/// empty one, which most requests have, costs no allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedLog(Option<Arc<ChangeLog>>);

static EMPTY: ChangeLog = ChangeLog::EMPTY;

impl SharedLog {
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn into_owned(self) -> ChangeLog {
        self.0.map(Arc::unwrap_or_clone).unwrap_or_default()
    }
}

impl Deref for SharedLog {
    type Target = ChangeLog;

    fn deref(&self) -> &ChangeLog {
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for SharedLog {
    fn deref_mut(&mut self) -> &mut ChangeLog {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Scope;

    #[test]
    fn a_change_of_a_shared_log_leaves_the_other_half_as_it_was() {
        let mut log = SharedLog::default();
        log.set(&Scope::default(), "a", b"1".to_vec());
        let pending = log.clone();
        log.clear(&Scope::default());
        assert!(pending.makes_a_session());
        assert!(!log.makes_a_session() && !log.is_empty());
        assert!(log.take().into_owned().serial > pending.serial);
        assert!(log.is_empty());
    }
}
