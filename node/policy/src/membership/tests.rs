use super::*;
use proptest::prelude::*;

type Members = BTreeMap<NodeId, Arc<Member>>;

fn member(id: NodeId) -> Member {
    Member {
        id,
        name: format!("host{id}"),
        peer_urls: vec![format!("http://h{id}:2380")],
        client_urls: vec![format!("http://h{id}:2379")],
        ..Member::default()
    }
}

fn members(ids: &[NodeId]) -> Members {
    ids.iter().map(|id| (*id, Arc::new(member(*id)))).collect()
}

fn raft(voters: &[NodeId], learners: &[NodeId]) -> RaftPicture {
    let all = || voters.iter().chain(learners);
    RaftPicture {
        me: 1,
        voters: voters.to_vec(),
        learners: learners.to_vec(),
        matched: all().map(|id| (*id, 1000)).collect(),
        last_log_index: 1000,
        addresses: all().map(|id| (*id, format!("http://h{id}:2380"))).collect(),
        autopilot: true,
        listened_ms: 0,
    }
}

fn heard(ids: &[NodeId]) -> BTreeMap<NodeId, u64> {
    ids.iter().map(|id| (*id, 0)).collect()
}

fn learner(id: NodeId) -> Option<Step> {
    Some(Step::SetLearner { id, addr: format!("http://h{id}:2380") })
}

#[test]
fn a_new_member_learns_then_votes() {
    assert_eq!(next_step(&members(&[1, 2]), &raft(&[1], &[]), &heard(&[1, 2])), learner(2));
    let mut behind = raft(&[1], &[2]);
    behind.matched.insert(2, 900);
    assert_eq!(next_step(&members(&[1, 2]), &behind, &heard(&[1, 2])), None);
    behind.matched.insert(2, 901);
    assert_eq!(next_step(&members(&[1, 2]), &behind, &heard(&[1, 2])), Some(Step::SetVoters(vec![1, 2])));
    assert_eq!(next_step(&members(&[1, 2]), &behind, &heard(&[1])), None, "a dead learner must not vote");
    behind.matched.remove(&2);
    assert_eq!(next_step(&members(&[1, 2]), &behind, &heard(&[1, 2])), None);
}

#[test]
fn members_that_only_were_announced_do_not_count() {
    let mut all = members(&[1, 2]);
    Arc::make_mut(all.get_mut(&2).unwrap()).client_urls.clear();
    assert_eq!(next_step(&all, &raft(&[1], &[]), &heard(&[1])), None);
    assert_eq!(next_step(&all, &raft(&[1], &[]), &heard(&[1, 2])), learner(2));
}

#[test]
fn a_learner_that_could_still_be_let_in_anew_under_its_id_does_not_vote() {
    let mut all = members(&[1, 2]);
    Arc::make_mut(all.get_mut(&2).unwrap()).client_urls.clear();
    assert_eq!(next_step(&all, &raft(&[1], &[2]), &heard(&[1, 2])), None);
    assert_eq!(next_step(&members(&[1, 2]), &raft(&[1], &[2]), &heard(&[1, 2])), Some(Step::SetVoters(vec![1, 2])));
}

#[test]
fn some_stay_learners() {
    let mut all = members(&[1, 2]);
    Arc::make_mut(all.get_mut(&2).unwrap()).learner = true;
    assert_eq!(next_step(&all, &raft(&[1], &[2]), &heard(&[1, 2])), None);
    let six = [1, 2, 3, 4, 5, 6];
    assert_eq!(next_step(&members(&six), &raft(&six[..5], &[6]), &heard(&six)), None);
}

