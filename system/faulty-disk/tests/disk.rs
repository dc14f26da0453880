//! The disk itself: what it keeps, what it loses, how it fails, and that it lets nobody hang.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use faulty_disk::{Disk, Faults, Loss, Mounted, State, missing};

const LIMIT: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// A disk and its mount; `None`, said aloud, where there is no FUSE.
fn mounted(disk: &Disk) -> Option<(tempfile::TempDir, Mounted)> {
    if let Some(why) = missing() {
        eprintln!("SKIPPED, nothing was tested: {why}");
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mounted = Mounted::at(dir.path(), disk.clone(), LIMIT).expect("the disk is mounted");
    Some((dir, mounted))
}

fn append(path: &Path, text: &str, sync: bool) {
    let mut file = File::options().append(true).create(true).open(path).expect("it opens");
    file.write_all(text.as_bytes()).expect("it is written");
    if sync {
        file.sync_data().expect("it is synced");
    }
}

fn sync_folder(path: &Path) {
    File::open(path).expect("it opens").sync_all().expect("it is synced");
}

fn left(state: &State, name: &str) -> Option<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    state.write_out(dir.path()).expect("it is written out");
    fs::read_to_string(dir.path().join(name)).ok()
}

#[test]
fn what_was_synced_is_kept_and_the_rest_is_lost() {
    let disk = Disk::new(8 * MIB);
    let Some((dir, mounted)) = mounted(&disk) else { return };
    append(&mounted.dir().join("named"), "synced ", true);
    sync_folder(mounted.dir());
    append(&mounted.dir().join("named"), "not synced", false);
    append(&mounted.dir().join("nameless"), "its name was not synced", true);
    let old = File::open(mounted.dir().join("named")).unwrap();
    disk.cut(Loss::All, 0);
    assert_eq!(fs::read(mounted.dir().join("named")).unwrap_err().raw_os_error(), Some(5), "it is off");
    disk.on();
    assert_eq!(fs::read_to_string(mounted.dir().join("named")).unwrap(), "synced ");
    assert_eq!(fs::read(mounted.dir().join("nameless")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(old.read_at(&mut [0; 4], 0).is_err(), "what was open before is of no use after");
    drop(mounted);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it is not mounted any more");
}

#[test]
fn each_moment_of_a_history_can_be_cut_and_keeps_what_was_promised() {
    let disk = Disk::recording(8 * MIB);
    let Some((_dir, mounted)) = mounted(&disk) else { return };
    let file = mounted.dir().join("log");
    append(&file, "", true);
    sync_folder(mounted.dir());
    for number in 0..50u64 {
        append(&file, &format!("{number:02} "), true);
        disk.mark(number);
        append(&file, &format!("x{number:02} "), false);
    }
    let (mut cuts, mut partial) = (0, 0);
    disk.history().cuts(200, 7, |cut| {
        cuts += 1;
        let Some(mark) = cut.mark else { return };
        let text = left(&cut.left, "log").expect("it was synced");
        assert!(text.contains(&format!("{mark:02} ")), "{:?} at {} lost {mark}: {text}", cut.loss, cut.at);
        partial += u32::from(!text.ends_with(' '));
    });
    assert_eq!(cuts, 200);
    assert!(partial > 0, "no write was torn");
}

#[test]
fn it_fails_fills_up_and_takes_its_time_as_told() {
    let disk = Disk::new(MIB);
    let Some((_dir, mounted)) = mounted(&disk) else { return };
    let path = mounted.dir().join("file");
    let file = File::create_new(&path).unwrap();
    file.write_all_at(b"well", 0).unwrap();
    disk.set_faults(Faults { sync_fails: true, ..Faults::default() });
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    disk.set_faults(Faults { write_fails: true, read_fails: true, ..Faults::default() });
    assert!(file.write_all_at(b"ill", 0).is_err() && fs::read(&path).is_err());
    disk.set_faults(Faults { sync_delay: Duration::from_millis(300), ..Faults::default() });
    let start = Instant::now();
    file.sync_all().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    disk.set_faults(Faults::default());
    assert_eq!(file.write_all_at(&vec![1; 2 << 20], 0).unwrap_err().kind(), ErrorKind::StorageFull);
    let space = rustix::fs::statvfs(mounted.dir()).unwrap();
    assert!(space.f_bavail < 8, "{}", space.f_bavail);
    disk.set_capacity(4 * MIB);
    file.write_all_at(&vec![1; 2 << 20], 0).unwrap();
    assert!(disk.used_bytes() >= 2 * MIB);
    fs::rename(&path, mounted.dir().join("other")).unwrap();
    disk.rot(Path::new("other"), 5).unwrap();
    assert_eq!(fs::read(mounted.dir().join("other")).unwrap()[4..7], [1, 0, 1]);
    drop(file);
    fs::remove_file(mounted.dir().join("other")).unwrap();
    assert_eq!(disk.used_bytes(), 0);
}

#[test]
fn its_end_frees_whoever_waits_for_it() {
    let disk = Disk::new(MIB);
    let Some((_dir, mounted)) = mounted(&disk) else { return };
    let file = File::create_new(mounted.dir().join("file")).unwrap();
    disk.set_faults(Faults { sync_delay: LIMIT, ..Faults::default() });
    let waiting = std::thread::spawn(move || file.sync_all());
    while fs::metadata(mounted.dir()).is_err() {}
    drop(mounted);
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn its_time_limit_frees_whoever_waits_for_it() {
    if let Some(why) = missing() {
        eprintln!("SKIPPED, nothing was tested: {why}");
        return;
    }
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::new(MIB));
    let mounted = Mounted::at(dir.path(), disk.clone(), Duration::from_millis(500)).unwrap();
    let file = File::create_new(mounted.dir().join("file")).unwrap();
    disk.set_faults(Faults { sync_delay: LIMIT, ..Faults::default() });
    assert!(file.sync_all().is_err());
}
