//! Names of values in plans, records and flags: the `Display` and `FromStr` of their types.

use std::error::Error;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use fileserver::StrategyKind;

use crate::servers::reference::ReferenceServer;

/// Type whose lists may contain `all`.
pub trait Listed: Copy + FromStr<Err: Error + Send + Sync> + Send + Sync + 'static {
    /// Every value.
    const EVERY: &'static [Self];
    /// Values that `all` stands for.
    const ALL: &'static [Self];

    /// Name of the value.
    fn label(self) -> &'static str;
}

impl Listed for StrategyKind {
    const EVERY: &'static [Self] = &StrategyKind::ALL;
    const ALL: &'static [Self] = &StrategyKind::ALL;

    fn label(self) -> &'static str {
        self.name()
    }
}

impl Listed for ReferenceServer {
    const EVERY: &'static [Self] = &ReferenceServer::ALL;
    const ALL: &'static [Self] = &ReferenceServer::ALONE;

    fn label(self) -> &'static str {
        self.name()
    }
}

/// Entry of a list: a value, `all` or, on the command line, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<T> {
    /// One value.
    One(T),
    /// All values.
    All,
    /// No value.
    None,
}

impl<T: Listed> Entry<T> {
    fn parse(name: &str) -> Result<Self, T::Err> {
        match name {
            "all" => Ok(Self::All),
            name => name.parse().map(Self::One),
        }
    }

    /// Parser of a flag's entries, which lists the names in the help.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        let names = T::EVERY.iter().map(|value| value.label());
        PossibleValuesParser::new(names.chain(["all", "none"])).try_map(|name| {
            match name.as_str() {
                "none" => Ok(Self::None),
                name => Self::parse(name),
            }
        })
    }
}

/// Entries of a list of values.
pub fn entries<T: Listed>(values: &[T]) -> Vec<Entry<T>> {
    values.iter().copied().map(Entry::One).collect()
}

/// Values of a list of entries.
pub fn values<T: Listed>(entries: &[Entry<T>]) -> Vec<T> {
    let mut values = Vec::new();
    for entry in entries {
        match entry {
            Entry::One(value) => values.push(*value),
            Entry::All => values.extend(T::ALL),
            Entry::None => {}
        }
    }
    values
}

/// Parser of one value of a flag, which lists the names in the help.
pub fn parser<T: Listed>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::EVERY.iter().map(|value| value.label()))
        .try_map(|name| name.parse())
}

/// Serde form of a value: its name.
pub(crate) mod name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Serde form of a list: the names of its values; `all` is read as well.
pub(crate) mod list {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Entry, Listed, values};

    pub(crate) fn serialize<T: Listed, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| value.label()))
    }

    pub(crate) fn deserialize<'de, T: Listed, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        let entries: Result<Vec<_>, _> = names.iter().map(|name| Entry::parse(name)).collect();
        Ok(values(&entries.map_err(serde::de::Error::custom)?))
    }
}
