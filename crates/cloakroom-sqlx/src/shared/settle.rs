use cloakroom_core::{CreateOutcome, SaveOutcome, Stamp};

/// What a repeated `create` says: our own stamp in the way is the first attempt, which was stored.
pub(crate) fn settle_create(second: CreateOutcome, own: Stamp) -> Option<CreateOutcome> {
    match second {
        CreateOutcome::Created => Some(second),
        CreateOutcome::Exists(stamp) => (stamp == own).then_some(CreateOutcome::Created),
    }
}

/// What a repeated `save` says. Another's stamp settles nothing: it may have replaced what the
/// first attempt has stored.
pub(crate) fn settle_save(second: SaveOutcome, own: Stamp) -> Option<SaveOutcome> {
    match second {
        SaveOutcome::Conflict(found) => (found.stamp == own).then_some(SaveOutcome::Saved),
        // An ended session is never replayed, whether or not the first attempt came before.
        SaveOutcome::Saved | SaveOutcome::Ended(_) | SaveOutcome::Gone => Some(second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_write_is_settled_by_its_own_stamp() {
        let (own, other) = (Stamp::first(), Stamp::first());
        let settled = settle_create(CreateOutcome::Exists(own), own);
        assert_eq!(settled, Some(CreateOutcome::Created));
        assert_eq!(settle_create(CreateOutcome::Exists(other), own), None);
        assert_eq!(settle_save(SaveOutcome::Gone, own), Some(SaveOutcome::Gone));
    }
}
