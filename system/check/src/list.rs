//! Calls and returns in order of time, from which an operation is taken out and put back in one step.

/// A call or a return of the operation with that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Call(usize),
    Return(usize),
}

/// A place in the list; 0 is before the first and after the last.
pub(crate) type Place = usize;

/// A doubly linked ring.
pub(crate) struct List {
    moments: Vec<Moment>,
    next: Vec<Place>,
    before: Vec<Place>,
    /// Places of each operation's call and return; 0 for none.
    places: Vec<[Place; 2]>,
}

impl List {
    /// From calls and returns of operations `0..operations` in order.
    pub(crate) fn new(moments: Vec<Moment>, operations: usize) -> Self {
        let length = moments.len() + 1;
        let mut places = vec![[0; 2]; operations];
        for (place, moment) in (1..).zip(&moments) {
            match *moment {
                Moment::Call(op) => places[op][0] = place,
                Moment::Return(op) => places[op][1] = place,
            }
        }
        let next = (0..length).map(|place| (place + 1) % length).collect();
        let before = (0..length).map(|place| (place + length - 1) % length).collect();
        Self { moments, next, before, places }
    }

    pub(crate) fn first(&self) -> Place {
        self.next[0]
    }

    pub(crate) fn after(&self, place: Place) -> Place {
        self.next[place]
    }

    /// What is at a place; `None` at the end.
    pub(crate) fn at(&self, place: Place) -> Option<Moment> {
        place.checked_sub(1).map(|index| self.moments[index])
    }

    /// Where the operation's call is.
    pub(crate) fn call(&self, op: usize) -> Place {
        self.places[op][0]
    }

    /// Takes an operation out.
    pub(crate) fn take(&mut self, op: usize) {
        for place in self.places[op].into_iter().filter(|place| *place != 0) {
            let (before, next) = (self.before[place], self.next[place]);
            self.next[before] = next;
            self.before[next] = before;
        }
    }

    /// Puts back the operation that was taken out last.
    pub(crate) fn put_back(&mut self, op: usize) {
        for place in self.places[op].into_iter().rev().filter(|place| *place != 0) {
            let (before, next) = (self.before[place], self.next[place]);
            self.next[before] = place;
            self.before[next] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_comes_back_to_its_place() {
        let moments = vec![Moment::Call(0), Moment::Call(1), Moment::Return(0), Moment::Return(1)];
        let mut list = List::new(moments.clone(), 2);
        let all = |list: &List| {
            let places = std::iter::successors(Some(list.first()), |place| Some(list.after(*place)));
            places.map_while(|place| list.at(place)).collect::<Vec<_>>()
        };
        list.take(1);
        assert_eq!(all(&list), [Moment::Call(0), Moment::Return(0)]);
        list.take(0);
        assert_eq!(all(&list), []);
        list.put_back(0);
        list.put_back(1);
        assert_eq!(all(&list), moments);
        assert_eq!(list.call(1), 2);
    }
}
