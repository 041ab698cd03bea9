use std::pin::Pin;
use std::sync::Arc;

use cloakroom_core::{Capabilities, Expiry, Reach};

/// How many round trips a store has made so far; `None` where nobody counts them.
pub(crate) type Counter = dyn Fn() -> Option<u64> + Send + Sync;

/// A store under test.
pub(crate) struct Tested<S> {
    pub(crate) store: Arc<S>,
    pub(crate) count: Arc<Counter>,
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One sentence of the contract, as a check over any store. It panics if the store breaks it.
pub(crate) struct Case<S> {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: for<'a> fn(&'a Tested<S>) -> Running<'a>,
}

/// `case!(name)` for a check over `&S`, `case!(shared name)` for one over `&Arc<S>`, which needs
/// tasks of its own, `case!(counted name)` for one over `&S` and the count of its round trips; `if`
/// says what the backend must be able to do.
macro_rules! case {
    ($name:ident $(if $needs:expr)?) => {
        crate::case::Case {
            name: stringify!($name),
            needs: crate::case::needs!($($needs)?),
            run: |tested| Box::pin($name(&*tested.store)),
        }
    };
    (shared $name:ident $(if $needs:expr)?) => {
        crate::case::Case {
            name: stringify!($name),
            needs: crate::case::needs!($($needs)?),
            run: |tested| Box::pin($name(&tested.store)),
        }
    };
    (counted $name:ident) => {
        crate::case::Case {
            name: stringify!($name),
            needs: crate::case::Needs::RoundTrips,
            run: |tested| Box::pin($name(&*tested.store, &*tested.count)),
        }
    };
}

macro_rules! needs {
    () => {
        crate::case::Needs::Nothing
    };
    ($needs:expr) => {
        $needs
    };
}

pub(crate) use {case, needs};

/// What a case asks of a backend beyond the contract.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    Nothing,
    Search,
    NativeExpiry,
    OwnerIndex,
    /// So many bytes in one record.
    Bytes(usize),
    /// There is a limit on the bytes of a record.
    ByteLimit,
    Endings,
    Changes,
    NoFeed,
    Exclusive,
    LeavesTimes,
    OwnClock,
    /// Somebody counts the round trips.
    RoundTrips,
}

impl Needs {
    /// Why a backend cannot run the case; `None` if it can.
    pub(crate) fn lacking(
        self,
        can: Capabilities,
        own_clock: bool,
        count: &Counter,
    ) -> Option<&'static str> {
        let (met, reason) = match self {
            Self::Nothing => (true, ""),
            Self::Search => (
                can.expiry == Expiry::Search,
                "rows are forgotten by native expiry; the store cannot find them",
            ),
            Self::NativeExpiry => (can.expiry == Expiry::Native, "the store finds what is due"),
            Self::OwnerIndex => (can.owner_index, "there is no owner index"),
            Self::Bytes(bytes) => (
                can.max_record_bytes.is_none_or(|max| max >= bytes),
                "the record is larger than the store takes",
            ),
            Self::ByteLimit => (
                can.max_record_bytes.is_some(),
                "the store takes records of any size",
            ),
            Self::Endings => (can.reach != Reach::None, "there is no change feed"),
            Self::Changes => (
                can.reach == Reach::Changes,
                "the change feed does not tell of saves",
            ),
            Self::NoFeed => (
                can.reach == Reach::None && !can.exclusive,
                "there is a change feed",
            ),
            Self::Exclusive => (can.exclusive, "other processes may write to the store"),
            Self::LeavesTimes => (can.leaves_times, "every save writes the times"),
            Self::OwnClock => (own_clock, "the store has no clock of its own"),
            Self::RoundTrips => (
                count().is_some(),
                "nobody counts the round trips of the store",
            ),
        };
        (!met).then_some(reason)
    }
}
