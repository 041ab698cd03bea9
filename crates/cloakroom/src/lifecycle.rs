//! What the end of a request means for its session: a pure decision over facts.

/// All that the decision depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, the rows of a truth table"
)]
pub(crate) struct Facts {
    /// `destroy` was called.
    pub(crate) destroyed: bool,
    /// The changes are to be dropped.
    pub(crate) rolled_back: bool,
    /// There is a stored session.
    pub(crate) stored: bool,
    /// The log holds something.
    pub(crate) changed: bool,
    /// What the log holds is worth a session.
    pub(crate) makes_a_session: bool,
    /// An absent session shall be created anyway.
    pub(crate) eager: bool,
    /// The last use that the store knows of is older than the touch interval.
    pub(crate) touch_due: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// No write, no cookie.
    Nothing,
    /// Move the deadline.
    Touch,
    /// Store a new session with the changes.
    Create,
    /// Store a new session without the changes, which are rolled back.
    CreateEmpty,
    /// Write the changes to the stored session.
    Save,
    /// End the session.
    End,
}

/// One match over the facts.
pub(crate) fn plan(facts: Facts) -> Plan {
    match facts {
        Facts {
            destroyed: true,
            stored: true,
            ..
        } => Plan::End,
        Facts {
            destroyed: true,
            stored: false,
            ..
        } => Plan::Nothing,
        Facts {
            rolled_back: true,
            stored: false,
            eager: true,
            ..
        } => Plan::CreateEmpty,
        Facts {
            rolled_back: false,
            stored: true,
            changed: true,
            ..
        } => Plan::Save,
        Facts {
            stored: true,
            touch_due: true,
            ..
        } => Plan::Touch,
        Facts {
            rolled_back: false,
            stored: false,
            makes_a_session: true,
            ..
        }
        | Facts {
            rolled_back: false,
            stored: false,
            eager: true,
            ..
        } => Plan::Create,
        _ => Plan::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_table_of_decisions() {
        let none = Facts::default();
        let stored = Facts {
            stored: true,
            ..none
        };
        let table = [
            ("nothing asked", none, Plan::Nothing),
            (
                "a new session with data",
                Facts {
                    changed: true,
                    makes_a_session: true,
                    ..none
                },
                Plan::Create,
            ),
            (
                "a removal from nothing",
                Facts {
                    changed: true,
                    ..none
                },
                Plan::Nothing,
            ),
            (
                "eager",
                Facts {
                    eager: true,
                    ..none
                },
                Plan::Create,
            ),
            (
                "eager and rolled back",
                Facts {
                    eager: true,
                    rolled_back: true,
                    changed: true,
                    makes_a_session: true,
                    ..none
                },
                Plan::CreateEmpty,
            ),
            (
                "new and rolled back",
                Facts {
                    rolled_back: true,
                    changed: true,
                    makes_a_session: true,
                    ..none
                },
                Plan::Nothing,
            ),
            ("read", stored, Plan::Nothing),
            (
                "read long after the last touch",
                Facts {
                    touch_due: true,
                    ..stored
                },
                Plan::Touch,
            ),
            (
                "write",
                Facts {
                    changed: true,
                    touch_due: true,
                    ..stored
                },
                Plan::Save,
            ),
            (
                "write and rolled back",
                Facts {
                    changed: true,
                    rolled_back: true,
                    ..stored
                },
                Plan::Nothing,
            ),
            (
                "rolled back long after the last touch",
                Facts {
                    changed: true,
                    rolled_back: true,
                    touch_due: true,
                    ..stored
                },
                Plan::Touch,
            ),
            (
                "destroy",
                Facts {
                    destroyed: true,
                    ..stored
                },
                Plan::End,
            ),
            (
                "write, then destroy, then 5xx",
                Facts {
                    destroyed: true,
                    changed: true,
                    rolled_back: true,
                    ..stored
                },
                Plan::End,
            ),
            (
                "destroy of nothing",
                Facts {
                    destroyed: true,
                    eager: true,
                    ..none
                },
                Plan::Nothing,
            ),
        ];
        for (case, facts, expected) in table {
            assert_eq!(plan(facts), expected, "{case}");
        }
    }
}
