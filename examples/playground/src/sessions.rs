//! From the options to the session layer.

use std::sync::Arc;

use cloakroom::{
    Cache, MaxAge, MemoryStore, Refusal, Session, SessionCookie, SessionHeader, SessionLayer,
    SessionLayerBuilder,
};

use crate::journal::Journal;
use crate::options::{Carrier, CookieAge, OnCreate, Options};
use crate::refusal;
use crate::start::StartError;

/// Refuses what does not work whatever the store is, before the store is opened: a start that is refused
/// leaves no file behind.
pub(crate) fn check(options: &Options) -> Result<(), StartError> {
    let builder = SessionLayer::builder(MemoryStore::new());
    // The real one warns.
    let quiet = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(quiet, || {
        layer(builder, options, &Journal::shared()).map(drop)
    })
}

/// Applies every option to the builder of the opened store.
pub(crate) fn layer(
    builder: SessionLayerBuilder,
    options: &Options,
    journal: &Arc<Journal>,
) -> Result<SessionLayer, StartError> {
    let mut builder = transports(builder, options)
        .idle_timeout(options.idle)
        .absolute_timeout(options.absolute)
        .retention(options.retention)
        .max_tombstones(options.max_tombstones)
        .superseded_window(options.superseded)
        .cache(cache(options))
        .poll(options.poll)
        .purge(options.purge)
        .commit_at(options.commit)
        .commit_on_server_error(options.commit_on_5xx)
        .save_on_create(options.save_on_create)
        .eager(options.eager)
        .on_shutdown(options.on_shutdown)
        .on_unreadable(options.on_unreadable)
        .affinity(options.affinity)
        .max_bytes(options.max_bytes);
    if let Some(interval) = options.touch {
        builder = builder.touch_interval(interval);
    }
    if let Some(coherence) = options.coherence {
        builder = builder.coherence(coherence);
    }
    if let Some(bound) = options.stale_if_error {
        builder = builder.stale_if_error(bound);
    }
    if let Some(node) = &options.node {
        builder = builder.node(node.clone());
    }
    let journal = Arc::clone(journal);
    hooked(builder, options.on_create)
        .settings(&options.settings)
        .listener(move |event| journal.hear(event))
        .build()
        .map_err(|error| StartError::new(refusal::words(&error, options)))
}

/// The hook of `--on-create`.
fn hooked(builder: SessionLayerBuilder, what: OnCreate) -> SessionLayerBuilder {
    match what {
        OnCreate::None => builder,
        OnCreate::Fill => builder.on_create(async |session: Session| {
            session
                .insert("made_by", "on_create")
                .map_err(|_| Refusal::default())
        }),
        OnCreate::Refuse(status) => {
            builder.on_create(move |_| std::future::ready(Err(Refusal::status(status))))
        }
    }
}

fn transports(mut builder: SessionLayerBuilder, options: &Options) -> SessionLayerBuilder {
    for carrier in &options.transport {
        builder = match carrier {
            Carrier::Cookie => builder.cookie(cookie(options)),
            Carrier::Header => {
                builder.header(SessionHeader::new(options.name.as_deref().unwrap_or("id")))
            }
        };
    }
    builder
}

fn cookie(options: &Options) -> SessionCookie {
    let standard = if options.secure { "__Host-id" } else { "id" };
    let cookie = SessionCookie::new(options.name.as_deref().unwrap_or(standard)).max_age(
        match options.max_age {
            CookieAge::Session => MaxAge::Session,
            CookieAge::Timeout => MaxAge::Timeout,
            CookieAge::For(age) => MaxAge::Fixed(age),
        },
    );
    // Plain http on the own machine is what the playground is for.
    if options.secure {
        cookie
    } else {
        cookie.insecure_without_secure()
    }
}

fn cache(options: &Options) -> Cache {
    let mut cache = match options.cache_entries {
        0 => return Cache::none(),
        entries => Cache::entries(entries).eviction(options.evict),
    };
    if let Some(idle) = options.cache_idle {
        cache = cache.idle(idle);
    }
    if let Some(ttl) = options.cache_ttl {
        cache = cache.ttl(ttl);
    }
    cache
}
