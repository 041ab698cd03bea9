use crate::shared::cause::Cause;

/// What an error number means
/// ([MySQL](https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html),
/// [MariaDB](https://mariadb.com/kb/en/mariadb-error-code-reference/)).
pub(super) fn cause(number: u16) -> Cause {
    match number {
        1213 | 1020 | 1614 | 3101 => Cause::Collision,
        1205 | 3572 => Cause::Locked,
        1317 | 1969 | 3024 => Cause::Cancelled,
        1040 | 1203 | 1226 | 1637 => Cause::TooManyConnections,
        1047
        | 1053
        | 1077
        | 1079
        | 1129
        | 1152
        | 1158..=1161
        | 1180
        | 1184
        | 1927
        | 2006
        | 2013
        | 3032
        | 3100
        | 4031 => Cause::GoingAway,
        1021 | 1114 => Cause::Full,
        1037 | 1038 | 1041 | 1026 | 1030 | 1135 => Cause::Exhausted,
        1290 | 1792 | 1836 => Cause::ReadOnlyServer,
        1153 | 1301 | 1406 => Cause::TooLarge,
        1146 => Cause::NoTable,
        1050 | 1061 => Cause::TableInTheWay,
        1046 | 1049 => Cause::NoDatabase,
        1045 | 1698 => Cause::Credentials,
        1044 | 1142 | 1143 | 1227 | 1370 => Cause::Forbidden,
        1048 | 1054 | 1062 | 1136 | 1264 | 1265 | 1292 | 1364 | 1366 | 3819 | 4025 => {
            Cause::OtherShape
        }
        1194 | 1195 | 1712 => Cause::Damaged,
        _ => Cause::Unknown,
    }
}

/// A row of this key exists already.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .is_some_and(|error| error.number() == 1062)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_never_taken_for_a_mistake_nor_the_other_way_round() {
        let table = [
            (1213, Cause::Collision),
            (1205, Cause::Locked),
            (1040, Cause::TooManyConnections),
            (1053, Cause::GoingAway),
            (1927, Cause::GoingAway),
            // A node of a Galera or replication group that takes no part just now.
            (1047, Cause::GoingAway),
            (3032, Cause::GoingAway),
            (3101, Cause::Collision),
            (1114, Cause::Full),
            (1290, Cause::ReadOnlyServer),
            (1792, Cause::ReadOnlyServer),
            (1045, Cause::Credentials),
            (1142, Cause::Forbidden),
            (1146, Cause::NoTable),
            (1054, Cause::OtherShape),
            (1406, Cause::TooLarge),
            (0, Cause::Unknown),
        ];
        for (number, expected) in table {
            assert_eq!(cause(number), expected, "{number}");
        }
    }
}
