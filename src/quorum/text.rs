//! Quorum systems as text: for command lines, scripts and reports.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use super::QuorumSystem;
use crate::membership::ReplicaId;

/// Why a text names no quorum system.
///
/// ```
/// use synod::quorum::{QuorumSystem, QuorumTextError};
///
/// let wrong: Result<QuorumSystem, QuorumTextError> = "sizes/three/two".parse();
/// assert!(wrong.unwrap_err().to_string().contains("sizes/4/2"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Error)]
#[error(
    "quorums are written as majority, sizes/4/2, weights:1=3,2=1,3=1/3/3 or \
     zones:1+2+3,4+5+6,7+8+9/2/2, the numbers at the end being what prepare and accept need"
)]
pub struct QuorumTextError;

impl FromStr for QuorumSystem {
    type Err = QuorumTextError;

    fn from_str(text: &str) -> Result<Self, QuorumTextError> {
        if text == "majority" {
            return Ok(Self::Majority);
        }
        let mut parts = text.split('/');
        let (Some(kind), Some(prepare), Some(accept), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(QuorumTextError);
        };
        if kind == "sizes" {
            return Ok(Self::Sizes { prepare: number(prepare)?, accept: number(accept)? });
        }
        if let Some(list) = kind.strip_prefix("weights:") {
            let weight = |pair: &str| {
                let (id, weight) = pair.split_once('=').ok_or(QuorumTextError)?;
                Ok((ReplicaId(number(id)?), number(weight)?))
            };
            let weights = list.split(',').map(weight).collect::<Result<_, _>>()?;
            return Ok(Self::Weighted {
                weights,
                prepare: number(prepare)?,
                accept: number(accept)?,
            });
        }
        let list = kind.strip_prefix("zones:").ok_or(QuorumTextError)?;
        let zone = |zone: &str| zone.split('+').map(|id| Ok(ReplicaId(number(id)?))).collect();
        let zones: Vec<Vec<ReplicaId>> = list.split(',').map(zone).collect::<Result<_, _>>()?;
        Ok(Self::Zones { zones, prepare: number(prepare)?, accept: number(accept)? })
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, QuorumTextError> {
    text.parse().map_err(|_| QuorumTextError)
}

/// As [`FromStr`] reads it.
impl fmt::Display for QuorumSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Majority => write!(f, "majority"),
            Self::Sizes { prepare, accept } => write!(f, "sizes/{prepare}/{accept}"),
            Self::Weighted { weights, prepare, accept } => {
                for (i, (id, weight)) in weights.iter().enumerate() {
                    write!(f, "{}{id}={weight}", if i == 0 { "weights:" } else { "," })?;
                }
                write!(f, "/{prepare}/{accept}")
            }
            Self::Zones { zones, prepare, accept } => {
                for (i, zone) in zones.iter().enumerate() {
                    write!(f, "{}", if i == 0 { "zones:" } else { "," })?;
                    for (j, id) in zone.iter().enumerate() {
                        write!(f, "{}{id}", if j == 0 { "" } else { "+" })?;
                    }
                }
                write!(f, "/{prepare}/{accept}")
            }
        }
    }
}
