use cloakroom_core::StoreError;

/// The changes that lead from one version of the schema to the next: the first list makes
/// version 1 out of nothing.
pub(crate) type Steps = Vec<Vec<String>>;

/// Which steps are still to be taken, if the table has `found` as its version.
pub(crate) fn pending(
    steps: &[Vec<String>],
    found: Option<i64>,
) -> Result<&[Vec<String>], StoreError> {
    let taken = usize::try_from(found.unwrap_or(0))
        .map_err(|_| StoreError::corrupt("the schema version in the database is negative"))?;
    steps.get(taken..).ok_or_else(|| {
        StoreError::unsupported(format!(
            "the table has schema version {taken}, made by a newer release; this one knows \
             version {}: update it before it uses this table",
            steps.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use cloakroom_core::StoreErrorKind;

    use super::*;

    #[test]
    fn only_the_missing_steps_are_taken() {
        let steps: Steps = vec![vec!["a".into()], vec!["b".into()]];
        assert_eq!(pending(&steps, None).unwrap().len(), 2);
        assert_eq!(pending(&steps, Some(1)).unwrap(), [vec!["b".to_owned()]]);
        assert!(pending(&steps, Some(2)).unwrap().is_empty());
        let newer = pending(&steps, Some(3)).unwrap_err();
        assert_eq!(newer.kind(), StoreErrorKind::Unsupported);
    }
}
