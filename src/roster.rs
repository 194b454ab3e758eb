//! What is kept for each replica: a map of a few names, looked up with every message.
//!
//! A cluster has at most nine members, so a sorted list is searched faster than a tree, and takes
//! one piece of memory, once.

use alloc::vec::Vec;

use crate::membership::ReplicaId;

/// Values by replica, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Roster<T> {
    list: Vec<(ReplicaId, T)>,
}

impl<T> Roster<T> {
    /// Nothing is kept yet.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// What is kept for the replica.
    #[must_use]
    pub(crate) fn of(&self, replica: ReplicaId) -> Option<&T> {
        self.list.iter().find(|(id, _)| *id == replica).map(|(_, value)| value)
    }

    /// What is kept for the replica, to change it.
    #[must_use]
    pub(crate) fn of_mut(&mut self, replica: ReplicaId) -> Option<&mut T> {
        self.list.iter_mut().find(|(id, _)| *id == replica).map(|(_, value)| value)
    }

    /// Keeps `value` for the replica, in the place of what was kept before.
    pub(crate) fn set(&mut self, replica: ReplicaId, value: T) {
        match self.of_mut(replica) {
            Some(place) => *place = value,
            None => {
                self.add(replica, value);
            }
        }
    }

    /// How many replicas something is kept for.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// What is kept, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReplicaId, &T)> {
        self.list.iter().map(|(id, value)| (*id, value))
    }

    /// Keeps a value for one more replica, and says where.
    #[inline(never)]
    fn add(&mut self, replica: ReplicaId, value: T) -> usize {
        let at = self.list.partition_point(|(id, _)| *id < replica);
        self.list.insert(at, (replica, value));
        at
    }
}

impl<T: Default> Roster<T> {
    /// What is kept for the replica; if there is nothing, what is there by default.
    #[inline]
    pub(crate) fn of_or_default(&mut self, replica: ReplicaId) -> &mut T {
        let known = self.list.iter().position(|(id, _)| *id == replica);
        let at = known.unwrap_or_else(|| self.add(replica, T::default()));
        &mut self.list[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_the_order_of_the_names_whatever_came_first() {
        let mut roster = Roster::new();
        for (id, value) in [(5, 'a'), (2, 'b'), (9, 'c'), (5, 'd')] {
            roster.set(ReplicaId(id), value);
        }
        *roster.of_or_default(ReplicaId(3)) = 'e';
        assert_eq!(roster.of(ReplicaId(5)), Some(&'d'));
        assert_eq!((roster.of(ReplicaId(4)), roster.len()), (None, 4));
        let all = [(2, &'b'), (3, &'e'), (5, &'d'), (9, &'c')].map(|(id, v)| (ReplicaId(id), v));
        assert!(roster.iter().eq(all));
    }
}
