//! The store as a whole, on a real file system.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use fileserver_proto::Digest;
use rustix::fs::{FallocateFlags, fallocate};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;

/// A store on a folder of its own, by default and with named temporaries only.
fn stores(options: StoreOptions) -> [(TempDir, Store); 2] {
    [true, false].map(|unnamed| {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), options).unwrap();
        store.unnamed &= unnamed;
        (folder, store)
    })
}

/// Stores that overwrite, by each way to replace a file.
fn overwriting_stores() -> impl Iterator<Item = (TempDir, Store)> {
    [Durability::None, Durability::Data].into_iter().flat_map(|durability| {
        let on_conflict = OnConflict::Overwrite;
        stores(StoreOptions { durability, on_conflict, ..StoreOptions::default() })
    })
}

fn name(name: &str) -> FileName {
    FileName::new(name).unwrap()
}

fn upload(store: &Store, to: &str, content: &[u8]) -> Result<FileName, StoreError> {
    let mut upload = store.create_upload(Some(&name(to)), Some(content.len() as u64))?;
    upload.write(content)?;
    upload.commit(None).map(|stored| stored.name)
}

/// Everything in the folder, also what peers cannot see.
fn on_disk(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn listed(store: &Store) -> Vec<String> {
    store.list().unwrap().iter().map(|entry| entry.name.to_string()).collect()
}

fn content(store: &Store, from: &str) -> Vec<u8> {
    let download = store.open_download(&name(from)).unwrap();
    let file = fs::File::from(download.file().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; usize::try_from(download.info().len).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Waits for what must come; only something broken takes that long.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_upload_appears_whole_and_only_when_committed() {
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        for (folder, store) in stores(StoreOptions { durability, ..StoreOptions::default() }) {
            let mut upload = store.create_upload(Some(&name("meme.png")), None).unwrap();
            upload.write(b"first ").unwrap();
            assert_eq!(store.open_download(&name("meme.png")).unwrap_err(), StoreError::NotFound);
            assert_eq!(listed(&store), [""; 0]);
            upload.write(b"second").unwrap();
            assert_eq!(upload.commit(None).unwrap().name, name("meme.png"));
            assert_eq!(content(&store, "meme.png"), b"first second");
            assert_eq!(on_disk(folder.path()), ["meme.png"]);
        }
    }
}

#[test]
fn an_abandoned_upload_leaves_no_trace() {
    for (folder, store) in stores(StoreOptions::default()) {
        let mut upload = store.create_upload(Some(&name("a")), Some(100)).unwrap();
        upload.write(b"half").unwrap();
        drop(upload);
        assert_eq!(on_disk(folder.path()), [""; 0]);
    }
}

#[test]
fn a_taken_name_is_numbered() {
    for (_folder, store) in stores(StoreOptions::default()) {
        for (content, stored) in
            [(b"0", "meme.png"), (b"1", "meme_copy1.png"), (b"2", "meme_copy2.png")]
        {
            assert_eq!(upload(&store, "meme.png", content), Ok(name(stored)));
        }
        assert_eq!(content(&store, "meme.png"), b"0");
        assert_eq!(content(&store, "meme_copy2.png"), b"2");
    }
}

#[test]
fn a_thousand_copies_are_numbered_without_a_gap() {
    let options = StoreOptions { durability: Durability::None, ..StoreOptions::default() };
    for (folder, store) in stores(options) {
        for number in 0..1000 {
            let stored = upload(&store, "a", b"").unwrap();
            let expected = if number == 0 { "a".to_owned() } else { format!("a_copy{number}") };
            assert_eq!(stored.as_str(), expected);
        }
        assert_eq!(on_disk(folder.path()).len(), 1000);
    }
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    for (folder, store) in stores(StoreOptions::default()) {
        let long = "x".repeat(250);
        assert_eq!(upload(&store, &long, b"1"), Ok(name(&long)));
        assert_eq!(upload(&store, &long, b"2"), Err(StoreError::NameTooLong));
        assert_eq!(on_disk(folder.path()), [long]);
    }
}

#[test]
fn a_hundred_threads_uploading_one_name_all_get_their_own() {
    for (folder, store) in stores(StoreOptions::default()) {
        let barrier = std::sync::Barrier::new(100);
        let mut stored: Vec<(FileName, Vec<u8>)> = std::thread::scope(|scope| {
            let uploads: Vec<_> = (0..100_u32)
                .map(|number| {
                    let (store, barrier) = (&store, &barrier);
                    scope.spawn(move || {
                        let content = number.to_be_bytes().repeat(1000);
                        barrier.wait();
                        (upload(store, "same.bin", &content).unwrap(), content)
                    })
                })
                .collect();
            uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
        });
        for (stored, sent) in &stored {
            assert!(content(&store, stored.as_str()) == *sent, "{stored}");
        }
        stored.sort();
        stored.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(stored.len(), 100);
        assert_eq!(on_disk(folder.path()).len(), 100);
    }
}

#[test]
fn overwriting_replaces_a_file_or_a_link_but_no_folder() {
    for (folder, store) in overwriting_stores() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let before = upload(&store, "a", b"old").and_then(|_| store.open_download(&name("a")));
        assert_eq!(upload(&store, "a", b"new"), Ok(name("a")));
        assert_eq!(content(&store, "a"), b"new");
        assert_eq!(before.unwrap().info().len, 3);
        assert_eq!(upload(&store, "link", b"inside"), Ok(name("link")));
        assert_eq!(content(&store, "link"), b"inside");
        assert_eq!(fs::read(outside.path()).unwrap(), b"");
        assert_eq!(upload(&store, "sub", b""), Err(StoreError::NotAFile));
        assert_eq!(on_disk(folder.path()), ["a", "link", "sub"]);
        // The name of a file, and a folder's by the time of the exchange.
        let mut late = store.create_upload(Some(&name("a")), Some(0)).unwrap();
        assert!(late.exchange("sub").is_err() && !late.exchange("none").unwrap());
        assert!(late.commit(None).unwrap().replaced);
        assert_eq!(on_disk(folder.path()), ["a", "link", "sub"]);
        assert!(folder.path().join("sub").is_dir());
        let two = [b"x", b"y"]
            .map(|_| store.create_upload(None, None).unwrap().commit(None).unwrap().name);
        assert_ne!(two[0], two[1]);
    }
}

#[test]
fn a_conflict_can_be_an_error_early_or_late() {
    let options = StoreOptions { on_conflict: OnConflict::Error, ..StoreOptions::default() };
    for (folder, store) in stores(options) {
        let late = store.create_upload(Some(&name("a")), None).unwrap();
        assert_eq!(upload(&store, "a", b"first"), Ok(name("a")));
        assert_eq!(late.commit(None), Err(StoreError::NameTaken));
        let early = store.create_upload(Some(&name("a")), None);
        assert_eq!(early.unwrap_err(), StoreError::NameTaken);
        assert_eq!(content(&store, "a"), b"first");
        assert_eq!(on_disk(folder.path()), ["a"]);
    }
}

#[test]
fn an_upload_without_a_name_gets_eight_letters_and_digits() {
    for (folder, store) in stores(StoreOptions::default()) {
        for _ in 0..20 {
            let mut upload = store.create_upload(None, None).unwrap();
            upload.write(b"data").unwrap();
            let stored = upload.commit(None).unwrap().name;
            let (stem, extension) = stored.as_str().split_once('.').unwrap();
            assert_eq!((stem.len(), extension), (8, "bin"));
            assert!(stem.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{stem}");
        }
        assert_eq!(on_disk(folder.path()).len(), 20);
    }
}

#[test]
fn folders_must_exist_and_lie_beneath_the_root() {
    for (folder, store) in stores(StoreOptions::default()) {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink("a", folder.path().join("within")).unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        assert_eq!(upload(&store, "a/b/c", b"deep"), Ok(name("a/b/c")));
        assert_eq!(upload(&store, "a/b/c", b"deep"), Ok(name("a/b/c_copy1")));
        assert_eq!(content(&store, "a/b/c_copy1"), b"deep");
        for path in ["missing/c", "out/c", "within/c", "file/c"] {
            assert_eq!(upload(&store, path, b""), Err(StoreError::NoFolder), "{path}");
        }
        assert_eq!(on_disk(outside.path()), [""; 0]);
        assert_eq!(listed(&store), ["a/b/c", "a/b/c_copy1", "file"]);
    }
}

#[test]
fn no_link_is_followed_on_the_way_down() {
    let [(folder, store), _] = stores(StoreOptions::default());
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/file"), b"inside").unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file-out")).unwrap();
    symlink(outside.path(), folder.path().join("folder-out")).unwrap();
    symlink("../../..", folder.path().join("sub/up")).unwrap();
    symlink("sub/file", folder.path().join("file-in")).unwrap();
    symlink("loop", folder.path().join("loop")).unwrap();
    symlink("/proc/self/root", folder.path().join("magic")).unwrap();
    for path in [
        "file-out",
        "folder-out/secret",
        "sub/up/etc/passwd",
        "file-in",
        "loop",
        "magic/etc/passwd",
    ] {
        let refusal = store.open_download(&name(path)).unwrap_err();
        assert_eq!(refusal, StoreError::NotAFile, "{path}");
    }
    assert_eq!(listed(&store), ["sub/file"]);
}

