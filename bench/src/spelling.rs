//! The names by which records and plans spell the types of other crates.

/// Directions: `download`, `upload`.
pub mod direction {
    use loadgen::load::Direction;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The name of a direction.
    pub fn name(direction: Direction) -> &'static str {
        match direction {
            Direction::Download => "download",
            Direction::Upload => "upload",
        }
    }

    /// The direction of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<Direction, String> {
        [Direction::Download, Direction::Upload]
            .into_iter()
            .find(|direction| self::name(*direction) == name)
            .ok_or_else(|| format!("unknown direction '{name}': choose download or upload"))
    }

    pub(crate) fn serialize<S: Serializer>(value: &Direction, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Direction, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Wires that carry load: `http`, `framed`.
pub mod load_wire {
    use fileserver_proto::Wire;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Wire, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wire, D::Error> {
        let name = String::deserialize(from)?;
        [Wire::Http, Wire::Framed].into_iter().find(|wire| wire.name() == name).ok_or_else(|| {
            serde::de::Error::custom(format!("no load over a wire '{name}': choose http or framed"))
        })
    }
}

/// Strategies: as the server's flag spells them.
pub mod strategies {
    use fileserver::StrategyKind;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The strategy of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<StrategyKind, String> {
        StrategyKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known = StrategyKind::ALL.map(StrategyKind::name);
            format!("unknown strategy '{name}': choose from {}", known.join(", "))
        })
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &[StrategyKind],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(value.iter().map(|kind| kind.name()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<StrategyKind>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        names
            .iter()
            .map(|name| parse(name))
            .collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}

/// Real servers: `nginx` and so on, and `all`.
pub mod peers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::peer::{Peer, UnknownPeer};

    /// The servers of a list of names.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(names: &[String]) -> Result<Vec<Peer>, UnknownPeer> {
        let mut peers = Vec::new();
        for name in names {
            match name.as_str() {
                "all" => peers.extend(Peer::ALL),
                name => peers.push(name.parse()?),
            }
        }
        Ok(peers)
    }

    pub(crate) fn serialize<S: Serializer>(value: &[Peer], to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Peer>, D::Error> {
        parse(&Vec::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
