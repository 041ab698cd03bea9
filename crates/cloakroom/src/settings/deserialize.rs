//! Settings from a map of any format: maps within maps become names with dots, scalars text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::Settings;

impl<'de> serde::Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = Self::default();
        deserializer.deserialize_map(At {
            key: String::new(),
            settings: &mut settings,
        })?;
        Ok(settings)
    }
}

/// A place in the map, and where its value goes.
struct At<'a> {
    key: String,
    settings: &'a mut Settings,
}

impl At<'_> {
    fn set<E: Error>(self, value: &str) -> Result<(), E> {
        if self.key.is_empty() {
            return Err(E::custom("settings are a map of names and values"));
        }
        self.settings.set(&self.key, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str("a map of settings")
        } else {
            write!(f, "a text, a boolean or a number for {}", self.key)
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(part) = map.next_key::<String>()? {
            let key = if self.key.is_empty() {
                part
            } else {
                format!("{}.{part}", self.key)
            };
            map.next_value_seed(At {
                key,
                settings: &mut *self.settings,
            })?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.set(value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.set(&value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.set(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.set(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.set(&value.to_string())
    }
}
