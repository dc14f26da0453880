use std::collections::BTreeMap;

use super::*;

fn open(dir: &Path, new: bool) -> Result<(SledDisk, JoinHandle<()>), StoreError> {
    SledDisk::open(&dir.join("log"), new)
}

fn synced(disk: &SledDisk) {
    let (sender, receiver) = std::sync::mpsc::channel();
    disk.sync(Box::new(move |result| sender.send(result).expect("it is waited for")));
    receiver.recv().expect("an answer").expect("it is durable");
}

fn cells(disk: &SledDisk, start: &[u8], end: &[u8], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    };
    disk.scan(Tree::Log, start, end, &mut visit).unwrap();
    found
}

fn close((disk, thread): (SledDisk, JoinHandle<()>)) {
    drop(disk);
    thread.join().unwrap();
}

#[test]
fn a_newer_format_is_refused_in_words_and_what_is_gone_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    close(open(dir.path(), true).unwrap());
    let log = dir.path().join("log");
    let db = crate::sled_folder::open_sled(&log).unwrap();
    db.open_tree("marks").unwrap().insert("made", &[crate::database::FORMAT + 1]).unwrap();
    drop(db);
    let error = open(dir.path(), false).err().expect("it is newer");
    assert!(matches!(error, StoreError::Newer { .. }) && error.to_string().contains("upgrade"), "{error}");
    std::fs::remove_dir_all(log).unwrap();
    let error = open(dir.path(), false).err().expect("it is gone");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn what_a_crash_left_of_sleds_snapshotting_does_not_keep_it_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let made = open(dir.path(), true).unwrap();
    made.0.write(Tree::Log, vec![(b"key".to_vec(), Some(b"value".to_vec()))]).unwrap();
    close(made);
    let leftover = dir.path().join("log/snap.7FFFFFFFFFFFFFFF.generating");
    std::fs::write(&leftover, "half of it").unwrap();
    let (disk, _thread) = open(dir.path(), false).unwrap();
    assert_eq!(disk.get(Tree::Log, b"key").unwrap().as_deref(), Some(b"value".as_slice()));
    assert!(!leftover.exists());
}

#[test]
fn a_journal_that_is_gone_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    close(open(dir.path(), true).unwrap());
    std::fs::remove_file(dir.path().join("log/journal-b")).unwrap();
    let error = open(dir.path(), false).err().expect("half of the journal is gone");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// Whatever is where, what is read is what a map would have: random writes, syncs and restarts beside one.
#[test]
fn it_reads_like_a_map_wherever_the_cells_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut now = Some(open(dir.path(), true).unwrap());
    let mut model = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    let mut dice = 7_u64;
    let mut below = |bound: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % bound
    };
    for step in 0..1_200_u64 {
        let disk = &now.as_ref().expect("it is open").0;
        let written: Vec<Cell> = (0..=below(4))
            .map(|_| {
                let key = below(300).to_be_bytes().to_vec();
                let value = (below(3) > 0).then(|| vec![step as u8; [10, 3_000, 20_000][below(3) as usize]]);
                (key, value)
            })
            .collect();
        for (key, value) in &written {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
        disk.write(Tree::Log, written).unwrap();
        if below(3) == 0 {
            synced(disk);
        }
        if below(150) == 0 {
            close(now.take().expect("it is open"));
            now = Some(open(dir.path(), false).unwrap());
        }
        let disk = &now.as_ref().expect("it is open").0;
        let (start, end) = (below(300).to_be_bytes(), below(301).to_be_bytes());
        let most = 1 + below(40) as usize;
        let expected: Vec<_> = if start < end {
            model.range(start.to_vec()..end.to_vec()).take(most).map(|(k, v)| (k.clone(), v.clone())).collect()
        } else {
            Vec::new()
        };
        assert!(start >= end || cells(disk, &start, &end, most) == expected, "step {step}");
        assert_eq!(disk.last_key(Tree::Log).unwrap().as_ref(), model.keys().next_back(), "step {step}");
        let key = below(300).to_be_bytes();
        assert_eq!(disk.get(Tree::Log, &key).unwrap().as_ref(), model.get(key.as_slice()), "step {step}");
    }
    assert!(now.expect("it is open").0.database.journal().unwrap().1 > 0, "something was carried");
}

/// The journal is needed by none that was carried.
#[test]
fn what_was_carried_is_read_without_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    let made = open(dir.path(), true).unwrap();
    let value = |number: u64| Some(vec![number as u8; 100_000]);
    for number in 0..100_u64 {
        made.0.write(Tree::Log, vec![(number.to_be_bytes().to_vec(), value(number))]).unwrap();
        synced(&made.0);
    }
    close(made);
    let (disk, thread) = open(dir.path(), false).unwrap();
    let (_, carried) = disk.database.journal().unwrap();
    assert!(carried > 50, "{carried}");
    for number in 0..100_u64 {
        assert_eq!(disk.get(Tree::Log, &number.to_be_bytes()).unwrap(), value(number));
    }
    assert!(disk.recent.lock().unwrap().upto(Tree::Log, u64::MAX).len() < 50, "memory is let go");
    close((disk, thread));
}