#[test]
fn only_regular_files_are_opened_and_nothing_is_waited_for() {
    let [(folder, store), _] = stores(StoreOptions::default());
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    for path in ["fifo", "socket", "folder"] {
        let refusal = store.open_download(&name(path)).unwrap_err();
        assert_eq!(refusal, StoreError::NotAFile, "{path}");
    }
    for path in ["missing", "missing/file", "file/file"] {
        let refusal = store.open_download(&name(path)).unwrap_err();
        assert_eq!(refusal, StoreError::NotFound, "{path}");
    }
    assert_eq!(listed(&store), ["file"]);
    // A taken name is taken, whatever has it.
    assert_eq!(upload(&store, "fifo", b""), Ok(name("fifo_copy1")));
    assert_eq!(upload(&store, "folder", b""), Ok(name("folder_copy1")));
}

#[test]
fn devices_are_refused() {
    // A root of devices stands ready in every Linux system.
    let store = Store::open(Path::new("/dev"), StoreOptions::default()).unwrap();
    for path in ["null", "zero", "full"] {
        assert_eq!(store.open_download(&name(path)).unwrap_err(), StoreError::NotAFile, "{path}");
    }
}

#[test]
fn a_size_beyond_the_free_space_is_refused_before_a_byte() {
    for (folder, store) in stores(StoreOptions::default()) {
        let refused = store.create_upload(Some(&name("big")), Some(u64::MAX));
        assert_eq!(refused.unwrap_err(), StoreError::Full);
        assert_eq!(on_disk(folder.path()), [""; 0]);
        assert_eq!(upload(&store, "small", b"fits"), Ok(name("small")));
    }
}

