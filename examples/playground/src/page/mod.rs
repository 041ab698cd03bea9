//! The page for people: made by the server, readable without scripts, every value escaped.
//!
//! `view` is what is shown, as plain data; `draw` turns it into HTML, `forms` draws the buttons.

mod draw;
mod escape;
mod forms;
mod view;

pub(crate) use self::draw::{problem, whole};
pub(crate) use self::view::{Deadline, LastRequest, OwnSession, View};

/// The style sheet, served beside the page.
pub(crate) const STYLE: &str = include_str!("page.css");

/// Comfort only: countdowns, and calls to the API without leaving the page.
pub(crate) const SCRIPT: &str = include_str!("page.js");
