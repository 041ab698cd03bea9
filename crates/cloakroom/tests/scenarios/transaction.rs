//! A request is a transaction.
