//! Settings as text, from a file or the environment.
//!
//! One table says which keys there are, what the forerunners call them, what is allowed and how it
//! is read; a value that was read knows what it does to the builder. Each part of the table has a
//! file: [`times`], [`cache`], [`writing`] and [`ways`].

mod apply;
mod cache;
mod deserialize;
mod error;
mod given;
mod key;
mod read;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod times;
mod ways;
mod writing;

pub use self::error::SettingsError;
pub use self::given::Settings;
