use cloakroom_core::StoreError;

/// The default name of the table.
pub(crate) const DEFAULT_TABLE: &str = "cloakroom_sessions";

/// `PostgreSQL` cuts identifiers at 63 bytes; the longest suffix that is added is `_expires_at`.
const MAX_LEN: usize = 48;

/// Checks that a name from the configuration is a plain identifier.
///
/// A name cannot be a bind parameter, so it becomes part of the statement: nothing but letters,
/// digits and `_` gets there, quoted nevertheless because it may be a reserved word.
pub(crate) fn checked(kind: &str, name: &str) -> Result<(), StoreError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if starts_well && name.len() <= MAX_LEN && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(StoreError::rejected(format!(
            "the {kind} name must be 1 to {MAX_LEN} of A-Z, a-z, 0-9 and _, and begin with no \
             digit; set another one in the options"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_identifier_and_nothing_else() {
        for good in ["sessions", "_s", "Order", "t1", &"a".repeat(48)] {
            assert!(checked("table", good).is_ok(), "{good}");
        }
        let long = "a".repeat(49);
        for wrong in [
            "", "1a", "a-b", "a b", "a;b", "a\"b", "a`b", "a.b", "ä", &long,
        ] {
            assert!(checked("table", wrong).is_err(), "{wrong}");
        }
    }
}
