//! The administrator: makes the cluster, adds members and removes them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::{
    Command, InitRequest, Member, MemberAdd, MemberUpdate, Mount, MountName, NodeId, PutRequest, Refusal, Response,
};
use tokio::time::sleep;

use crate::{
    client::{Crowd, Guess},
    dice::Dice,
    net::UNPOISONED,
    server::{CLUSTER, address},
    wire::{Failure, Reply, Request},
};

/// How often the administrator tries a change.
const TRIES: usize = 12;

/// What is to be done with nodes, from inside the virtual time to outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// The cluster is made: clients may come.
    Made,
    /// Start a new node here.
    Start { place: usize, id: NodeId },
    /// The node was removed: it is stopped some time later.
    Stop { place: usize, id: NodeId },
    /// The change that was being made is over.
    Over,
}

/// Orders that wait to be carried out.
pub(crate) type Orders = Arc<Mutex<Vec<Order>>>;

/// The administrator.
pub(crate) struct Admin {
    pub(crate) crowd: Crowd,
    pub(crate) orders: Orders,
    pub(crate) dice: Dice,
}

fn started(id: NodeId, place: usize) -> Member {
    Member {
        id,
        name: format!("node{place}-{id:x}"),
        peer_urls: vec![address(place)],
        client_urls: vec![format!("http://node{place}:2379")],
        ..Member::default()
    }
}

impl Admin {
    fn order(&self, order: Order) {
        self.orders.lock().expect(UNPOISONED).push(order);
    }

    /// Tells the cluster who it is, and creates the mount.
    pub(crate) async fn make(mut self, members: Vec<(NodeId, usize)>, mount: MountName) {
        let members = members.into_iter().map(|(id, place)| started(id, place)).collect();
        self.surely(Command::Init(InitRequest { cluster_id: CLUSTER, members })).await;
        let settings = br#"{"username":"source","password_hash":"$argon2id$v=19$m=1$x"}"#;
        let value = Mount::from_json(settings).map(|mount| mount.to_json()).unwrap_or_default();
        self.surely(Command::Put(PutRequest { key: mount.key(), value, ..PutRequest::default() })).await;
        self.order(Order::Made);
    }

    /// Adds a member at a place where nobody lives.
    pub(crate) async fn add(mut self, place: usize) {
        let url = address(place);
        let add = MemberAdd { name: String::new(), peer_urls: vec![url.clone()], learner: false };
        let id = match self.surely(Command::MemberAdd(add)).await {
            Some(Ok(Response::Member(member))) => Some(member.id),
            // It was made by an attempt that nobody answered.
            Some(Err(Refusal::PeerUrlsExist)) => self.member_at(&url).await,
            _ => None,
        };
        if let Some(id) = id {
            self.order(Order::Start { place, id });
            let Member { name, client_urls, .. } = started(id, place);
            let update =
                MemberUpdate { id, name: Some(name), client_urls: Some(client_urls), ..MemberUpdate::default() };
            // The new node's own word: it does not give up, unless it was removed meanwhile.
            let _refused = self.until_known(Command::MemberUpdate(update)).await;
        }
        self.order(Order::Over);
    }

    /// Removes a member.
    pub(crate) async fn remove(mut self, id: NodeId, place: usize) {
        let gone = self.until_known(Command::MemberRemove { id }).await;
        if matches!(gone, Ok(_) | Err(Refusal::MemberNotFound)) {
            self.order(Order::Stop { place, id });
        }
        self.order(Order::Over);
    }

    /// Tries until it is carried out or refused; `None` where that did not come to be.
    async fn surely(&mut self, command: Command) -> Option<Result<Response, Refusal>> {
        let mut guess = Guess { place: self.crowd.anybody(&mut self.dice) };
        for _ in 0..TRIES {
            match self.crowd.ask(guess.place, Request::Propose(Box::new(command.clone()))).await {
                Ok(Reply::Proposed { response, .. }) => return Some(Ok(response)),
                Err(Failure::Refused(refusal)) => return Some(Err(refusal)),
                Err(failure) => self.crowd.guess_again(&mut guess, &failure, &mut self.dice),
                Ok(_) => {}
            }
            sleep(Duration::from_millis(self.dice.within(50..=400))).await;
        }
        None
    }

    /// Tries until it is carried out or refused.
    async fn until_known(&mut self, command: Command) -> Result<Response, Refusal> {
        loop {
            if let Some(result) = self.surely(command.clone()).await {
                return result;
            }
        }
    }

    async fn member_at(&mut self, url: &str) -> Option<NodeId> {
        let mut guess = Guess { place: self.crowd.anybody(&mut self.dice) };
        for _ in 0..TRIES {
            let request = Request::MemberAt { url: url.to_owned() };
            if let Ok(Reply::Member(Some(id))) = self.crowd.ask(guess.place, request).await {
                return Some(id);
            }
            self.crowd.guess_again(&mut guess, &Failure::Unknown, &mut self.dice);
            sleep(Duration::from_millis(100)).await;
        }
        None
    }
}
