use super::Settings;
use super::target::Target;
use crate::SessionLayerBuilder;

impl SessionLayerBuilder {
    /// Takes over what the [`Settings`] say; what they leave out stays as it is. Settings that are
    /// applied later win, so that the environment can go before a file.
    ///
    /// Where anything is said of `transport`, `cookie.*` or `header.*`, all cookies and headers
    /// that were added before are replaced.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, SessionLayer, Settings};
    ///
    /// let mut settings = Settings::default();
    /// settings.set("idle_timeout", "15m")?;
    /// settings.set("cache.entries", "500")?;
    /// let layer = SessionLayer::builder(MemoryStore::new()).settings(&settings).build();
    /// assert!(layer.is_ok());
    /// # Ok::<(), cloakroom::SettingsError>(())
    /// ```
    #[must_use]
    pub fn settings(mut self, settings: &Settings) -> Self {
        let mut target = Target::new(&mut self);
        for reading in settings.readings() {
            (reading.set)(&mut target);
        }
        target.finish();
        self
    }
}
