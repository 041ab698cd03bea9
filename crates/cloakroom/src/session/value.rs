//! Between Rust values and the JSON text of an attribute.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::finite::check_finite;
use crate::{Error, ErrorKind};

/// The greatest length of an attribute's name in bytes.
const MAX_NAME: usize = 255;

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if (1..=MAX_NAME).contains(&name.len()) {
        Ok(())
    } else {
        Err(ErrorKind::InvalidAttribute.into())
    }
}

pub(super) fn encode<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<Vec<u8>, Error> {
    let refused = || Error::with_detail(ErrorKind::Encode, name.to_owned());
    let json = serde_json::to_vec(value).map_err(|error| refused().caused_by(error))?;
    // serde_json writes NaN and the infinities as null, which would come back as something else.
    if json.windows(4).any(|four| four == b"null") {
        check_finite(value).map_err(|error| refused().caused_by(error))?;
    }
    Ok(json)
}

pub(super) fn decode<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json)
        .map_err(|error| Error::with_detail(ErrorKind::Decode, name.to_owned()).caused_by(error))
}
