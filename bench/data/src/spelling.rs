//! The names by which records and plans spell the types of other crates.

/// Directions: `download`, `upload`, `echo`.
pub mod direction {
    use loadgen::Direction;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The name of a direction.
    pub fn name(direction: Direction) -> &'static str {
        match direction {
            Direction::Download => "download",
            Direction::Upload => "upload",
            Direction::Echo => "echo",
        }
    }

    /// The direction of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<Direction, String> {
        [Direction::Download, Direction::Upload, Direction::Echo]
            .into_iter()
            .find(|direction| self::name(*direction) == name)
            .ok_or_else(|| format!("unknown direction '{name}': choose download, upload or echo"))
    }

    pub(crate) fn serialize<S: Serializer>(value: &Direction, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Direction, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Wires that carry load: `http`, `framed`, `text`.
pub mod load_wire {
    use fileserver_proto::Wire;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The wire of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<Wire, String> {
        [Wire::Http, Wire::Framed, Wire::Text]
            .into_iter()
            .find(|wire| wire.name() == name)
            .ok_or_else(|| {
                format!(
                    "no load over a wire '{name}': choose http, framed, or text for --service echo"
                )
            })
    }

    pub(crate) fn serialize<S: Serializer>(value: &Wire, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wire, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Ways to send a file: as the server's flag spells them.
pub mod send_path {
    use fileserver::SendPath;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The path of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<SendPath, String> {
        SendPath::ALL.into_iter().find(|path| path.name() == name).ok_or_else(|| {
            let known = SendPath::ALL.map(SendPath::name);
            format!("unknown send path '{name}': choose from {}", known.join(", "))
        })
    }

    pub(crate) fn serialize<S: Serializer>(value: &SendPath, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SendPath, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// The generator's engines: `auto`, `epoll`, `uring`.
pub mod engine {
    use loadgen::{Engine, EngineChoice};
    use serde::{Deserialize, Deserializer, Serializer};

    const AUTO: &str = "auto";

    /// The engine of a name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(name: &str) -> Result<EngineChoice, String> {
        let known = [Engine::Epoll, Engine::Uring].into_iter().find(|one| one.name() == name);
        match known {
            Some(engine) => Ok(EngineChoice::Only(engine)),
            None if name == AUTO => Ok(EngineChoice::Auto),
            None => Err(format!("unknown engine '{name}': choose epoll, uring or {AUTO}")),
        }
    }

    pub(crate) fn serialize<S: Serializer>(value: &EngineChoice, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match value {
            EngineChoice::Auto => AUTO,
            EngineChoice::Only(engine) => engine.name(),
        })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<EngineChoice, D::Error> {
        parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
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

    /// The strategies of a list of names, in which `all` stands for every one.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse_all(names: &[String]) -> Result<Vec<StrategyKind>, String> {
        let mut kinds = Vec::new();
        for name in names {
            match name.as_str() {
                "all" => kinds.extend(StrategyKind::ALL),
                name => kinds.push(parse(name)?),
            }
        }
        Ok(kinds)
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
        parse_all(&Vec::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Real servers: `nginx` and so on, and `all`.
pub mod peers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::servers::reference::{ReferenceServer, UnknownReferenceServer};

    /// The servers of a list of names.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn parse(names: &[String]) -> Result<Vec<ReferenceServer>, UnknownReferenceServer> {
        let mut peers = Vec::new();
        for name in names {
            match name.as_str() {
                "all" => peers.extend(ReferenceServer::ALONE),
                name => peers.push(name.parse()?),
            }
        }
        Ok(peers)
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &[ReferenceServer],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<ReferenceServer>, D::Error> {
        parse(&Vec::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