#[test]
fn removed_members_leave_without_costing_the_quorum() {
    assert_eq!(next_step(&members(&[1]), &raft(&[1], &[7, 8]), &heard(&[1])), Some(Step::RemoveLearners(vec![7, 8])));
    // The dead one goes first.
    let step = next_step(&members(&[1]), &raft(&[1, 2, 3], &[]), &heard(&[1, 2]));
    assert_eq!(step, Some(Step::SetVoters(vec![1, 2])));
    assert_eq!(next_step(&members(&[1]), &raft(&[1, 2], &[]), &heard(&[1, 2])), Some(Step::SetVoters(vec![1])));
    // 2 lives and 3, 4 are dead: taking 2 away would leave 1 of 3.
    assert_eq!(next_step(&members(&[1, 3, 4]), &raft(&[1, 2, 3, 4], &[]), &heard(&[1, 2])), None);
    // The leader itself goes last.
    let step = next_step(&members(&[3]), &raft(&[1, 2, 3], &[]), &heard(&[1, 2, 3]));
    assert_eq!(step, Some(Step::SetVoters(vec![1, 3])));
    assert_eq!(next_step(&members(&[]), &raft(&[1], &[]), &heard(&[1])), None);
}

#[test]
fn a_voter_that_is_dead_for_long_is_replaced_by_a_learner_that_has_caught_up() {
    let all = members(&[1, 2, 3, 4]);
    let state = raft(&[1, 2, 3], &[4]);
    let silent = |age_ms| BTreeMap::from([(1, 0), (2, 0), (3, age_ms), (4, 0)]);
    assert_eq!(next_step(&all, &state, &silent(DEAD_AFTER_MS - 1)), None, "it may only be starting anew");
    let replaced = Some(Step::SetVoters(vec![1, 2, 4]));
    assert_eq!(next_step(&all, &state, &silent(DEAD_AFTER_MS)), replaced);
    // Never heard: silent for as long as this leader listens.
    let never = heard(&[1, 2, 4]);
    assert_eq!(next_step(&all, &state, &never), None);
    assert_eq!(next_step(&all, &RaftPicture { listened_ms: DEAD_AFTER_MS, ..state.clone() }, &never), replaced);
    let behind = RaftPicture { matched: [(4, 1)].into(), ..state.clone() };
    assert_eq!(next_step(&all, &behind, &silent(DEAD_AFTER_MS)), None, "nobody can take its place");
    let by_hand = RaftPicture { autopilot: false, ..state };
    assert_ne!(next_step(&all, &by_hand, &silent(DEAD_AFTER_MS)), replaced);
    // Back again, it learns.
    assert_eq!(next_step(&all, &raft(&[1, 2, 4], &[]), &heard(&[1, 2, 3, 4])), learner(3));
    assert_eq!(next_step(&all, &raft(&[1, 2, 4], &[3]), &heard(&[1, 2, 3, 4])), None);
}

#[test]
fn the_number_of_voters_is_kept_odd() {
    let five = [1, 2, 3, 4, 5];
    // The fourth waits for the fifth, then both vote.
    assert_eq!(next_step(&members(&five[..4]), &raft(&[1, 2, 3], &[4]), &heard(&five)), None);
    let step = next_step(&members(&five), &raft(&[1, 2, 3], &[4, 5]), &heard(&five));
    assert_eq!(step, Some(Step::SetVoters(vec![1, 2, 3, 4])));
    let step = next_step(&members(&five), &raft(&[1, 2, 3, 4], &[5]), &heard(&five));
    assert_eq!(step, Some(Step::SetVoters(five.to_vec())));
    // One of four learns: a silent one first, never the leader.
    let four = members(&five[..4]);
    assert_eq!(next_step(&four, &raft(&five[..4], &[]), &heard(&five)), Some(Step::SetVoters(vec![1, 2, 3])));
    assert_eq!(next_step(&four, &raft(&five[..4], &[]), &heard(&[1, 3, 4])), Some(Step::SetVoters(vec![1, 3, 4])));
    let by_hand = RaftPicture { autopilot: false, ..raft(&five[..4], &[]) };
    assert_eq!(next_step(&four, &by_hand, &heard(&five)), None);
    let by_hand = RaftPicture { autopilot: false, ..raft(&[1, 2, 3], &[4]) };
    assert_eq!(next_step(&four, &by_hand, &heard(&five)), Some(Step::SetVoters(vec![1, 2, 3, 4])));
}

