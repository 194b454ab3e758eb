//! The simulated cluster: real replicas on simulated disks, turned by the one law, *drain before
//! you wait*, under the eyes of the oracles.

use std::boxed::Box;
use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use crate::ballot::Ballot;
use crate::entry::CommandId;
use crate::fragment::Courier;
use crate::membership::{ClusterId, Incarnation, Member, Membership, Peer, ReplicaId};
use crate::message::Message;
use crate::quorum::Quorums;
use crate::record::Record;
use crate::replica::{Consistency, ProposeError, Replica, Role};
use crate::slot::Slot;
use crate::time::Instant;

use super::cuts::Cuts;
use super::disk::{Disk, Journal};
use super::faults::Faults;
use super::host::{DiskKind, Host, Identity, Settings};
use super::marks::Marks;
use super::network::{Condition, Envelope, Payload};
use super::oracle::{Broken, Oracle, broken, index_of};
use super::outputs::frame;
use super::record::{Happened, Loss, Recorder};
use super::service::Service;
use super::simulation::Simulation;
use super::text;
use super::trace::Trace;
use super::wal_disk::WalDisk;

/// The cluster, its oracles and its trace.
pub(crate) struct Cluster {
    pub(crate) hosts: Vec<Host>,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) cuts: Cuts,
    /// The cluster's clock, in microseconds.
    pub(crate) now_micros: u64,
    /// How many inputs were given.
    pub(crate) steps: u64,
    /// What was sent since the network was last looked at.
    pub(crate) outbox: Vec<Envelope>,
    pub(crate) slow_machines: bool,
    /// How many messages were sent.
    pub(crate) sent: u64,
    /// When an election was begun last.
    pub(crate) prepared_micros: u64,
    /// How many elections were won.
    pub(crate) leading: u64,
    /// The name of the cluster on every frame.
    pub(crate) cluster: ClusterId,
    frame_bytes_max: Option<usize>,
    pub(crate) marks: Marks,
    /// The state machines, and what their clients saw.
    pub(crate) service: Box<dyn Service>,
    pub(crate) faults: Faults,
    /// The host whose disk rots.
    pub(crate) rotten: Option<usize>,
    /// Whether a replica may stop for good: after its disk was wiped, swapped or set back.
    pub(crate) may_halt: bool,
    /// What a recorded run keeps.
    pub(crate) recorder: Option<Box<Recorder>>,
    /// The links that were cut when somebody looked last.
    pub(crate) seen_cuts: Vec<(usize, usize)>,
    /// Hosts whose replicas have stopped by themselves since somebody last looked.
    pub(crate) stopped: Vec<usize>,
}

impl Cluster {
    /// A cluster of hosts that are all down.
    pub(crate) fn new(settings: &Settings, text: bool) -> Self {
        Self::named(ClusterId(*b"simulated\0\0\0\0\0\0\0"), settings, text)
    }

