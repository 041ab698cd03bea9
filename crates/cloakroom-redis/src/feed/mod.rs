//! The change feed: told by the scripts themselves, heard on connections of its own.
//!
//! Each script that creates, saves or ends publishes a notice in the same step, on the node that
//! has the key, unless the writer is the only one to hear it. A feed is subscribed on every master, so that no notice depends on the cluster's
//! bus, which promises no delivery (what comes over the bus as well is a copy, and told once). It proves itself by a question on each of these connections every 250 ms: replies and
//! notices come in one stream, so an answer means that all earlier notices have come too. No answer
//! for a second, a lost connection, a new epoch of the cluster or another master ends it: the reader
//! hears `Lost` at once, and `Live` when everything is subscribed anew.
//!
//! - `hub`: who listens, and the task that serves them
//! - `subscription`: the connections, and what ends them
//! - `beat`: what is asked, and which answers are as expected
//! - `company`: whether anybody else listens, without whom nothing is published
//! - `notice`: the messages
//! - `recent`: those that came lately, so that none is told twice

mod beat;
mod company;
mod hub;
pub(crate) mod notice;
mod recent;
mod subscription;

pub(crate) use company::Writing;
pub(crate) use hub::Hub;
