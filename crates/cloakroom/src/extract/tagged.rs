use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use http::request::Parts;

use crate::{Error, Session};

/// The session of a layer that was built with [`tag`](crate::SessionLayerBuilder::tag), so that one
/// application can have several.
///
/// ```
/// use cloakroom::{Session, Tagged};
///
/// struct Admin;
///
/// async fn handler(visitor: Session, admin: Tagged<Admin>) -> Result<String, cloakroom::Error> {
///     let name: Option<String> = admin.get("name")?;
///     Ok(format!("{:?} {:?}", visitor.id(), name))
/// }
/// ```
pub struct Tagged<T> {
    session: Session,
    tag: PhantomData<fn() -> T>,
}

impl<T: 'static> Tagged<T> {
    /// As [`Session::load`], for the layer with this tag.
    ///
    /// # Errors
    ///
    /// Those of [`Session::load`].
    pub async fn load(parts: &Parts) -> Result<Self, Error> {
        Ok(Self {
            session: Session::load_tagged::<T>(parts).await?,
            tag: PhantomData,
        })
    }
}

impl<T> Tagged<T> {
    /// The plain handle.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }
}

impl<T> Deref for Tagged<T> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<T> Clone for Tagged<T> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            tag: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tagged").field(&self.session).finish()
    }
}
