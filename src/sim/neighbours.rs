//! Who else is on the network: strangers, and a second cluster whose replicas have the same names.

use std::boxed::Box;

use crate::membership::ClusterId;
use crate::quorum::QuorumSystem;

use super::cluster::Cluster;
use super::driver::{Driver, Happening};
use super::host::{DiskKind, Settings};
use super::network::{Condition, Envelope, Payload};
use super::oracle::Broken;
use super::weather::Weather;
use crate::membership::ReplicaId;

/// How many replicas the second cluster has, and how often a command is proposed there.
const REPLICAS: usize = 3;
const PROPOSE_EVERY_MICROS: u64 = 20_000;

impl Driver {
    /// Brings up a second cluster on the same network. What it is made of follows from the first.
    pub(super) fn begin_neighbour(
        &mut self,
        settings: &Settings,
        text: bool,
    ) -> Result<(), Broken> {
        // The same names on the same network, but never the same disks.
        let seed = !settings.seed;
        let (replicas, disk) = (REPLICAS, DiskKind::Journal);
        let mut settings = Settings { replicas, disk, formed: true, seed, ..settings.clone() };
        settings.config.quorums = QuorumSystem::Majority;
        let name = ClusterId(*b"the other one\0\0\0");
        let mut neighbour = Self::new(Cluster::named(name, &settings, text), seed);
        neighbour.keeps_history = true;
        let propose_every_micros = Some(PROPOSE_EVERY_MICROS);
        neighbour.set_weather(Weather { propose_every_micros, ..Weather::FAIR });
        (0..REPLICAS).try_for_each(|at| neighbour.start(at))?;
        self.keeps_history = true;
        self.neighbour = Some(Box::new(neighbour));
        Ok(())
    }

    /// Frames of the past go astray, each to a replica of the other cluster.
    pub(super) fn exchange(&mut self) -> Result<(), Broken> {
        let Some(mut neighbour) = self.neighbour.take() else { return Ok(()) };
        neighbour.run_for(self.cluster.now_micros - neighbour.cluster.now_micros)?;
        if let Some(envelope) = self.gone_astray(&neighbour) {
            self.cluster.faults.foreign_frames += 1;
            self.at(0, Happening::Arrives(envelope));
        }
        if let Some(envelope) = neighbour.gone_astray(self) {
            neighbour.at(0, Happening::Arrives(envelope));
        }
        self.neighbour = Some(neighbour);
        Ok(())
    }

    /// A frame that was sent in the other cluster, on its way to a replica of this one.
    fn gone_astray(&mut self, other: &Self) -> Option<Envelope> {
        let index = self.below(other.history.len() as u64) as usize;
        let Envelope { from, payload, .. } = other.history.get(index)?.clone();
        let Payload::Frame { bytes, .. } = payload else { return None };
        let to = ReplicaId(1 + self.below(self.starts.len() as u64) as u32);
        Some(Envelope {
            number: 0,
            from,
            to,
            payload: Payload::Frame { bytes, condition: Condition::Foreign },
        })
    }

    /// The second cluster, if there is one, is as well as the first.
    pub(super) fn prove_neighbour(&mut self) -> Result<(), Broken> {
        let Some(mut neighbour) = self.neighbour.take() else { return Ok(()) };
        neighbour.heal_and_prove_life()?;
        neighbour.finish()?;
        self.cluster.trace.add(neighbour.cluster.trace.hash());
        Ok(())
    }

    /// A message of a stranger arrives somewhere.
    pub(super) fn stranger(&mut self) -> Result<(), Broken> {
        let to = self.below(self.starts.len() as u64) as usize;
        if self.cluster.hosts[to].frozen {
            return Ok(());
        }
        let (cluster, random) = self.cluster_and_chance();
        if cluster.meet_stranger(to, random)? {
            self.cluster.faults.strangers += 1;
        }
        Ok(())
    }
}
