//! Finds numbers that JSON cannot hold.
//!
//! `serde_json` writes NaN and the infinities as `null`, without an error: what is read back is
//! then something else than what was put in, or does not read back at all.

use serde::Serialize;
use serde::ser::{self, Serializer};

/// A float that is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value holds {0}, which JSON cannot: use an `Option` for what has no number")]
pub(crate) struct NonFinite(&'static str);

/// Walks a value as `serde_json` would, and stops at the first float that is not finite.
///
/// Worth its time only where the JSON text has a `null`: every such float leaves one. To be called
/// after that text was made, so that an error of the value's own `Serialize` has been told already
/// and is passed over here.
///
/// # Errors
///
/// [`NonFinite`] if any `f32` or `f64`, however deep, is NaN or infinite.
pub(crate) fn check_finite<T: Serialize + ?Sized>(value: &T) -> Result<(), NonFinite> {
    match value.serialize(Walk) {
        Err(Stop::Found(wrong)) => Err(wrong),
        Ok(()) | Err(Stop::Own) => Ok(()),
    }
}

#[derive(Debug)]
enum Stop {
    Found(NonFinite),
    /// An error of the value's own `Serialize`.
    Own,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found(wrong) => wrong.fmt(f),
            Self::Own => f.write_str("the value refuses to be serialized"),
        }
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self::Own
    }
}

fn finite(value: f64) -> Result<(), Stop> {
    if value.is_finite() {
        return Ok(());
    }
    let name = match value {
        f64::INFINITY => "infinity",
        f64::NEG_INFINITY => "-infinity",
        _ => "NaN",
    };
    Err(Stop::Found(NonFinite(name)))
}

/// A serializer that writes nothing.
#[derive(Clone, Copy)]
struct Walk;

type Walked = Result<(), Stop>;

/// Methods for values that hold no float.
macro_rules! pass {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Walked {
            Ok(())
        })*
    };
}

/// Methods that open a compound value.
macro_rules! open {
    ($($method:ident($($argument:ty),*) -> $compound:ident;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Self::$compound, Stop> {
            Ok(self)
        })*
    };
}

impl Serializer for Walk {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_f32(self, value: f32) -> Walked {
        finite(value.into())
    }

    fn serialize_f64(self, value: f64) -> Walked {
        finite(value)
    }

    pass! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    open! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Walked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Walked {
        value.serialize(self)
    }

    // The default would format the text only for it to be thrown away.
    fn collect_str<T: std::fmt::Display + ?Sized>(self, _: &T) -> Walked {
        Ok(())
    }

    // As serde_json says of itself: types that write themselves in two ways take the same one.
    fn is_human_readable(&self) -> bool {
        true
    }
}

/// Compound values whose parts come without names.
macro_rules! elements {
    ($($name:ident::$method:ident),*) => {
        $(impl ser::$name for Walk {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                value.serialize(*self)
            }

            fn end(self) -> Walked {
                Ok(())
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

/// Compound values whose parts have names.
macro_rules! fields {
    ($($name:ident),*) => {
        $(impl ser::$name for Walk {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Walked {
                value.serialize(*self)
            }

            fn end(self) -> Walked {
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Walk {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked {
        key.serialize(*self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        value.serialize(*self)
    }

    fn end(self) -> Walked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Newtype(f64);

    #[derive(Serialize)]
    struct Tuple(u8, f64);

    #[derive(Serialize)]
    struct Fields<T> {
        name: &'static str,
        value: T,
    }

    #[derive(Serialize)]
    enum Shapes {
        Unit,
        Newtype(f64),
        Tuple(u8, f64),
        Fields { value: f64 },
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Point { x: f64 },
    }

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        inner: Fields<f64>,
    }

    /// What is said of a float behind each shape of serde's data model.
    fn shapes(value: f64) -> Vec<(&'static str, Result<(), NonFinite>)> {
        macro_rules! cases {
            ($($name:literal: $shape:expr,)*) => {
                vec![$(($name, check_finite(&$shape))),*]
            };
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an f32 is one of the shapes"
        )]
        let single = value as f32;
        cases! {
            "f64": value,
            "f32": single,
            "some": Some(Some(value)),
            "seq": vec![1.0, value],
            "nested": vec![vec![], vec![value]],
            "tuple": (1, "a", value),
            "newtype struct": Newtype(value),
            "tuple struct": Tuple(1, value),
            "struct": Fields { name: "a", value },
            "nested struct": Fields { name: "a", value: Fields { name: "b", value: [value] } },
            "newtype variant": Shapes::Newtype(value),
            "tuple variant": Shapes::Tuple(1, value),
            "struct variant": Shapes::Fields { value },
            "internally tagged": Tagged::Point { x: value },
            "flattened": Flat { inner: Fields { name: "a", value } },
            "map value": BTreeMap::from([("a", 1.0), ("b", value)]),
            "map key": Keyed(value),
            "result": Ok::<_, ()>(value),
            "boxed": Box::new(value),
        }
    }

    /// A map with a float for its key, which no map of std allows.
    struct Keyed(f64);

    impl Serialize for Keyed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(self.0, "value")])
        }
    }

    #[test]
    fn a_float_that_is_not_finite_is_found_in_every_shape() {
        let wrong = [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "infinity"),
            (f64::NEG_INFINITY, "-infinity"),
        ];
        for (value, name) in wrong {
            for (shape, checked) in shapes(value) {
                assert_eq!(checked, Err(NonFinite(name)), "{name} in a {shape}");
            }
        }
    }

    #[test]
    fn finite_floats_pass_in_every_shape() {
        for value in [0.0, -0.0, 1.5, f64::MIN_POSITIVE, 3.0e38] {
            for (shape, checked) in shapes(value) {
                assert_eq!(checked, Ok(()), "{value} in a {shape}");
            }
        }
        assert_eq!(check_finite(&f64::MAX), Ok(()));
    }

    #[test]
    fn values_without_floats_pass() {
        assert_eq!(check_finite(&(None::<f64>, (), Unit, Shapes::Unit)), Ok(()));
        assert_eq!(
            check_finite(&(1_u8, 2_i128, 3_u128, -4_i8, 'c', "null", true)),
            Ok(())
        );
        assert_eq!(check_finite("a str"), Ok(()));
        assert_eq!(
            check_finite(&serde_json::json!({"a": [null, 1.5, {"b": "c"}]})),
            Ok(())
        );
        let raw = serde_json::value::to_raw_value(&[None::<u8>]).unwrap();
        assert_eq!(check_finite(&raw), Ok(()));
        assert_eq!(check_finite(&std::net::Ipv4Addr::LOCALHOST), Ok(()));
    }

    #[test]
    fn an_error_of_the_value_itself_is_for_the_writer_to_tell() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(ser::Error::custom("no"))
            }
        }
        assert_eq!(check_finite(&Refuses), Ok(()));
    }

    #[test]
    fn every_float_that_is_not_finite_leaves_a_null_in_the_text() {
        // What callers rely on when they look for `null` before they ask.
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Fields {
                name: "a",
                value: [value],
            })
            .unwrap();
            assert!(text.contains("null"), "{text}");
        }
        assert!(serde_json::to_string(&Keyed(f64::NAN)).is_err());
    }
}
