use std::collections::BTreeMap;

use super::SettingsError;
use super::key::Reading;
use super::table::{find, nearest};

/// The settings of a layer as text, from a file, the environment or anywhere else.
///
/// The default has nothing set: what is not set here is what the builder has. Each setting has our
/// name and may have those of the forerunners; the table of all of them is in [`Settings::set`].
///
/// `Settings` can be deserialized from a map: TOML, JSON, YAML and the like. Maps within maps are
/// names with dots, so that `cache.entries` may be written as a table `[cache]` with `entries`.
/// A boolean or a number is the same as its text.
///
/// ```
/// use cloakroom::Settings;
///
/// let ours = r#"{ "idle_timeout": "30m", "cache": { "entries": 500 } }"#;
/// let theirs = r#"{ "SessionTimeout": 30, "size": 500 }"#;
/// let ours: Settings = serde_json::from_str(ours)?;
/// let theirs: Settings = serde_json::from_str(theirs)?;
/// assert_eq!(ours, theirs);
///
/// let error = serde_json::from_str::<Settings>(r#"{ "idle_timeout": "soon" }"#).unwrap_err();
/// assert!(error.to_string().contains("idle_timeout cannot be \"soon\""));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// By the row in the table, so that they are applied in its order.
    given: BTreeMap<usize, Given>,
}

#[derive(Clone, Debug)]
struct Given {
    /// Our name.
    name: &'static str,
    /// The name by which it was given.
    key: String,
    reading: Reading,
}

impl Settings {
    /// Reads one setting.
    ///
    #[doc = include_str!("keys.md")]
    ///
    /// # Errors
    ///
    /// [`SettingsError`], which names the key, the value and what is allowed: for an unknown key, a
    /// value that is not allowed, a setting that has been given already (under whichever name), and
    /// one that contradicts another. Nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingsError> {
        let (row, name, spelling) = find(key).ok_or_else(|| SettingsError::Unknown {
            key: key.to_owned(),
            nearest: nearest(key),
        })?;
        if let Some(first) = self.given.get(&row) {
            return Err(SettingsError::Twice {
                setting: name,
                first: first.key.clone(),
                second: key.to_owned(),
            });
        }
        let reading = (spelling.read)(value.trim()).map_err(|wrong| SettingsError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            allowed: spelling.allowed,
            reason: wrong.0,
        })?;
        let given = Given {
            name,
            key: key.to_owned(),
            reading,
        };
        self.given.insert(row, given);
        self.contradiction().map_or(Ok(()), |error| {
            self.given.remove(&row);
            Err(error)
        })
    }

    /// Reads the settings from the variables whose names begin with `prefix`; others are left
    /// alone. In what follows the prefix `__` stands for the dot, and the case of the letters does
    /// not count: `CLOAKROOM_CACHE__ENTRIES` is `cache.entries`, and `CLOAKROOM_SESSIONTIMEOUT`
    /// Jarvis' `SessionTimeout`.
    ///
    /// ```
    /// use cloakroom::Settings;
    ///
    /// let vars = [("CLOAKROOM_CACHE__ENTRIES", "500"), ("HOME", "/root")];
    /// let settings = Settings::from_env("CLOAKROOM_", vars)?;
    /// assert_eq!(settings.iter().collect::<Vec<_>>(), [("cache.entries", "500")]);
    ///
    /// let own = Settings::from_env("MY_APP_SESSION_", std::env::vars())?;
    /// assert_eq!(own.iter().count(), 0);
    /// # Ok::<(), cloakroom::SettingsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), with the variable's whole name as the key.
    pub fn from_env<K, V>(
        prefix: &str,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, SettingsError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut settings = Self::default();
        for (variable, value) in vars {
            let variable = variable.as_ref();
            let Some(key) = variable.strip_prefix(prefix) else {
                continue;
            };
            let key = key.replace("__", ".");
            settings
                .set(&key, value.as_ref())
                .map_err(|error| error.renamed(&key, variable))?;
        }
        Ok(settings)
    }

    /// What is set: our name, and the value as we would write it, whoever's name and unit it was
    /// given in. In the order of the table.
    ///
    /// ```
    /// use cloakroom::Settings;
    ///
    /// let mut settings = Settings::default();
    /// settings.set("maxInactiveInterval", "5400")?;
    /// assert_eq!(settings.iter().collect::<Vec<_>>(), [("idle_timeout", "1h30m")]);
    /// # Ok::<(), cloakroom::SettingsError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given
            .values()
            .map(|given| (given.name, given.reading.text.as_str()))
    }

    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.given.values().map(|given| &given.reading)
    }

    fn by_name(&self, name: &str) -> Option<&Given> {
        self.given.values().find(|given| given.name == name)
    }

    /// What cannot be meant, in whichever order it was given.
    fn contradiction(&self) -> Option<SettingsError> {
        let error = |one: &Given, other: &Given, mend| SettingsError::Contradiction {
            one: one.key.clone(),
            other: other.key.clone(),
            mend,
        };
        let both = |one, other| Some((self.by_name(one)?, self.by_name(other)?));
        if let Some((one, other)) = both("cache.entries", "cache.bytes") {
            return Some(error(one, other, "the cache has one bound, leave one out"));
        }
        if let Some((save, eager)) = both("save_on_create", "eager")
            && save.reading.text == "true"
            && eager.reading.text == "false"
        {
            return Some(error(save, eager, "the first implies the second"));
        }
        for name in ["cookie.name", "header.name"] {
            if let Some((one, other)) = both("SessionIdHeader", name) {
                return Some(error(one, other, "both name what carries the token"));
            }
        }
        let transport = self.by_name("transport")?;
        let unused = self.given.values().find(|given| {
            let Some((way @ ("cookie" | "header"), _)) = given.name.split_once('.') else {
                return false;
            };
            !transport.reading.text.contains(way)
        })?;
        Some(error(transport, unused, "that way is not used"))
    }
}

/// Equal settings build equal layers, whoever's names they were given by.
impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Settings {}