#[test]
fn a_full_device_is_told_from_a_failing_one() {
    let [(_folder, store), _] = stores(StoreOptions::default());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut upload = Upload::on(&store, Arc::clone(&store.root), OwnedFd::from(full));
    assert_eq!(upload.write(b"x"), Err(StoreError::Full));
    let unwritable = fs::File::open("/dev/null").unwrap();
    let mut upload = Upload::on(&store, Arc::clone(&store.root), OwnedFd::from(unwritable));
    assert_eq!(upload.write(b"x"), Err(StoreError::Failed));
}

#[test]
fn opening_removes_temporaries_of_killed_servers_only() {
    let [_, (folder, store)] = stores(StoreOptions::default());
    fs::create_dir(folder.path().join("sub")).unwrap();
    let mut live = store.create_upload(Some(&name("sub/live")), None).unwrap();
    live.write(b"still coming").unwrap();
    // A killed server's temporary: named alike, held by nobody.
    let (dead, dead_name) = temporary::named_and_locked(store.root.as_fd()).unwrap();
    drop(dead);
    fs::write(folder.path().join("upload-mine"), b"").unwrap();
    assert_eq!(on_disk(folder.path()), [&dead_name, "sub", "upload-mine"]);
    assert_eq!(listed(&store), ["upload-mine"]);

    let second = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(on_disk(folder.path()), ["sub", "upload-mine"]);
    assert_eq!(live.commit(None).unwrap().name, name("sub/live"));
    assert_eq!(content(&second, "sub/live"), b"still coming");
}

#[test]
fn an_upload_outlives_a_server_that_starts_meanwhile() {
    for (folder, store) in overwriting_stores() {
        upload(&store, "a", b"old").unwrap();
        for size in [Some(5), None, Some(2 << 20)] {
            let mut upload = store.create_upload(Some(&name("a")), size).unwrap();
            upload.write(b"12").unwrap();
            // Takes the temporary for one of a killed server, unless it is locked.
            Store::open(folder.path(), store.options).unwrap();
            let is_locked = on_disk(folder.path()).len() == 2;
            assert_eq!(is_locked, size != Some(5), "{size:?}");
            upload.write(b"345").unwrap();
            assert_eq!(content(&store, "a"), b"old");
            assert!(upload.commit(None).unwrap().replaced);
            assert_eq!(content(&store, "a"), b"12345");
            assert_eq!(on_disk(folder.path()), ["a"]);
            self::upload(&store, "a", b"old").unwrap();
        }
        // Without a name of its own, too; and one that is broken off leaves nothing.
        for commits in [true, false] {
            let upload = store.create_upload(None, Some(0)).unwrap();
            Store::open(folder.path(), store.options).unwrap();
            if commits {
                upload.commit(None).unwrap();
            }
            assert_eq!(on_disk(folder.path()).len(), 2);
        }
    }
}

