//! The stage's consumer group: seats, generations, and who owns which family of partitions.

use std::collections::{BTreeMap, VecDeque};

use super::dice::Dice;

/// What the group tells a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
    /// The seat is taken away, and all families with it.
    Lost,
}

/// Why a commit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Stale,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Of(u64),
    Leaving(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Group {
    generation: u32,
    /// The generation that each member knows.
    seats: BTreeMap<u64, u32>,
    owners: Vec<Owner>,
    mail: BTreeMap<u64, VecDeque<Notice>>,
    next_seat: u64,
}

impl Group {
    pub fn new(families: i32) -> Self {
        Self {
            generation: 0,
            seats: BTreeMap::new(),
            owners: (0..families).map(|_| Owner::Nobody).collect(),
            mail: BTreeMap::new(),
            next_seat: 0,
        }
    }

    pub fn join(&mut self) -> u64 {
        let seat = self.next_seat;
        self.next_seat += 1;
        self.generation += 1;
        self.seats.insert(seat, self.generation);
        seat
    }

    /// The member leaves, or has not been heard of for too long.
    pub fn remove(&mut self, seat: u64) {
        if self.seats.remove(&seat).is_some() {
            self.generation += 1;
            for owner in &mut self.owners {
                if matches!(*owner, Owner::Of(of) | Owner::Leaving(of) if of == seat) {
                    *owner = Owner::Nobody;
                }
            }
            self.mail.entry(seat).or_default().push_back(Notice::Lost);
        }
    }

    /// A restarted member of the same name takes the seat of the old one, with all that it had.
    pub fn take_over(&mut self, old: u64) -> Option<u64> {
        self.seats.remove(&old)?;
        self.mail.entry(old).or_default().push_back(Notice::Lost);
        let seat = self.next_seat;
        self.next_seat += 1;
        self.seats.insert(seat, self.generation);
        let mut families = Vec::new();
        for (family, owner) in (0..).zip(&mut self.owners) {
            if matches!(*owner, Owner::Of(of) | Owner::Leaving(of) if of == old) {
                *owner = Owner::Of(seat);
                families.push(family);
            }
        }
        self.mail.entry(seat).or_default().push_back(Notice::Assigned(families));
        Some(seat)
    }

    pub fn seats(&self) -> Vec<u64> {
        self.seats.keys().copied().collect()
    }

    pub fn has_seat(&self, seat: u64) -> bool {
        self.seats.contains_key(&seat)
    }

    pub fn free(&self) -> Vec<i32> {
        (0..)
            .zip(&self.owners)
            .filter(|(_, owner)| **owner == Owner::Nobody)
            .map(|(family, _)| family)
            .collect()
    }

    pub fn owned(&self) -> Vec<i32> {
        (0..).zip(&self.owners).filter(|(_, o)| matches!(o, Owner::Of(_))).map(|(family, _)| family).collect()
    }

    /// Deals the free families out among these seats.
    pub fn deal(&mut self, among: &[u64], dice: &mut Dice) {
        let mut dealt: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
        for family in self.free() {
            if let Some(seat) = dice.of(among) {
                self.owners[family as usize] = Owner::Of(seat);
                dealt.entry(seat).or_default().push(family);
            }
        }
        self.generation += u32::from(!dealt.is_empty());
        for (seat, families) in dealt {
            self.mail.entry(seat).or_default().push_back(Notice::Assigned(families));
        }
    }

    /// These are to go elsewhere, as soon as their owners let them go.
    pub fn revoke(&mut self, families: &[i32]) {
        let mut from: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
        for family in families {
            if let Owner::Of(seat) = self.owners[*family as usize] {
                self.owners[*family as usize] = Owner::Leaving(seat);
                from.entry(seat).or_default().push(*family);
            }
        }
        for (seat, families) in from {
            self.mail.entry(seat).or_default().push_back(Notice::Revoked(families));
        }
    }

    pub fn release(&mut self, seat: u64, families: &[i32]) {
        for family in families {
            if self.owners[*family as usize] == Owner::Leaving(seat) {
                self.owners[*family as usize] = Owner::Nobody;
                self.generation += 1;
            }
        }
    }

    /// Members that have not heard of the latest generation.
    pub fn behind(&self) -> Vec<u64> {
        self.seats.iter().filter(|(_, knows)| **knows < self.generation).map(|(seat, _)| *seat).collect()
    }

    pub fn sync(&mut self, seat: u64) {
        if let Some(knows) = self.seats.get_mut(&seat) {
            *knows = self.generation;
        }
    }

    /// What a member says of itself when it commits.
    pub fn knows(&self, seat: u64) -> Option<u32> {
        self.seats.get(&seat).copied()
    }

    pub fn check(&self, seat: u64, generation: u32) -> Result<(), Refused> {
        match self.seats.get(&seat) {
            None => Err(Refused::Unknown),
            Some(_) if generation != self.generation => Err(Refused::Stale),
            Some(_) => Ok(()),
        }
    }

    pub fn read(&self, seat: u64) -> Option<Notice> {
        self.mail.get(&seat)?.front().cloned()
    }

    pub fn throw_away(&mut self, seat: u64) {
        if let Some(mail) = self.mail.get_mut(&seat) {
            mail.pop_front();
        }
    }
}