    /// A cluster of that name.
    pub(crate) fn named(cluster: ClusterId, settings: &Settings, text: bool) -> Self {
        let n = settings.replicas;
        let ids: Vec<ReplicaId> = (1..=n as u32).map(ReplicaId).collect();
        let disk = |id: &ReplicaId| match settings.disk {
            DiskKind::Journal => Journal::boxed(cluster, *id, settings.seed),
            DiskKind::Wal => WalDisk::boxed(cluster, *id, settings.seed, settings.formed),
        };
        let mut disks: Vec<Box<dyn Disk>> = ids.iter().map(disk).collect();
        let names = ids.iter().zip(disks.iter().map(|disk| disk.id()));
        let members: Vec<Member> =
            names.map(|(replica, disk)| Member { replica: *replica, disk }).collect();
        let quorums = Quorums::new(&settings.config.quorums, &ids).expect("settings were checked");
        let mut oracle = Oracle::new(quorums);
        if settings.formed {
            let members = Membership::with_quorums(members.clone(), quorums).expect("so many");
            let records = [Record::Members { members: members.clone() }, Record::Formed];
            disks.iter_mut().for_each(|disk| disk.install(&records));
            (0..n).for_each(|at| oracle.on_installed(at, &members));
        }
        let host = |(member, disk): (Member, Box<dyn Disk>)| {
            let id = member.replica;
            let config = settings.config_of(id, &ids);
            Host {
                replica: None,
                peer: Peer { replica: id, disk: member.disk, incarnation: Incarnation(0) },
                disk,
                courier: None,
                config,
                ahead_micros: 1_000_000,
                drift_millionths: 0,
                jumped_micros: 0,
                frozen: false,
                latest: Instant::ZERO,
                wake: None,
                prepared: None,
                asked: false,
                prefers: None,
                urged: false,
                machine: Vec::new(),
                told_applied: Slot::ZERO,
                unsynced: VecDeque::new(),
                chosen: Slot::ZERO,
                identity: Identity::Own,
                given_up: false,
                heard: std::vec![Incarnation(0); n],
            }
        };
        Self {
            hosts: members.into_iter().zip(disks).map(host).collect(),
            oracle,
            trace: Trace::new(text),
            cuts: Cuts::none(n),
            now_micros: 0,
            steps: 0,
            outbox: Vec::new(),
            slow_machines: settings.slow_machines,
            sent: 0,
            prepared_micros: 0,
            leading: 0,
            cluster,
            frame_bytes_max: settings.frame_bytes_max,
            marks: Marks::default(),
            service: Simulation::registers().service(n, settings.seed),
            faults: Faults::default(),
            rotten: None,
            may_halt: false,
            recorder: None,
            seen_cuts: Vec::new(),
            stopped: Vec::new(),
        }
    }

    /// The cluster's name, which every frame carries.
    pub(crate) fn name(&self) -> ClusterId {
        self.cluster
    }

    /// The time that the host tells its replica now.
    pub(crate) fn local(&self, at: usize) -> Instant {
        self.hosts[at].time(self.now_micros)
    }

    /// When the host wants to be woken, by its clock.
    pub(crate) fn wake(&self, at: usize) -> Option<Instant> {
        let host = &self.hosts[at];
        host.replica.as_ref()?;
        let courier = host.courier.as_ref().and_then(Courier::wake);
        host.wake.into_iter().chain(courier).min()
    }

    /// Whether the host is up.
    pub(crate) fn is_up(&self, at: usize) -> bool {
        self.hosts[at].replica.is_some()
    }

    /// Starts a host that is down. Does nothing to one that is up.
    pub(crate) fn start(&mut self, at: usize) -> Result<(), Broken> {
        if self.is_up(at) {
            return Ok(());
        }
        if !self.may_start(at) {
            return Ok(());
        }
        self.begin(0, at);
        self.hosts[at].forget_time();
        let now = self.local(at);
        let recovered = match self.hosts[at].disk.open() {
            Ok(recovered) => recovered,
            Err(error) => return self.on_start_refused(at, &error),
        };
        self.on_recovered(at, &recovered)?;
        self.line(at, || format!("starts, {:?}", recovered.me.incarnation));
        let (replica, incarnation) = (recovered.me.replica, recovered.me.incarnation);
        self.happens(|| Happened::Started { replica, incarnation });
        let host = &mut self.hosts[at];
        (host.machine, host.told_applied, host.chosen) = (Vec::new(), Slot::ZERO, recovered.chosen);
        self.service.start(at);
        host.courier = match self.frame_bytes_max {
            Some(most) => match Courier::new(self.cluster, host.peer, most) {
                Ok(courier) => Some(courier),
                Err(error) => return broken("START", format!("no courier: {error}")),
            },
            None => None,
        };
        match Replica::new(host.config.clone(), recovered, now) {
            Ok(replica) => host.replica = Some(replica),
            Err(error) => return broken("START", format!("{} does not start: {error}", at + 1)),
        }
        self.drain(at)
    }

    /// The host loses its power. `luck` decides how much of what was not synced is kept.
    pub(crate) fn crash(&mut self, at: usize, luck: u64) {
        if !self.is_up(at) {
            return;
        }
        self.begin(1, at);
        self.faults.crashes += 1;
        self.trace.add(luck);
        self.line(at, || String::from("crashes"));
        self.put_down(at);
        self.hosts[at].disk.crash(luck);
    }

