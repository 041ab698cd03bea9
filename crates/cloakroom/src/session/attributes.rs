use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::Session;
use super::log::Update;
use super::seen::{below_log, json_of, seen};
use super::state::State;
use super::value;
use crate::{Error, ErrorKind};

/// The attributes.
impl Session {
    /// Reads an attribute; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is not a `T`; and those of [`Session`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        // The snapshot is shared, so that the value is decoded, by the user's code, without a lock.
        let json = self.cell.read(|state| json_of(state, &self.scope, name))?;
        json.with(&self.scope, name, |json| {
            json.map(|json| value::decode(name, json)).transpose()
        })
    }

    /// Whether there is such an attribute.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn contains(&self, name: &str) -> Result<bool, Error> {
        let json = self.cell.read(|state| json_of(state, &self.scope, name))?;
        Ok(json.with(&self.scope, name, |json| json.is_some()))
    }

    /// The names of all attributes, sorted.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let body = self.cell.read(seen)?;
        let scope = self.scope.as_str();
        let mut keys: Vec<String> = body
            .iter()
            .filter(|a| a.scope == scope)
            .map(|a| a.name.to_owned())
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Sets an attribute. Two requests that set the same one: the last commit wins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the value has no JSON form (NaN and the infinities included),
    /// [`ErrorKind::TooLarge`] beyond the layer's limit, [`ErrorKind::InvalidAttribute`] for a name
    /// that is empty or longer than 255 bytes; and those of [`Session`]. Nothing is changed then.
    pub fn insert(&self, name: &str, value: impl Serialize) -> Result<(), Error> {
        value::check_name(name)?;
        let json = value::encode(name, &value)?;
        self.cell.write(|state| {
            self.check_size(state, name, json.len())?;
            state.log.set(&self.scope, name, json);
            Ok(())
        })
    }

    /// Removes an attribute; whether it was there.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        value::check_name(name)?;
        self.cell.write_or_nothing(|state| {
            let there =
                json_of(state, &self.scope, name).with(&self.scope, name, |json| json.is_some());
            state.log.remove(&self.scope, name);
            Ok(there)
        })
    }

    /// Removes an attribute and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is not a `T`, and then it stays; and those of [`Session`].
    pub fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let found = self.get(name)?;
        self.remove(name)?;
        Ok(found)
    }

    /// Changes an attribute by a closure, which runs again on the fresh value if another request
    /// has stored one before this commit: increments are never lost.
    ///
    /// Returns the provisional value; what is stored in the end may differ, and can be read after
    /// [`commit`](Self::commit). The closure must not do anything but compute.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and [`insert`](Self::insert).
    pub fn update<T, F>(&self, name: &str, f: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let done = self.try_update(name, move |found| {
            Ok::<T, std::convert::Infallible>(f(found))
        })?;
        Ok(done.unwrap_or_else(|never| match never {}))
    }

    /// As [`update`](Self::update), with a closure that may refuse what it finds. Then nothing
    /// changes and its error is returned; if it refuses only at the commit, the stored value stays
    /// and [`commit`](Self::commit) answers [`ErrorKind::UpdateRefused`].
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    ///
    /// # Panics
    ///
    /// Only if the closure does.
    pub fn try_update<T, E, F>(&self, name: &str, f: F) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, E> + Send + Sync + 'static,
    {
        value::check_name(name)?;
        let mut f = Some(f);
        loop {
            // The closure runs outside the lock; if somebody else changed the attribute meanwhile,
            // it runs again.
            let (before, serial) = self
                .cell
                .write(|state| Ok((json_of(state, &self.scope, name), state.log.serial)))?;
            let value = before.with(&self.scope, name, |json| {
                json.map(|json| value::decode(name, json)).transpose()
            })?;
            let run = f
                .as_ref()
                .expect("it is taken below, and then the loop ends");
            let new = match run(value) {
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            let json = value::encode(name, &new)?;
            let done = self.cell.write(|state| {
                // A change of another attribute does not matter; it may be the closure's own.
                if state.log.serial != serial
                    && !before.is_same(&json_of(state, &self.scope, name), &self.scope, name)
                {
                    return Ok(false);
                }
                self.check_size(state, name, json.len())?;
                let f = f.take().expect("the loop ends with it");
                let update: Update = Arc::new(move |name, found| {
                    let found = found.map(|json| value::decode(name, json)).transpose()?;
                    let new = f(found).map_err(|_| ErrorKind::UpdateRefused)?;
                    value::encode(name, &new)
                });
                let over = before.into_snapshot();
                state.log.update(&self.scope, name, update, json, over);
                Ok(true)
            })?;
            if done {
                return Ok(Ok(new));
            }
        }
    }

    /// Removes all attributes. The session stays.
    ///
    /// # Errors
    ///
    /// Those of [`Session`].
    pub fn clear(&self) -> Result<(), Error> {
        self.cell.write_or_nothing(|state| {
            state.log.clear(&self.scope);
            Ok(())
        })
    }

    /// Whether the attributes would grow over the layer's limit.
    fn check_size(&self, state: &State, name: &str, json: usize) -> Result<(), Error> {
        let max = self.cell.inner.config.max_bytes;
        let base = state
            .stored
            .as_ref()
            .map_or(0, |stored| stored.snapshot.body.len());
        let pending = state
            .pending
            .as_ref()
            .map_or(0, |pending| pending.greatest_growth());
        let most = base + pending + state.log.greatest_growth() + name.len() + json + 15;
        if most <= max {
            return Ok(());
        }
        // The quick sum counts replaced values twice; this one is exact.
        let mut log = state.log.clone().into_owned();
        log.set(&self.scope, name, vec![b'0'; json]);
        let exact = log.overlay(&below_log(state)).len();
        if exact <= max {
            return Ok(());
        }
        let detail = format!("{exact} bytes of attributes, {max} are allowed");
        Err(Error::with_detail(ErrorKind::TooLarge, detail))
    }
}
