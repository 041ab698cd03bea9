use std::sync::Arc;

use cloakroom_core::SessionStore;
use tower_layer::Layer;

use crate::inner::Inner;
use crate::session::Scope;
use crate::slot::Slot;
use crate::{SessionLayerBuilder, SessionManager, SessionService};

/// The tower layer that gives handlers their [`Session`](crate::Session).
///
/// It has no type parameter for its store. Clones share everything: one L1, one housekeeper.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use cloakroom::{MemoryStore, Session, SessionLayer};
///
/// async fn count(session: Session) -> Result<String, cloakroom::Error> {
///     let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(n.to_string())
/// }
///
/// let sessions = SessionLayer::builder(MemoryStore::new()).build()?;
/// let app: Router = Router::new().route("/", get(count)).layer(sessions);
/// # Ok::<(), cloakroom::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer {
    manager: SessionManager,
    slot: Slot,
}

impl SessionLayer {
    /// Begins a layer over this store, with safe defaults.
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder::new(store)
    }

    pub(crate) fn new(inner: Arc<Inner>, slot: Slot) -> Self {
        Self {
            manager: SessionManager::new(inner),
            slot,
        }
    }

    /// What looks after the sessions of this layer.
    pub fn manager(&self) -> &SessionManager {
        &self.manager
    }

    /// A layer that shares this one's sessions, under attributes of its own: one id, one cookie,
    /// one commit; what one scope stores is invisible in the others; renew and destroy act on all.
    /// Its handle is extracted as [`Tagged<T>`](crate::Tagged). Jetty's contexts with a shared
    /// `SessionIdManager`.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, SessionLayer};
    ///
    /// struct Shop;
    ///
    /// let sessions = SessionLayer::builder(MemoryStore::new()).build()?;
    /// let shop = sessions.scope::<Shop>("shop");
    /// # Ok::<(), cloakroom::BuildError>(())
    /// ```
    #[must_use]
    pub fn scope<T: 'static>(&self, name: &str) -> Self {
        let inner = Arc::clone(self.manager.inner());
        inner
            .scoped
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let slot = self
            .slot
            .clone()
            .retag::<T>()
            .rescope(Scope(Some(name.into())));
        Self::new(inner, slot)
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, service: S) -> Self::Service {
        let inner = Arc::clone(self.manager.inner());
        inner.keep_house();
        SessionService::new(service, inner, self.slot.clone())
    }
}