#[test]
fn the_space_to_leave_free_is_left() {
    let options = StoreOptions { min_free: u64::MAX, ..StoreOptions::default() };
    for (folder, mut store) in stores(options) {
        for size in [None, Some(0), Some(1), Some(1 << 30)] {
            let refused = store.create_upload(Some(&name("a")), size);
            assert_eq!(refused.unwrap_err(), StoreError::Full);
        }
        // The space becomes scarce while the upload comes in.
        store.space = Arc::new(Space::new(1));
        let mut upload = store.create_upload(Some(&name("a")), None).unwrap();
        upload.write(b"1").unwrap();
        upload.limit_space(Space::new(u64::MAX));
        assert_eq!(upload.write(b"2"), Err(StoreError::Full));
        drop(upload);
        assert_eq!(on_disk(folder.path()), [""; 0]);
    }
}

#[test]
fn a_listing_has_sizes_and_times_and_the_order_of_names() {
    let [(folder, store), _] = stores(StoreOptions::default());
    for (file, len) in [("b", 2), ("a", 1), ("-c d", 3)] {
        upload(&store, file, &vec![0; len]).unwrap();
    }
    fs::write(folder.path().join("back\\slash"), b"").unwrap();
    let entries = store.list().unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.len)).collect();
    assert_eq!(seen, [("-c d", 3), ("a", 1), ("b", 2)]);
    for entry in &entries {
        let info = store.open_download(&entry.name).unwrap().info();
        assert_eq!((info.len, info.modified), (entry.len, entry.modified));
        assert!(info.modified.unix_s > 1_600_000_000);
    }
}

#[test]
fn a_root_must_be_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let open = |path: &Path| Store::open(path, StoreOptions::default()).unwrap_err();
    assert!(matches!(open(&missing), OpenStoreError::NotFound { .. }));
    assert!(matches!(open(&file), OpenStoreError::NotAFolder { .. }));
    assert!(open(&file).to_string().contains("is not a folder; choose a folder"));
}

#[test]
fn a_store_without_files_refuses_everything() {
    let store = Store::without_files().unwrap();
    assert!(upload(&store, "a", b"").is_err());
    assert!(upload(&store, "folder/a", b"").is_err());
    assert!(store.create_upload(None, None).is_err());
    assert!(store.create_partial(Some(&name("a")), 1).is_err());
    assert!(store.open_download(&name("a")).is_err());
    assert!(store.list().is_err());
}

#[test]
fn the_root_is_opened_once() {
    let [(folder, store), _] = stores(StoreOptions::default());
    upload(&store, "a", b"kept").unwrap();
    let moved = folder.path().with_extension("moved");
    fs::rename(folder.path(), &moved).unwrap();
    fs::create_dir(folder.path()).unwrap();
    assert_eq!(content(&store, "a"), b"kept");
    fs::remove_dir(folder.path()).unwrap();
    fs::rename(moved, folder.path()).unwrap();
}

#[test]
fn a_file_kept_open_gives_way_to_its_successor() {
    for (folder, store) in overwriting_stores() {
        upload(&store, "page", b"first").unwrap();
        assert_eq!(content(&store, "page"), b"first");
        upload(&store, "page", b"second, by upload").unwrap();
        assert_eq!(content(&store, "page"), b"second, by upload");
        // What others do to the folder shows after a while.
        fs::write(folder.path().join("new"), b"third, by others").unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("page")).unwrap();
        wait_until(|| content(&store, "page") == b"third, by others");
        fs::remove_file(folder.path().join("page")).unwrap();
        wait_until(|| store.open_download(&name("page")).is_err());
    }
}

