use crate::shared::cause::Cause;

/// What an error code means
/// ([list](https://www.postgresql.org/docs/current/errcodes-appendix.html)).
pub(super) fn cause(code: &str) -> Cause {
    match code {
        "40001" | "40P01" | "40003" => Cause::Collision,
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
