/// A setting cannot be taken; the text says which, why, and what is allowed.
///
/// ```
/// use cloakroom::Settings;
///
/// let error = Settings::default().set("cache.entrys", "500").unwrap_err();
/// assert!(error.to_string().contains("cache.entries"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no such setting. The value is not shown: it may belong to somebody else.
    #[error("there is no setting {key:?}; the nearest are {}", .nearest.join(", "))]
    Unknown {
        /// The key as it was given.
        key: String,
        /// The known keys that are most like it, the nearest first.
        nearest: Vec<&'static str>,
    },
    /// The setting does not take this value.
    #[error("{key} cannot be {value:?}{}: allowed is {allowed}", because(.reason))]
    Value {
        /// The key as it was given.
        key: String,
        /// The value as it was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
        /// What exactly is wrong, where that is known; else empty.
        reason: String,
    },
    /// Two keys, or the same one twice, say the same thing.
    #[error("{second} and {first} both give {setting}: leave one of them out")]
    Twice {
        /// Our name for what they say.
        setting: &'static str,
        /// The key that came first.
        first: String,
        /// The key that came second.
        second: String,
    },
    /// Two settings that do not go together.
    #[error("{one} and {other} contradict each other: {mend}")]
    Contradiction {
        /// One key as it was given.
        one: String,
        /// The other key as it was given.
        other: String,
        /// How to mend it.
        mend: &'static str,
    },
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

impl SettingsError {
    /// The same about a key that was given under another name.
    pub(super) fn renamed(mut self, from: &str, to: &str) -> Self {
        let rename = |key: &mut String| {
            if key == from {
                to.clone_into(key);
            }
        };
        match &mut self {
            Self::Unknown { key, .. } | Self::Value { key, .. } => rename(key),
            Self::Twice { second, .. } => rename(second),
            Self::Contradiction { one, other, .. } => {
                rename(one);
                rename(other);
            }
        }
        self
    }
}
