//! Who makes faults, by the seed.

use std::collections::BTreeSet;

use autoradio_store::Role;

use crate::{dice::Dice, wire::Place, world::World};

/// Between two faults.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 150..=3_500;
/// Messages that are lost. Of a write's answer, four must get through.
const LOSSES_PER_MILLE: [u64; 3] = [20, 80, 200];
/// How long faults last.
const CUT_MS: std::ops::RangeInclusive<u64> = 300..=3_500;
const DEAD_MS: std::ops::RangeInclusive<u64> = 50..=2_500;
const PAUSED_MS: std::ops::RangeInclusive<u64> = 100..=4_000;
/// Started members that are kept at least.
const MEMBERS_MIN: usize = 3;

/// What it does when.
pub(crate) struct Nemesis {
    dice: Dice,
    next_ms: u64,
    heal_ms: Option<u64>,
    pub(crate) faults: usize,
    pub(crate) membership_changes: usize,
}

impl Nemesis {
    pub(crate) fn new(dice: Dice, start_ms: u64) -> Self {
        Self { dice, next_ms: start_ms, heal_ms: None, faults: 0, membership_changes: 0 }
    }

    /// Makes what is due.
    pub(crate) fn act(&mut self, world: &mut World) {
        if self.heal_ms.is_some_and(|at| at <= world.now_ms) {
            self.heal(world);
        }
        if self.next_ms > world.now_ms {
            return;
        }
        self.next_ms = world.now_ms + self.dice.within(PAUSE_MS);
        self.faults += 1;
        match self.dice.below(100) {
            0..26 => self.cut(world),
            26..44 => self.kill_one(world),
            44..54 => self.kill_many(world),
            54..72 => self.pause(world),
            72..82 => {
                let per_mille = self.dice.pick(&LOSSES_PER_MILLE).unwrap_or(0);
                world.shared.net.note(&("loss", per_mille), &[]);
                world.shared.net.set_loss(per_mille);
                self.heal_ms = Some(world.now_ms + self.dice.within(CUT_MS));
            }
            _ => self.change_members(world),
        }
    }

    /// Ends all that it made.
    pub(crate) fn heal(&mut self, world: &World) {
        world.shared.net.note(&"heal", &[]);
        world.shared.net.cut(BTreeSet::new(), false);
        world.shared.net.set_loss(0);
        self.heal_ms = None;
    }

    /// A place where somebody lives; the leader's as often as told.
    fn victim(&mut self, world: &World, leader_per_mille: u64) -> Option<usize> {
        let alive = |slot: &&crate::node::Slot| slot.life.is_some() && !slot.paused();
        let places: Vec<_> = world.slots.iter().filter(alive).map(|slot| slot.place).collect();
        let leads = |place: &&usize| {
            let life = world.slots[**place].life.as_ref();
            life.is_some_and(|life| life.server.consensus.status().role == Role::Leader)
        };
        let leader = places.iter().find(leads).copied();
        let any = self.dice.pick(&places);
        if self.dice.chance(leader_per_mille) { leader.or(any) } else { any }
    }

    fn cut(&mut self, world: &mut World) {
        let Some(victim) = self.victim(world, 500) else { return };
        let all: Vec<_> = world.slots.iter().map(|slot| slot.place).collect();
        let mut ways = BTreeSet::new();
        let kind = self.dice.below(6);
        let both = |ways: &mut BTreeSet<_>, a: usize, b: usize| {
            ways.extend([(Place::Node(a), Place::Node(b)), (Place::Node(b), Place::Node(a))]);
        };
        let others = all.iter().copied().filter(|place| *place != victim);
        match kind {
            // One is alone; or is not heard; or hears nothing.
            0 | 1 => others.for_each(|other| both(&mut ways, victim, other)),
            2 => ways.extend(others.map(|other| (Place::Node(victim), Place::Node(other)))),
            3 => ways.extend(others.map(|other| (Place::Node(other), Place::Node(victim)))),
            // Two halves.
            4 => {
                let mut shuffled = all.clone();
                self.dice.shuffle(&mut shuffled);
                let (one, other) = shuffled.split_at(all.len() / 2);
                one.iter().for_each(|a| other.iter().for_each(|b| both(&mut ways, *a, *b)));
            }
            // Single ways, here and there.
            _ => {
                for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
                    if a != b && self.dice.chance(250) {
                        ways.insert((Place::Node(a), Place::Node(b)));
                    }
                }
            }
        }
        if kind < 4 && self.dice.chance(300) {
            ways.extend([(Place::Clients, Place::Node(victim)), (Place::Node(victim), Place::Clients)]);
        }
        let refuses = self.dice.chance(300);
        world.shared.net.note(&("cut", kind, victim, refuses, ways.len()), &[]);
        world.shared.net.cut(ways, refuses);
        self.heal_ms = Some(world.now_ms + self.dice.within(CUT_MS));
    }

    fn kill_one(&mut self, world: &mut World) {
        if let Some(victim) = self.victim(world, 450) {
            self.kill(world, victim);
        }
    }

    /// The power goes for several, or for all, in one moment.
    fn kill_many(&mut self, world: &mut World) {
        let all = self.dice.chance(500);
        for place in 0..world.slots.len() {
            if all || self.dice.chance(500) {
                self.kill(world, place);
            }
        }
    }

    fn kill(&mut self, world: &mut World, place: usize) {
        let dead_ms = self.dice.within(DEAD_MS);
        let slot = &mut world.slots[place];
        if slot.life.is_some() {
            world.shared.net.note(&("kill", place, dead_ms), &[]);
            slot.kill(&world.shared.net);
            slot.restart_ms = Some(world.now_ms + dead_ms);
        }
    }

    fn pause(&mut self, world: &mut World) {
        let Some(victim) = self.victim(world, 600) else { return };
        let paused_ms = self.dice.within(PAUSED_MS);
        world.shared.net.note(&("pause", victim, paused_ms), &[]);
        world.slots[victim].resume_ms = Some(world.now_ms + paused_ms);
    }

    fn change_members(&mut self, world: &mut World) {
        if world.changing {
            return;
        }
        let members: Vec<_> = world.slots.iter().filter_map(|slot| Some((slot.id?, slot.place))).collect();
        let staying: Vec<_> =
            members.iter().copied().filter(|(_, place)| world.slots[*place].stop_ms.is_none()).collect();
        let free: Vec<_> = world.slots.iter().filter(|slot| slot.id.is_none()).map(|slot| slot.place).collect();
        let add = staying.len() <= MEMBERS_MIN || self.dice.chance(550);
        self.membership_changes += 1;
        if add && let Some(place) = self.dice.pick(&free) {
            world.shared.net.note(&("add", place), &[]);
            world.add_member(place);
        } else if !add && let Some((id, place)) = self.dice.pick(&staying) {
            world.shared.net.note(&("remove", id, place), &[]);
            world.remove_member(id, place);
        } else {
            self.membership_changes -= 1;
        }
    }
}