    /// The host's replica is no more; what its clients wait for stays unknown.
    pub(crate) fn put_down(&mut self, at: usize) {
        if !self.is_up(at) {
            return;
        }
        self.happens_crashed(at);
        let host = &mut self.hosts[at];
        (host.replica, host.wake, host.prepared) = (None, None, None);
        (host.prefers, host.urged) = (None, false);
        self.marks.stopped += self.service.stop(host.peer);
    }

    /// A record on the disk of a host that is down goes bad. Only one host may rot, and only
    /// where the others can go on without it: what two have lost can be lost for good.
    pub(crate) fn rot(&mut self, at: usize, luck: u64) {
        let lost = self.hosts.iter().any(|host| host.identity != Identity::Own);
        let others = (0..self.hosts.len()).filter(|other| *other != at);
        if self.is_up(at)
            || lost
            || !self.oracle.can_go_on(others)
            || *self.rotten.get_or_insert(at) != at
        {
            return;
        }
        self.begin(6, at);
        self.faults.rotten_records += 1;
        self.trace.add(luck);
        self.line(at, || String::from("rots"));
        self.happens(|| Happened::Rotted { replica: ReplicaId(at as u32 + 1) });
        // What only this disk knows to be chosen is lost with the mark that says so: whoever asks
        // for it hears that it is settled, and nobody has it.
        let known = self.oracle.mark_of_others(at);
        self.hosts[at].disk.rot(luck, known);
    }