#[test]
fn a_resumable_upload_goes_on_where_it_was_left() {
    for (folder, store) in stores(StoreOptions::default()) {
        let id = store.create_partial(Some(&name("big.bin")), 10).unwrap();
        let (mut first, info) = store.open_partial(id).unwrap();
        assert_eq!(info, PartialInfo { len: 10, offset: 0 });
        assert_eq!(store.open_partial(id).map(|_| ()), Err(StoreError::Busy));
        first.write(b"01234").unwrap();
        drop(first);
        assert!(listed(&store).is_empty());
        // Also by another server on the same folder.
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let (mut second, info) = store.open_partial(id).unwrap();
        assert_eq!(info, PartialInfo { len: 10, offset: 5 });
        second.write(b"56789").unwrap();
        let sum = Sha256::digest(b"0123456789").into();
        assert_eq!(second.commit(Some(&Digest(sum))).unwrap().name, name("big.bin"));
        assert_eq!(content(&store, "big.bin"), b"0123456789");
        assert_eq!(store.open_partial(id).map(|_| ()), Err(StoreError::NotFound));
        assert_eq!(on_disk(folder.path()), ["big.bin"]);
    }
}

#[test]
fn content_that_does_not_match_its_digest_is_not_stored() {
    let wrong = Digest([0; 32]);
    for (folder, store) in stores(StoreOptions::default()) {
        let mut upload = store.create_upload(Some(&name("a")), None).unwrap();
        upload.write(b"content").unwrap();
        assert_eq!(upload.commit(Some(&wrong)), Err(StoreError::DigestMismatch));
        let id = store.create_partial(Some(&name("b")), 7).unwrap();
        let (mut upload, _) = store.open_partial(id).unwrap();
        upload.write(b"content").unwrap();
        assert_eq!(upload.commit(Some(&wrong)), Err(StoreError::DigestMismatch));
        assert!(on_disk(folder.path()).is_empty());
    }
}

/// Files of a resumable upload, content and note.
fn files_of(folder: &Path, id: PartialId) -> Vec<std::path::PathBuf> {
    let id = format!("{:032x}", id.0);
    let folders =
        [folder.to_owned(), folder.join("sub")].map(|folder| folder.join("\u{1}resumable"));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(&id))
        .collect()
}

fn age(path: &Path) {
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 86_400);
    fs::File::open(path).unwrap().set_modified(two_days_ago).unwrap();
}

#[test]
fn an_abandoned_resumable_upload_is_removed_at_the_next_start_or_in_time() {
    for restarts in [true, false] {
        let (folder, mut store) = stores(StoreOptions::default()).into_iter().next().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let ids = ["old", "sub/old", "note-used", "content-used", "open", "new"]
            .map(|to| store.create_partial(Some(&name(to)), 1).unwrap());
        let [old, old_below, note_used, content_used, open, new] = ids;
        for id in [old, old_below, open] {
            files_of(folder.path(), id).iter().for_each(|path| age(path));
        }
        for (id, part) in [(note_used, "content-"), (content_used, "note-")] {
            let files = files_of(folder.path(), id);
            age(files.iter().find(|path| path.to_str().unwrap().contains(part)).unwrap());
        }
        let held = store.open_partial(open).unwrap();
        files_of(folder.path(), open).iter().for_each(|path| age(path));
        if restarts {
            store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        } else {
            store.unfinished.expire();
        }
        for id in [old, old_below] {
            assert_eq!(store.open_partial(id).map(|_| ()), Err(StoreError::NotFound));
            assert!(files_of(folder.path(), id).is_empty());
        }
        for id in [note_used, content_used, new] {
            assert!(store.open_partial(id).is_ok());
        }
        drop(held);
        assert!(store.open_partial(open).is_ok());
        assert_eq!(on_disk(&folder.path().join("sub")), [""; 0]);
    }
}

