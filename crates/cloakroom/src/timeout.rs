use std::time::Duration;

/// How long a session lasts without use (idle) or in all (absolute).
///
/// The three cases are those of Jarvis' `SessionTimeout`: 0, -1, and a number of minutes.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::Timeout;
///
/// assert_eq!(Timeout::from(Duration::from_secs(90)), Timeout::After(Duration::from_secs(90)));
/// assert_eq!(Timeout::from_minutes(0.5).unwrap(), Timeout::After(Duration::from_secs(30)));
/// assert_eq!(Timeout::from_minutes(0.0).unwrap(), Timeout::Disabled);
/// assert_eq!(Timeout::from_minutes(-1.0).unwrap(), Timeout::Never);
/// assert!(Timeout::from_minutes(-2.0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "off, endless and a duration are all there is"
)]
pub enum Timeout {
    /// No sessions at all: the layer passes requests through.
    Disabled,
    /// The session does not end by this clock; the application ends it.
    Never,
    /// The session ends after so long.
    After(Duration),
}

impl Timeout {
    /// Jarvis' numbers: 0 disables sessions, -1 means never, n > 0 is minutes (fractions allowed).
    ///
    /// # Errors
    ///
    /// [`InvalidMinutes`] for every other number: other negative ones, NaN, infinity, and less than
    /// a millisecond.
    pub fn from_minutes(minutes: f64) -> Result<Self, InvalidMinutes> {
        if minutes == 0.0 {
            return Ok(Self::Disabled);
        }
        if (minutes + 1.0).abs() < f64::EPSILON {
            return Ok(Self::Never);
        }
        match Duration::try_from_secs_f64(minutes * 60.0) {
            Ok(after) if after >= Duration::from_millis(1) => Ok(Self::After(after)),
            _ => Err(InvalidMinutes { minutes }),
        }
    }

    /// The duration, if there is one.
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::After(after) => Some(after),
            Self::Disabled | Self::Never => None,
        }
    }
}

impl From<Duration> for Timeout {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

/// The number is no timeout in Jarvis' sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{minutes} is no timeout: 0 (disabled), -1 (never) or minutes above 0 are allowed")]
#[non_exhaustive]
pub struct InvalidMinutes {
    minutes: f64,
}
