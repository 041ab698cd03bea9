use crate::shared::cause::Cause;

/// What an error code means
/// ([list](https://www.postgresql.org/docs/current/errcodes-appendix.html)).
pub(super) fn cause(code: &str) -> Cause {
    match code {
        "40001" | "40P01" => Cause::Collision,
        // Whether it was applied is not known.
        "40003" => Cause::GoingAway,
        "55P03" => Cause::Locked,
        "57014" => Cause::Cancelled,
        "53300" => Cause::TooManyConnections,
        // In the middle of a failover the old address may be a standby for a moment.
        "25006" => Cause::ReadOnlyServer,
        "53100" => Cause::Full,
        "42P01" => Cause::NoTable,
        "42P07" => Cause::TableInTheWay,
        "3D000" | "3F000" => Cause::NoDatabase,
        "42501" => Cause::Forbidden,
        "28000" | "28P01" => Cause::Credentials,
        "22001" => Cause::TooLarge,
        _ => match code.get(..2) {
            Some("08" | "57") => Cause::GoingAway,
            Some("53" | "58") => Cause::Exhausted,
            Some("54") => Cause::TooLarge,
            Some("22" | "23" | "42") => Cause::OtherShape,
            Some("XX") => Cause::Damaged,
            _ => Cause::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_never_taken_for_a_mistake_nor_the_other_way_round() {
        let table = [
            ("40001", Cause::Collision),
            ("40P01", Cause::Collision),
            ("40003", Cause::GoingAway),
            ("53300", Cause::TooManyConnections),
            ("53200", Cause::Exhausted),
            ("53100", Cause::Full),
            ("57P01", Cause::GoingAway),
            ("57P03", Cause::GoingAway),
            ("57014", Cause::Cancelled),
            ("08006", Cause::GoingAway),
            ("25006", Cause::ReadOnlyServer),
            ("28P01", Cause::Credentials),
            ("42P01", Cause::NoTable),
            ("42703", Cause::OtherShape),
            ("23514", Cause::OtherShape),
            ("42501", Cause::Forbidden),
            ("54000", Cause::TooLarge),
            ("", Cause::Unknown),
        ];
        for (code, expected) in table {
            assert_eq!(cause(code), expected, "{code}");
        }
    }
}