#[test]
fn unfinished_uploads_are_limited_in_number_and_sum() {
    let limits = ResumableLimits { number: 3, bytes: 100, ..ResumableLimits::default() };
    let options = StoreOptions { resumable: limits, ..StoreOptions::default() };
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path(), options).unwrap();
    let beside = Store::open_beside_others(folder.path(), options).unwrap();
    for store in [&first, &beside] {
        let create = |len| store.create_partial(Some(&name("a")), len);
        // In number.
        let ids = [(); 3].map(|()| create(0).unwrap());
        assert_eq!(create(0), Err(StoreError::Full));
        store.open_partial(ids[0]).unwrap().0.commit(None).unwrap();
        // In sum.
        assert_eq!(create(101), Err(StoreError::Full));
        let large = create(100).unwrap();
        store.open_partial(ids[1]).unwrap().0.commit(None).unwrap();
        assert_eq!(create(1), Err(StoreError::Full));
        assert_eq!(create(u64::MAX), Err(StoreError::Full));
        // Those of an earlier server count.
        let later = Store::open(folder.path(), options).unwrap();
        assert_eq!(later.create_partial(None, 1), Err(StoreError::Full));
        for id in [large, ids[2]] {
            store.open_partial(id).unwrap().0.commit(None).unwrap();
        }
        later.unfinished.expire();
        let id = later.create_partial(None, 100).unwrap();
        later.open_partial(id).unwrap().0.commit(None).unwrap();
        assert!(on_disk(folder.path()).iter().all(|name| !name.starts_with('\u{1}')));
    }
}

#[test]
fn what_remains_of_unfinished_uploads_is_no_part_of_a_walk() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    for to in ["a", "sub/a"] {
        for _ in 0..50 {
            store.create_partial(Some(&name(to)), 1).unwrap();
        }
    }
    let mut visited = 0;
    let visit = |_: walk::WalkEntry<'_>| {
        visited += 1;
        std::ops::ControlFlow::Continue(())
    };
    walk::walk(store.root.as_fd(), visit).unwrap();
    assert_eq!(visited, 2, "their folders alone");
    assert!(listed(&store).is_empty());
}

#[test]
fn content_without_a_note_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let [orphan, other] = [(); 2].map(|()| store.create_partial(Some(&name("a")), 1).unwrap());
    let files = files_of(folder.path(), orphan);
    fs::remove_file(files.iter().find(|path| path.to_str().unwrap().contains("note-")).unwrap())
        .unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert!(files_of(folder.path(), orphan).is_empty());
    assert!(store.open_partial(other).is_ok());
}

#[test]
fn no_more_space_is_reserved_than_has_arrived() {
    const MIB: u64 = 1 << 20;
    for (folder, store) in stores(StoreOptions::default()) {
        let mut upload = store.create_upload(Some(&name("a")), Some(40 * MIB)).unwrap();
        upload.write(b"\x07").unwrap();
        let (_, space) = upload.extent();
        assert!(space <= 64 << 10, "{space} bytes are held for 1 byte");
        let piece = vec![7; MIB as usize];
        let mut most = 0;
        for arrived in 1..40 {
            upload.write(&piece).unwrap();
            let (len, space) = upload.extent();
            assert_eq!(len, arrived * MIB + 1);
            assert!(space <= 2 * len + (64 << 10), "{space} bytes are held for {len}");
            most = most.max(space - len);
        }
        // Not every file system reserves, and on tmpfs it does not pay.
        let probe = tempfile::tempfile_in(folder.path()).unwrap();
        let reserves = fallocate(&probe, FallocateFlags::KEEP_SIZE, 0, MIB).is_ok()
            && store.mount.delays_allocation;
        assert_eq!(most > 8 * MIB, reserves, "{most} bytes were held ahead");
        upload.write(&piece[1..]).unwrap();
        upload.commit(None).unwrap();
        let metadata = fs::metadata(folder.path().join("a")).unwrap();
        assert_eq!(metadata.len(), 40 * MIB);
        assert!(content(&store, "a").iter().all(|byte| *byte == 7));
    }
}

#[test]
fn the_log_keeps_a_limited_number_of_files() {
    for (folder, store) in stores(StoreOptions::default()) {
        let path = |number: u64| folder.path().join(format!("log{number}.txt"));
        let log = |store: &Store| {
            let now = Now { instant: Instant::now(), unix_s: 0 };
            store.log(now, None, b"line").unwrap();
        };
        for number in [0, 1, 2, 10_000] {
            fs::write(path(number), "").unwrap();
        }
        log(&store);
        assert!(path(10_001).exists() && path(2).exists() && !path(1).exists());
        assert!(path(0).exists(), "only the oldest of a log without gaps is removed");
        let other = Store::open(folder.path(), StoreOptions::default()).unwrap();
        log(&other);
        assert!(path(10_002).exists() && !path(2).exists());
        // As after 10,000 further lines of the other one.
        for number in [10_001, 10_002] {
            fs::remove_file(path(number)).unwrap();
        }
        fs::write(path(20_002), "").unwrap();
        log(&store);
        assert!(path(20_003).exists() && !path(10_002).exists(), "numbers are not used again");
    }
}
