//! How a range's pairs are filtered and ordered.

use crate::{KeyValue, RangeRequest, Revision, SortOrder, SortTarget};

/// etcd applies these filters after counting and before the limit.
pub(crate) fn within(kv: &KeyValue, r: &RangeRequest) -> bool {
    let inside = |n: Revision, min: Revision, max: Revision| (min == 0 || n >= min) && (max == 0 || n <= max);
    inside(kv.mod_revision, r.min_mod_revision, r.max_mod_revision)
        && inside(kv.create_revision, r.min_create_revision, r.max_create_revision)
}

pub(crate) fn sort(kvs: &mut [KeyValue], request: &RangeRequest) {
    // etcd: a target other than the key sorts upwards where no order is given.
    let order = match (request.sort_order, request.sort_target) {
        (SortOrder::None, SortTarget::Key) => return,
        (SortOrder::None, _) => SortOrder::Ascend,
        (order, _) => order,
    };
    match request.sort_target {
        SortTarget::Key => kvs.sort_by(|a, b| a.key.cmp(&b.key)),
        SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
        SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
        SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
        SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
    }
    if order == SortOrder::Descend {
        kvs.reverse();
    }
}