#[test]
fn addresses_follow_the_store() {
    let mut all = members(&[1, 2]);
    Arc::make_mut(all.get_mut(&2).unwrap()).peer_urls = vec!["http://new:2380".into()];
    let step = next_step(&all, &raft(&[1, 2], &[]), &heard(&[1, 2]));
    assert_eq!(step, Some(Step::SetLearner { id: 2, addr: "http://new:2380".into() }));
    Arc::make_mut(all.get_mut(&2).unwrap()).peer_urls.clear();
    assert_eq!(next_step(&all, &raft(&[1, 2], &[]), &heard(&[1, 2])), None);
}

#[test]
fn what_can_be_lost() {
    let survival = |voters: &[NodeId], up: &[NodeId]| {
        let found = survives(voters, &up.iter().copied().collect());
        (found.quorum, found.can_lose)
    };
    assert_eq!(survival(&[1], &[1]), (1, 0));
    assert_eq!(survival(&[1, 2], &[1, 2]), (2, 0));
    assert_eq!(survival(&[1, 2, 3], &[1, 2, 3, 4]), (2, 1));
    assert_eq!(survival(&[1, 2, 3], &[1, 4]), (2, 0));
    assert_eq!(survival(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]), (3, 2));
}

fn carry_out(raft: &mut RaftPicture, step: Step) {
    match step {
        Step::SetLearner { id, addr } => {
            if !raft.voters.contains(&id) && !raft.learners.contains(&id) {
                raft.learners.push(id);
            }
            raft.matched.insert(id, raft.last_log_index);
            raft.addresses.insert(id, addr);
        }
        Step::SetVoters(voters) => {
            raft.learners.retain(|id| !voters.contains(id));
            raft.voters = voters;
        }
        Step::RemoveLearners(ids) => raft.learners.retain(|id| !ids.contains(id)),
    }
}

proptest! {
    #[test]
    fn it_converges_and_is_always_safe(
        wanted in prop::collection::btree_set(1u64..12, 0..10),
        voters in prop::collection::btree_set(1u64..12, 0..6),
        learners in prop::collection::btree_set(1u64..12, 0..6),
        live in prop::collection::btree_set(1u64..12, 0..12),
    ) {
        let mut voters = voters;
        voters.insert(1);
        while voters.len() > MAX_VOTERS { voters.pop_last(); }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let live: Vec<_> = live.into_iter().collect();
        let learners: Vec<_> = learners.difference(&voters).copied().collect();
        let (all, ages) = (members(&wanted), heard(&live));
        let mut state = raft(&voters.iter().copied().collect::<Vec<_>>(), &learners);
        let lives = |id: &NodeId| *id == 1 || live.contains(id);
        let mut steps = 0;
        while let Some(step) = next_step(&all, &state, &ages) {
            if let Step::SetVoters(new) = &step {
                prop_assert!(!new.is_empty() && new.len() <= MAX_VOTERS);
                prop_assert!(new.iter().filter(|id| lives(id)).count() > new.len() / 2, "{step:?}");
                let changed = new.iter().filter(|id| !state.voters.contains(id)).count()
                    + state.voters.iter().filter(|id| !new.contains(id)).count();
                prop_assert!(changed == 1, "{:?}", step);
            }
            if let Step::SetLearner { id, .. } = &step { prop_assert!(wanted.contains(id)); }
            carry_out(&mut state, step);
            steps += 1;
            prop_assert!(steps < 60, "it goes round in circles: {:?}", state);
        }
        prop_assert!(state.learners.iter().all(|id| wanted.contains(id)));
        if wanted.contains(&1) && wanted.iter().chain(&voters).all(lives) {
            prop_assert!(state.voters.iter().all(|id| wanted.contains(id)));
            let odd = |count: usize| if count > 2 && count.is_multiple_of(2) { count - 1 } else { count };
            prop_assert_eq!(state.voters.len(), odd(wanted.len().min(MAX_VOTERS)));
            prop_assert_eq!(state.voters.len() + state.learners.len(), wanted.len());
        }
    }
}