    /// Gives what is under way to its receiver, without draining it. Nothing happens if it is down
    /// or cut off.
    pub(crate) fn hand_over(&mut self, envelope: &Envelope) -> Result<(), Broken> {
        let (from, to) = (index_of(envelope.from.replica), index_of(envelope.to));
        let foreign =
            matches!(envelope.payload, Payload::Frame { condition: Condition::Foreign, .. });
        // Where the other cluster's replicas are nobody knows, so no link to them is cut.
        if !self.is_up(to) || (!foreign && self.cuts.is_cut(from, to)) {
            self.faults.unreachable += 1;
            self.happens_lost(envelope, if self.is_up(to) { Loss::Cut } else { Loss::Down });
            return Ok(());
        }
        match &envelope.payload {
            Payload::Message(message) => {
                self.happens_arrived(envelope.number, envelope.from.replica, to, message);
                self.hand_message(to, envelope.from, message.clone());
                Ok(())
            }
            Payload::Frame { bytes, condition } => {
                let now = self.local(to);
                let host = &mut self.hosts[to];
                let (peer, outbox) = (host.peer, &mut self.outbox);
                let Some(courier) = &mut host.courier else { return Ok(()) };
                let mut emit = |to, bytes: &[u8]| outbox.push(frame(peer, to, bytes));
                match courier.receive(now, bytes.clone(), &mut emit) {
                    Err(error) => {
                        self.happens_lost(envelope, Loss::Damage);
                        self.on_frame_refused(to, *condition, error)
                    }
                    Ok(_) if foreign => {
                        broken("STRANGER", format!("{} takes a frame of another cluster", to + 1))
                    }
                    Ok(Some((from, message))) => {
                        self.oracle.wire_was_sent(from, to, &message)?;
                        self.happens_arrived(envelope.number, from.replica, to, &message);
                        self.hand_message(to, from, message);
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                }
            }
        }
    }

    fn hand_message(&mut self, to: usize, from: Peer, message: Message) {
        self.begin(2, to);
        let now = self.local(to);
        self.oracle.on_deliver(from, to, &message);
        self.hear(to, from);
        self.line(to, || format!("<- {}: {}", from.replica, text::message(&message)));
        self.hosts[to].urged |= matches!(message, Message::HandOver(_));
        if let Some(replica) = &mut self.hosts[to].replica {
            replica.handle_message(now, from, message);
        }
    }

    /// Gives what is under way to its receiver.
    pub(crate) fn deliver(&mut self, envelope: &Envelope) -> Result<(), Broken> {
        self.hand_over(envelope)?;
        self.drain(index_of(envelope.to))
    }

    /// Tells a replica that its time may have come.
    pub(crate) fn tick(&mut self, at: usize) -> Result<(), Broken> {
        if !self.is_up(at) {
            return Ok(());
        }
        self.begin(3, at);
        let now = self.local(at);
        self.trace.add(now);
        self.line(at, || format!("ticks at {now}"));
        let host = &mut self.hosts[at];
        let (peer, outbox) = (host.peer, &mut self.outbox);
        if let Some(courier) = &mut host.courier {
            courier.handle_timeout(now, &mut |to, bytes| outbox.push(frame(peer, to, bytes)));
        }
        if let Some(replica) = &mut host.replica {
            replica.handle_timeout(now);
        }
        self.drain(at)?;
        if let Some(wake) = self.wake(at)
            && wake <= now
        {
            return broken("BOUND", format!("{} wants to be woken at {wake}, it is {now}", at + 1));
        }
        Ok(())
    }

    /// Proposes a command of about this length at a replica, for the run itself.
    pub(crate) fn propose(
        &mut self,
        at: usize,
        bytes: usize,
    ) -> Result<Result<CommandId, ProposeError>, Broken> {
        if !self.is_up(at) {
            return Ok(Err(ProposeError::Halted));
        }
        let command = self.service.command(0, bytes).into();
        Ok(self.propose_as(0, at, command)?.map(|(id, _)| id))
    }

    /// Proposes a client's command at a replica: its name, and its index in the history.
    pub(crate) fn propose_as(
        &mut self,
        client: usize,
        at: usize,
        command: Bytes,
    ) -> Result<Result<(CommandId, usize), ProposeError>, Broken> {
        let now = self.local(at);
        let host = &mut self.hosts[at];
        let able = host.is_sound() && !host.frozen;
        let Some(replica) = host.replica.as_mut().filter(|_| able) else {
            return Ok(Err(ProposeError::Halted));
        };
        let proposed = replica.propose(now, &command);
        self.begin(4, at);
        let bytes = command.len();
        self.line(at, || format!("is proposed {bytes} bytes by {client}: {proposed:?}"));
        self.marks.full += u64::from(proposed == Err(ProposeError::Full));
        let id = match proposed {
            Ok(id) => id,
            Err(error) => {
                self.drain(at)?;
                return Ok(Err(error));
            }
        };
        self.trace.add(id);
        let peer = self.hosts[at].peer;
        if id.replica != peer.replica || id.incarnation != peer.incarnation {
            return broken("FATE", format!("{} names a command {id:?}", at + 1));
        }
        self.oracle.on_submit(id, &command)?;
        self.happens(|| Happened::Proposed { replica: id.replica, bytes });
        let operation = self.service.invoke(client, id, command)?;
        self.drain(at)?;
        Ok(Ok((id, operation)))
    }

    /// Asks a replica for a linearizable read. Its number, if it was taken in.
    pub(crate) fn read(&mut self, at: usize) -> Result<Option<u64>, Broken> {
        let now = self.local(at);
        let host = &mut self.hosts[at];
        let able = host.is_sound() && !host.frozen;
        let Some(replica) = host.replica.as_mut().filter(|_| able) else { return Ok(None) };
        let asked = replica.read(now, Consistency::Linearizable);
        let peer = host.peer;
        self.begin(7, at);
        self.line(at, || format!("is asked to read: {asked:?}"));
        if let Ok(read) = asked {
            self.oracle.on_read_asked(peer, read)?;
        }
        self.drain(at)?;
        Ok(asked.ok())
    }

    /// Begins a sync on a host, if one is due and may run: says by which number it ends.
    pub(crate) fn start_sync(&mut self, at: usize) -> Result<Option<u64>, Broken> {
        if !self.is_up(at) {
            return Ok(None);
        }
        match self.hosts[at].disk.start_sync() {
            Ok(number) => {
                if number.is_some() {
                    self.happens(|| Happened::SyncBegan { replica: ReplicaId(at as u32 + 1) });
                }
                Ok(number)
            }
            Err(error) => self.on_log_failed(at, &error).map(|()| None),
        }
    }

    /// Ends a sync that runs on a host: the one of that number, or the one that began first.
    pub(crate) fn finish_sync(&mut self, at: usize, number: Option<u64>) -> Result<(), Broken> {
        if !self.is_up(at) {
            return Ok(());
        }
        let upto = match self.hosts[at].disk.finish_sync(number) {
            Ok(Some(upto)) => upto,
            Ok(None) => return Ok(()),
            Err(error) => return self.on_log_failed(at, &error),
        };
        self.begin(5, at);
        self.trace.add(upto);
        self.line(at, || format!("has synced {upto}"));
        self.happens(|| Happened::Synced { replica: ReplicaId(at as u32 + 1), upto });
        while self.hosts[at].unsynced.front().is_some_and(|first| first.0 <= upto) {
            if let Some((lsn, record, chosen)) = self.hosts[at].unsynced.pop_front() {
                self.durable(at, lsn, &record, chosen)?;
            }
        }
        let now = self.local(at);
        if let Some(replica) = &mut self.hosts[at].replica {
            replica.handle_persisted(now, upto);
        }
        self.drain(at)
    }

    /// Begins and ends a sync on a host.
    pub(crate) fn sync(&mut self, at: usize) -> Result<(), Broken> {
        self.start_sync(at)?;
        self.finish_sync(at, None)
    }

    /// Reports everything that was handed to a host's state machine as applied.
    pub(crate) fn apply(&mut self, at: usize) -> Result<(), Broken> {
        if !self.is_up(at) || !self.tell_applied(at) {
            return Ok(());
        }
        self.drain(at)
    }

    pub(crate) fn tell_applied(&mut self, at: usize) -> bool {
        let now = self.local(at);
        let host = &mut self.hosts[at];
        let upto = Slot(host.machine.len() as u64);
        let Some(replica) = host.replica.as_mut().filter(|_| host.told_applied < upto) else {
            return false;
        };
        host.told_applied = upto;
        replica.handle_applied(now, upto);
        true
    }

    pub(crate) fn begin(&mut self, what: u8, at: usize) {
        self.steps += 1;
        self.trace.add((what, at));
    }

    pub(crate) fn line(&mut self, at: usize, line: impl FnOnce() -> String) {
        let now = self.now_micros;
        self.trace.line(|| format!("{:>4}.{:03}ms {} {}", now / 1000, now % 1000, at + 1, line()));
    }

    /// A replica that leads, by its own word.
    pub(crate) fn leader(&self) -> Option<(usize, Ballot)> {
        let leaders = self.hosts.iter().enumerate().filter_map(|(at, host)| {
            let status = host.replica.as_ref()?.status();
            (status.role == Role::Leading).then_some((at, status.leader?))
        });
        leaders.max_by_key(|(_, ballot)| *ballot)
    }

    /// The replica that leads, by its own word, at the highest ballot, if it has proposed something
    /// that it does not know chosen.
    pub(crate) fn busy_leader(&self) -> Option<usize> {
        let (leader, _) = self.leader()?;
        let status = self.hosts[leader].replica.as_ref()?.status();
        (status.open_slots > 0).then_some(leader)
    }

    /// Whether something was handed to the host's state machine that is not reported applied.
    pub(crate) fn has_to_apply(&self, at: usize) -> bool {
        let host = &self.hosts[at];
        host.replica.is_some() && host.told_applied.0 < host.machine.len() as u64
    }

    /// Whether every host that is up is formed.
    pub(crate) fn is_formed(&self) -> bool {
        let sound = self.hosts.iter().filter(|host| host.is_sound());
        let mut up = sound.filter_map(|host| host.replica.as_ref());
        up.all(|replica| replica.status().role != Role::Forming)
    }

    /// How long a silent leader is believed to live.
    pub(crate) fn election_timeout_micros(&self) -> u64 {
        self.hosts
            .iter()
            .map(|host| host.config.election_timeout.as_micros() as u64)
            .max()
            .unwrap_or(0)
    }

    /// One line on every replica.
    pub(crate) fn summary(&self) -> String {
        let lines = self.hosts.iter().enumerate().map(|(at, host)| {
            let Some(replica) = &host.replica else { return format!("{}: down", at + 1) };
            let status = replica.status();
            format!(
                "{}: {:?} promised {} leader {} chosen {} applied {} open {} ignored {:?}",
                at + 1,
                status.role,
                status.promised,
                status.leader.unwrap_or_default(),
                status.chosen,
                status.applied,
                status.open_slots,
                status.ignored
            )
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}
